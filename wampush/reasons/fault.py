"""Who can fix what went wrong.

Owns: this list. Must not import: anything of wampush.
"""

from __future__ import annotations

from enum import Enum, unique


@unique
class Fault(Enum):
    """Who can fix what went wrong."""

    #: The page or program at the WebSocket.
    CLIENT = "client"
    #: The program that pushes, or a service that wampush asks.
    BACKEND = "backend"
    #: Whoever runs wampush and the application code in it.
    OPERATOR = "operator"
    #: The developers: a defect of wampush itself.
    WAMPUSH = "wampush"
