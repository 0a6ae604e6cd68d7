"""What a session asked for and application code has not decided yet.

Owns: the order in which a session's requests take effect, and in which form they wait. Must not
import: anything of wampush but ``wamp`` and ``errors``.

Application code may take its time to allow a subscription or a publication. It is asked as soon as
the request is there, several requests side by side; but they take effect in the order in which they
came, and so does what the session asks for behind them.

A call waits without its arguments, which are read again from its text: as Python's objects they may
take twenty times as much memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from wampush.broker.identity import Identity
from wampush.errors import Refusal
from wampush.wamp.messages import Call
from wampush.wamp.session import Request


@dataclass(frozen=True, slots=True)
class Verdict:
    """What application code says to a request.

    :param refusal: why it is refused; None lets it pass.
    :param detail: its own words for the log and for inspection; they never reach the client.
    :param payload: the JSON text to publish instead of what the client sent; None for that.
    """

    refusal: Refusal | None = None
    detail: str = ""
    payload: bytes | None = None


PASS: Final = Verdict()


@dataclass(eq=False, slots=True)
class PendingRequest:
    """One request in its place.

    :param request: what is asked for.
    :param text: the message, for the ledger.
    :param identity: of the session when it asked, as far as that was checked.
    :param verdict: what application code says; None as long as it has not.
    """

    request: Request
    text: bytes
    identity: Identity
    verdict: Verdict | None

    def __post_init__(self) -> None:
        if isinstance(self.request, Call):
            self.request = replace(self.request, arguments=())

    def whole(self, call_arguments: Callable[[bytes], tuple[object, ...]]) -> Request:
        """Return the request as it came.

        :param call_arguments: reads the arguments of a call from its text.
        """
        if isinstance(self.request, Call):
            return replace(self.request, arguments=call_arguments(self.text))
        return self.request


class PendingRequests:
    """The requests of one session that have not taken effect, and its calls without an answer.

    ``size`` is how many bytes of text both are.
    """

    __slots__ = ("calls", "entries", "size")

    def __init__(self) -> None:
        self.entries: deque[PendingRequest] = deque()
        self.calls = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self.entries) + self.calls

    def add(self, entry: PendingRequest) -> None:
        """One more at the end."""
        self.entries.append(entry)
        self.size += len(entry.text)

    def called(self, size: int) -> None:
        """One more call.

        :param size: of its text, in bytes.
        """
        self.calls += 1
        self.size += size

    def answered(self, size: int) -> None:
        """A call has its answer.

        :param size: as when it was made.
        """
        self.calls -= 1
        self.size -= size

    def take(self) -> PendingRequest | None:
        """Remove and give the first request if it is decided; None when there is none."""
        if self.entries and self.entries[0].verdict is not None:
            entry = self.entries.popleft()
            self.size -= len(entry.text)
            return entry
        return None
