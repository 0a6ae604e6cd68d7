"""The table ``[application]``: application code in Python.

Owns: how long handlers may take, and how many threads they have. Must not import: the other tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from wampush.config.checks.check import number, whole
from wampush.config.setting import DAY, Seconds


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """``[application]``: how the handlers of ``apps`` run.

    :param timeout: A person waits for the answer; a handler may have its own limit.
    :param connect_timeout: The same for ``on_connect``; with ``callback.timeout`` less than
        ``websocket.handshake_timeout``.
    :param threads: For handlers that block, such as most database drivers; further calls wait.
    """

    timeout: Annotated[float, number(0.01, DAY, "s")] = 10.0
    connect_timeout: Seconds = 1.5
    threads: Annotated[int, whole(1, 1000, "threads")] = 10
