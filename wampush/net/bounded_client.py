"""Requests to a web application, a bounded number at a time.

Owns: when a request is sent, its time limit, its cancellation, and what its end says about the
server. Must not import: the edges, the apps, the broker; nor know what requests and responses mean.

Every request ends exactly once: with what was read from the response, or with None. A request is
never sent twice, because the server may have acted on it the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wampush.net.circuit_breaker import BreakerChange, CircuitBreaker, RequestResult
from wampush.net.failure_sources import FailureSource
from wampush.net.http_post import HttpResponse, problem_of, server_responded
from wampush.net.outgoing_request_log import RequestLog
from wampush.net.request_queues import RequestQueues
from wampush.state_machine import moved

Request = TypeVar("Request")
Read = TypeVar("Read")

_NO_PASS: Final = -1


@unique
class RequestState(Enum):
    """Where a request is on its way."""

    QUEUED = "queued"
    SENT = "sent"
    ENDED = "ended"


_MOVES: Final[Mapping[RequestState, frozenset[RequestState]]] = MappingProxyType(
    {
        RequestState.QUEUED: frozenset((RequestState.SENT, RequestState.ENDED)),
        RequestState.SENT: frozenset((RequestState.ENDED,)),
        RequestState.ENDED: frozenset(),
    }
)


def _always() -> bool:
    return True


@dataclass(eq=False, slots=True)
class OutgoingRequest(Generic[Request, Read]):
    """A request on its way.

    :param kind: the queue that it waits in.
    :param label: whose circuit breaker decides, and what log lines call it.
    :param read: makes a value of the response, or raises UnusableResponse.
    :param done: gets this value, or None.
    :param owner: on whose behalf it is sent; owners take turns.
    :param source: whose failure it is if it fails; None for nobody's.
    :param is_wanted: asked when its turn comes; if not, it is dropped.
    :ivar sent_at: when the server may have begun to see it; None as long as it cannot have.
    """

    request: Request
    kind: str
    label: str
    read: Callable[[HttpResponse], Read]
    done: Callable[[Read | None], None]
    timeout: float
    owner: Hashable = None
    source: FailureSource | None = None
    is_wanted: Callable[[], bool] = _always
    breaker_pass: int = _NO_PASS
    state: RequestState = RequestState.QUEUED
    sent_at: float | None = None
    timer: Any = None
    running: Deferred[None] | None = None

    def move(self, state: RequestState) -> None:
        """Go on to another state.

        :raises IllegalMove: when no move leads there.
        """
        self.state = moved(_MOVES, self.state, state)


class BoundedClient(Generic[Request]):
    """Sends requests to one server.

    :param send: sends one; cancelling what it returns drops the connection.
    :param queues: which requests wait, and which are sent next.
    :param call_later: ``IReactorTime.callLater``.
    :param now: seconds of a clock that never goes back.
    :param log: for failures.
    :param breakers: circuit breakers by label; a label without one is always sent.
    """

    def __init__(
        self,
        *,
        send: Callable[[Request], Deferred[HttpResponse]],
        queues: RequestQueues[OutgoingRequest[Request, Any]],
        call_later: Callable[..., Any],
        now: Callable[[], float],
        log: RequestLog,
        breakers: Mapping[str, CircuitBreaker] = MappingProxyType({}),
    ) -> None:
        self._send = send
        self._queues = queues
        self._call_later = call_later
        self._now = now
        self._log = log
        self._breakers = breakers
        self._running: set[OutgoingRequest[Request, Any]] = set()
        self._owned: dict[object, set[OutgoingRequest[Request, Any]]] = {}
        self._next_start: Any = None

    @property
    def queued(self) -> int:
        """Number of requests that wait for a place."""
        return len(self._queues)

    @property
    def running(self) -> int:
        """Number of requests that are sent and not answered."""
        return len(self._running)

    def request(self, outgoing: OutgoingRequest[Request, Any]) -> None:
        """Send a request, now or when there is a place for it.

        Its ``done`` is called exactly once, perhaps before this returns. Its ``timeout``, in
        seconds, begins now.
        """
        breaker = self._breakers.get(outgoing.label)
        breaker_pass = _NO_PASS if breaker is None else breaker.admit(outgoing.source)
        if breaker_pass is None:
            self._end(outgoing, None)
            return
        outgoing.breaker_pass = breaker_pass
        if self._queues.is_full(outgoing.kind, outgoing.owner):
            # An owner with many requests makes room for one that has fewer.
            last = self._queues.last_of_most(outgoing.kind, outgoing.owner)
            crowded_out = last or outgoing
            self._log.failed(
                crowded_out.label, f"the queue is full ({self._queues.capacity} requests)"
            )
            if last is not None:
                self._leave(last)
            self._report(crowded_out, RequestResult.ABANDONED)
            self._end(crowded_out, None)
            if last is None:
                return
        outgoing.timer = self._call_later(outgoing.timeout, self._on_timeout, outgoing)
        if outgoing.owner is not None:
            self._owned.setdefault(outgoing.owner, set()).add(outgoing)
        self._queues.add(outgoing.kind, outgoing, outgoing.owner)
        self._start()

    def cancel(self, outgoing: OutgoingRequest[Request, Any]) -> None:
        """End a request with None, if it has not ended."""
        if outgoing.state is RequestState.ENDED:
            return
        self._leave(outgoing)
        self._report(outgoing, RequestResult.ABANDONED)
        self._end(outgoing, None)
        self._start_soon()

    def cancel_all_of(self, owner: object) -> None:
        """Cancel every request on behalf of this owner."""
        for outgoing in list(self._owned.get(owner, ())):
            self.cancel(outgoing)

    def close(self) -> None:
        """Cancel all requests."""
        for outgoing in [*self._queues, *self._running]:
            self.cancel(outgoing)
        if self._next_start is not None:
            self._next_start.cancel()
            self._next_start = None

    # The way of a request.

    def _start(self) -> None:
        while True:
            outgoing = self._queues.take()
            if outgoing is None:
                return
            if not outgoing.is_wanted():
                self._queues.free(outgoing.kind, outgoing, outgoing.owner)
                self._report(outgoing, RequestResult.ABANDONED)
                self._end(outgoing, None)
                continue
            outgoing.move(RequestState.SENT)
            outgoing.sent_at = self._now()
            self._running.add(outgoing)
            read = self._send(outgoing.request).addCallback(outgoing.read)
            done: Deferred[None] = read.addBoth(self._on_result, outgoing)
            if not done.called:
                outgoing.running = done

    def _on_result(self, result: object, outgoing: OutgoingRequest[Request, Any]) -> None:
        if outgoing not in self._running:
            return
        outgoing.running = None
        self._leave(outgoing)
        if isinstance(result, Failure):
            self._on_failure(outgoing, result)
        else:
            self._report(outgoing, RequestResult.ANSWERED)
            self._end(outgoing, result)
        self._start()

    def _on_failure(self, outgoing: OutgoingRequest[Request, Any], failure: Failure) -> None:
        self._log.failed(outgoing.label, problem_of(failure))
        # One request that the server cannot handle must not close it for all others.
        responded = server_responded(failure)
        self._report(outgoing, RequestResult.ANSWERED if responded else RequestResult.FAILED)
        self._end(outgoing, None)

    def _on_timeout(self, outgoing: OutgoingRequest[Request, Any]) -> None:
        outgoing.timer = None
        limit, sent_at = outgoing.timeout, outgoing.sent_at
        self._leave(outgoing)
        if sent_at is None:
            self._log.failed(outgoing.label, f"not sent within {limit:g} s; the queue is too long")
        else:
            self._log.failed(outgoing.label, f"no response within {limit:g} s")
        # A request that was queued most of the time does not show how long a response takes.
        had_time = sent_at is not None and self._now() - sent_at >= limit / 2
        self._report(outgoing, RequestResult.FAILED if had_time else RequestResult.ABANDONED)
        self._end(outgoing, None)
        self._start_soon()

    def _start_soon(self) -> None:
        """Fill the free place in the next turn: the next request may be cancelled in this one."""
        if self._next_start is None and len(self._queues):
            self._next_start = self._call_later(0, self._on_next_start)

    def _on_next_start(self) -> None:
        self._next_start = None
        self._start()

    def _leave(self, outgoing: OutgoingRequest[Request, Any]) -> None:
        """Take a request out of its queue, or drop its connection."""
        if outgoing.state is RequestState.SENT:
            self._running.remove(outgoing)
            self._queues.free(outgoing.kind, outgoing, outgoing.owner)
            running, outgoing.running = outgoing.running, None
            if running is not None:
                running.cancel()
        else:
            self._queues.remove(outgoing.kind, outgoing, outgoing.owner)

    def _end(self, outgoing: OutgoingRequest[Request, Any], result: object) -> None:
        outgoing.move(RequestState.ENDED)
        if outgoing.timer is not None:
            outgoing.timer.cancel()
            outgoing.timer = None
        owned = self._owned.get(outgoing.owner)
        if owned is not None:
            owned.discard(outgoing)
            if not owned:
                del self._owned[outgoing.owner]
        outgoing.done(result)

    def _report(self, outgoing: OutgoingRequest[Request, Any], result: RequestResult) -> None:
        """Report to the circuit breaker; end what is queued and must not be sent any more."""
        label = outgoing.label
        breaker = self._breakers.get(label)
        if breaker is None:
            return
        change = breaker.report(outgoing.breaker_pass, result, outgoing.source)
        if change is BreakerChange.CLOSED:
            self._log.recovered(label)
        elif change is BreakerChange.OPENED:
            self._log.problem(
                label,
                f"{breaker.failures} failures in a row; sending no requests for "
                f"{breaker.seconds:g} s, then one as a probe",
            )
            self._end_queued(lambda each: each.label == label)
        elif change is BreakerChange.HELD:
            self._log.held_back(label, breaker.failures, breaker.seconds)
            self._end_queued(
                lambda each: (
                    each.label == label
                    and each.source is not None
                    and breaker.holds_back(each.source)
                )
            )

    def _end_queued(self, ends: Callable[[OutgoingRequest[Request, Any]], bool]) -> None:
        for each in [each for each in self._queues if ends(each)]:
            if each.state is RequestState.QUEUED:
                self._leave(each)
                self._end(each, None)
