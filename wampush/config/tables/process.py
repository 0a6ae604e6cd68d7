"""The table ``[process]``: the parent process, and how long starts and ends may take.

Owns: these settings. Must not import: the other tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from wampush.config.checks.durations import duration


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """``[process]``: the processes that a server consists of.

    :param parent: A small parent process keeps the listening sockets and runs the server in a
        process of its own, which it starts again after a crash and replaces for an upgrade.
        ``false`` is a single process.
    :param drain: How long a server that stops, or is replaced, takes to end its connections, a few
        at a time, so that not all clients come back at once; a number of seconds, or a text such as
        ``"10s"``.
    :param ready_timeout: How long a server may take to start; a new one that takes longer does not
        replace the old one.
    :param hang_timeout: A server whose event loop does not turn for so long is ended and started
        again; 0 is never.
    """

    parent: bool = True
    drain: Annotated[float, duration(0, 3600)] = 10.0
    ready_timeout: Annotated[float, duration(1, 3600)] = 60.0
    hang_timeout: Annotated[float, duration(0, 3600)] = 15.0
