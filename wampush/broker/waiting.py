"""What a session asked for and application code has not decided yet.

Owns: the order in which a session's requests take effect. Must not import: anything of wampush but
the requests of ``wamp`` and ``errors``.

Application code may take its time to allow a subscription or a publication. It is asked as soon as
the request is there, several requests side by side; but they take effect in the order in which they
came, and so does what the session asks for behind them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from wampush.broker.application import Verdict
from wampush.wamp.session import Request


@dataclass(eq=False, slots=True)
class Entry:
    """One request in its place.

    :param request: what is asked for.
    :param text: the message, for the ledger.
    :param verdict: what application code says; None as long as it has not.
    """

    request: Request
    text: bytes
    verdict: Verdict | None


class Waiting:
    """The requests of one session that have not taken effect, and its calls without an answer."""

    __slots__ = ("calls", "entries")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.calls = 0

    def __len__(self) -> int:
        return len(self.entries) + self.calls

    def take(self) -> Entry | None:
        """Remove and give the first request if it is decided; None when there is none."""
        if self.entries and self.entries[0].verdict is not None:
            return self.entries.popleft()
        return None
