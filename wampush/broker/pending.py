"""The requests of one session that have not taken effect yet.

Owns: their states, their order, and the form in which they wait. Must not import: anything of
wampush but ``identity``, ``wamp``, ``state_machine`` and ``errors``.

The application may take its time to allow a subscription or a publication. It is asked as soon as
the request arrives, about several requests at once; but they take effect in the order in which they
came, and so does everything else that the session asks for after them. With several nodes, a
request may also wait until what its topic keeps has been read.

A call waits without its arguments, which are read again from its text: as Python objects they may
take twenty times as much memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Final

from wampush.broker.identity import Identity
from wampush.errors import Refusal
from wampush.state_machine import moved
from wampush.wamp.messages import Call
from wampush.wamp.session import Request


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the application decides about a request.

    :param refusal: why it is refused; None lets it pass.
    :param detail: the application's own words, for the log and for inspection; they never reach
        the client.
    :param payload: JSON text to publish instead of what the client sent; None keeps the latter.
    """

    refusal: Refusal | None = None
    detail: str = ""
    payload: bytes | None = None


PASS: Final = Verdict()


@unique
class RequestState(Enum):
    """How far a request that waits has come."""

    PENDING = "the application has not decided"
    DECIDED = "earlier requests of the session have not ended"
    READING = "what its topic keeps is read"
    READY = "nothing; it takes effect next"
    ENDED = "it has taken effect, or is refused"


_MOVES: Final[Mapping[RequestState, frozenset[RequestState]]] = {
    RequestState.PENDING: frozenset((RequestState.DECIDED, RequestState.ENDED)),
    RequestState.DECIDED: frozenset((RequestState.READING, RequestState.ENDED)),
    RequestState.READING: frozenset((RequestState.READY, RequestState.ENDED)),
    RequestState.READY: frozenset((RequestState.ENDED,)),
    RequestState.ENDED: frozenset(),
}


@dataclass(eq=False, slots=True)
class PendingRequest:
    """One request in its place.

    :param request: what is asked for.
    :param text: the message, for the ledger.
    :param identity: of the session when the request was checked.
    :param state: PENDING if the application is asked, DECIDED if not.
    :param kept: what it takes in memory meanwhile, in bytes.
    :param verdict: counts once the state is DECIDED.
    :param reads: whether what its topic keeps is read first.
    """

    request: Request
    text: bytes
    identity: Identity
    state: RequestState
    kept: int = 0
    verdict: Verdict = PASS
    reads: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.request, Call):
            self.request = replace(self.request, arguments=())

    def decide(self, verdict: Verdict) -> None:
        """Note the verdict; does nothing if the request has ended with its session.

        :raises ValueError: when there is a verdict already.
        """
        if self.state is not RequestState.ENDED:
            self._move(RequestState.DECIDED)
            self.verdict = verdict

    def await_topic(self) -> None:
        """Note that the topic of the request is read before it can take effect."""
        self._move(RequestState.READING)

    def go_on(self) -> None:
        """Note that the request waits for its topic no longer."""
        if self.state is RequestState.READING:
            self._move(RequestState.READY)

    def end(self) -> None:
        """Note that the request takes effect or is refused."""
        self._move(RequestState.ENDED)

    def whole(self, call_arguments: Callable[[bytes], tuple[object, ...]]) -> Request:
        """Return the request as it came.

        :param call_arguments: reads the arguments of a call from its text.
        """
        if isinstance(self.request, Call):
            return replace(self.request, arguments=call_arguments(self.text))
        return self.request

    def _move(self, state: RequestState) -> None:
        self.state = moved(_MOVES, self.state, state)


class PendingRequests:
    """The requests of one session that have not taken effect, and its calls without an answer.

    ``size`` is how many bytes of text both have, ``reads`` how many requests have their topics read
    first.
    """

    __slots__ = ("calls", "open_calls", "reads", "requests", "size")

    def __init__(self) -> None:
        self.requests: deque[PendingRequest] = deque()
        self.calls = 0
        #: The ids of calls without an answer; actions have none.
        self.open_calls: list[str] = []
        self.size = 0
        self.reads = 0

    def __len__(self) -> int:
        return len(self.requests) + self.calls

    def add(self, request: PendingRequest) -> None:
        """Append a request."""
        self.requests.append(request)
        self.size += len(request.text)
        self.reads += request.reads

    def add_call(self, size: int, call_id: str = "") -> None:
        """Count one more call without an answer.

        :param size: of its text, in bytes.
        :param call_id: "" for an action, which gets no answer.
        """
        self.calls += 1
        self.size += size
        if call_id:
            self.open_calls.append(call_id)

    def remove_call(self, size: int, call_id: str = "") -> None:
        """Count one call less: it is answered.

        :param size: as when it was added.
        :param call_id: likewise.
        """
        self.calls -= 1
        self.size -= size
        if call_id in self.open_calls:
            self.open_calls.remove(call_id)

    @property
    def first(self) -> PendingRequest | None:
        """The first request, if it is decided and its topic is not being read, else None."""
        if not self.requests:
            return None
        first = self.requests[0]
        return first if first.state in (RequestState.DECIDED, RequestState.READY) else None

    def take(self) -> PendingRequest | None:
        """Remove and return :attr:`first`; it has ended then."""
        request = self.first
        if request is not None:
            self.requests.popleft()
            self.size -= len(request.text)
            self.reads -= request.reads
            request.end()
        return request

    @property
    def kept(self) -> int:
        """The bytes of memory that are counted for the requests."""
        return sum([each.kept for each in self.requests])

    def take_all(self) -> list[PendingRequest]:
        """Remove and return all requests; they have ended then. Calls stay counted."""
        requests = list(self.requests)
        self.requests.clear()
        for request in requests:
            self.size -= len(request.text)
            self.reads -= request.reads
            request.end()
        return requests
