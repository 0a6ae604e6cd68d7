"""How many requests are sent at a time, how each ends, and what its end says about the server."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent

from wampush.net.bounded_client import BoundedClient, OutgoingRequest, RequestState
from wampush.net.circuit_breaker import BreakerState, CircuitBreaker
from wampush.net.http_post import HttpResponse, UnusableResponse
from wampush.net.outgoing_request_log import RequestLog
from wampush.net.request_queues import RequestQueues
from wampush.state_machine import IllegalMove

OK = HttpResponse(200, b"ok")


def body(response: HttpResponse) -> bytes:
    if response.status != 200:
        raise UnusableResponse(f"status {response.status}", response.status)
    return response.body


class Server:
    """A server that responds when a test says so, and the client that sends it requests."""

    def __init__(self, at_once: int = 1, waiting: int = 10, failures: int = 2) -> None:
        self.clock = Clock()
        self.sent: list[str] = []
        self.pending: dict[str, Deferred[HttpResponse]] = {}
        self.cancelled: list[str] = []
        self.results: dict[str, Any] = {}
        self.events: list[Any] = []
        self.respond_at_once = False
        observer: Any = self.events.append
        self.breaker = CircuitBreaker(failures, 10.0, self.clock.seconds)
        self.client: BoundedClient[str] = BoundedClient(
            send=self._send,
            queues=RequestQueues(("",), at_once, waiting),
            call_later=self.clock.callLater,
            now=self.clock.seconds,
            log=RequestLog(
                Logger(namespace="wampush.test", observer=observer), "x", "url", self.clock.seconds
            ),
            breakers={"guarded": self.breaker},
        )

    @property
    def lines(self) -> list[str]:
        return [formatEvent(event).removeprefix("x url: ") for event in self.events]

    def _send(self, name: str) -> Deferred[HttpResponse]:
        self.sent.append(name)
        if self.respond_at_once:
            return succeed(OK)

        def cancel(_: object) -> None:
            self.cancelled.append(name)

        self.pending[name] = Deferred(cancel)
        return self.pending[name]

    def request(
        self,
        name: str,
        *,
        label: str = "guarded",
        owner: Hashable = None,
        timeout: float = 5.0,
        wanted: bool = True,
    ) -> OutgoingRequest[str, bytes]:
        def done(result: bytes | None) -> None:
            assert name not in self.results
            self.results[name] = result

        outgoing = OutgoingRequest(
            request=name,
            kind="",
            label=label,
            read=body,
            done=done,
            timeout=timeout,
            owner=owner,
            is_wanted=lambda: wanted,
        )
        self.client.request(outgoing)
        return outgoing

    def respond(self, name: str, status: int = 200) -> None:
        self.pending.pop(name).callback(HttpResponse(status, b"ok"))


def test_requests_beyond_the_limit_wait_for_a_place() -> None:
    server = Server(at_once=2)
    for name in "abc":
        server.request(name)
    assert server.sent == ["a", "b"]
    assert (server.client.running, server.client.queued) == (2, 1)
    server.respond("b")
    assert server.sent == ["a", "b", "c"]
    assert server.results == {"b": b"ok"}
    server.respond("a")
    server.respond("c")
    assert server.results == dict.fromkeys("abc", b"ok")
    assert server.clock.getDelayedCalls() == []


def test_a_full_queue_ends_requests_at_once() -> None:
    server = Server(waiting=1)
    for name in "abc":
        server.request(name)
    assert server.results == {"c": None}
    assert server.lines == ["guarded: the queue is full (1 requests)"]
    assert server.breaker.state.value == "closed"


def test_a_server_that_responds_at_once() -> None:
    server = Server()
    server.respond_at_once = True
    for name in "abc":
        server.request(name, label="unguarded")
    assert server.results == dict.fromkeys("abc", b"ok")


def test_the_time_limit_includes_the_time_in_the_queue() -> None:
    server = Server(failures=1)
    server.request("a", timeout=6.0)
    server.request("b", timeout=5.0)
    server.clock.advance(5.0)
    assert server.results == {"b": None}
    assert server.lines == ["guarded: not sent within 5 s; the queue is too long"]
    assert server.breaker.state.value == "closed"
    server.clock.advance(1.0)
    assert server.results == {"a": None, "b": None}
    assert server.cancelled == ["a"]
    assert server.lines[1] == "guarded: no response within 6 s"
    assert server.breaker.state.value == "open"


def test_little_time_for_a_response_says_nothing_about_the_server() -> None:
    server = Server(failures=1)
    server.request("a")
    server.request("b")
    server.clock.advance(3.0)
    server.respond("a")
    server.clock.advance(2.0)
    assert server.results == {"a": b"ok", "b": None}
    assert server.breaker.state.value == "closed"


@pytest.mark.parametrize(
    ("status", "state"), [(404, BreakerState.CLOSED), (503, BreakerState.OPEN)]
)
def test_only_errors_of_the_server_open_the_breaker(status: int, state: BreakerState) -> None:
    server = Server(failures=1)
    server.request("a")
    server.respond("a", status)
    assert server.results == {"a": None}
    assert server.lines[0] == f"guarded: status {status}"
    assert server.breaker.state is state


def test_an_open_breaker_ends_what_is_queued_for_it_and_nothing_else() -> None:
    server = Server(failures=1)
    server.request("a")
    server.request("b")
    server.request("c", label="other")
    server.respond("a", 500)
    assert server.results == {"a": None, "b": None}
    assert server.sent == ["a", "c"]
    server.request("d")
    assert server.results["d"] is None
    server.clock.advance(10.0)
    server.request("probe")
    server.respond("probe")
    assert server.results["probe"] == b"ok"
    assert server.lines == [
        "guarded: status 500",
        "guarded: 1 failures in a row; sending no requests for 10 s, then one as a probe",
        "other: no response within 5 s",
        "guarded: responding again",
    ]


def test_a_cancelled_request_leaves_its_place_in_the_next_turn() -> None:
    server = Server()
    first, second = server.request("a"), server.request("b")
    server.request("c")
    server.client.cancel(first)
    server.client.cancel(first)
    assert server.cancelled == ["a"]
    assert server.sent == ["a"]
    server.client.cancel(second)
    server.clock.advance(0.0)
    assert server.sent == ["a", "c"]
    assert server.results == {"a": None, "b": None}
    assert server.lines == []


def test_all_requests_of_an_owner_can_be_cancelled() -> None:
    server = Server()
    owner = object()
    for name in "ab":
        server.request(name, owner=owner)
    server.request("c", owner=object())
    server.client.cancel_all_of(owner)
    server.client.cancel_all_of(owner)
    assert server.results == {"a": None, "b": None}
    server.clock.advance(0.0)
    server.respond("c")
    assert server.results["c"] == b"ok"
    assert server.client._owned == {}


def test_what_nobody_wants_any_more_is_not_sent() -> None:
    server = Server()
    server.request("a")
    server.request("b", wanted=False)
    server.request("c")
    server.respond("a")
    assert server.sent == ["a", "c"]
    assert server.results == {"a": b"ok", "b": None}


def test_close_cancels_everything() -> None:
    server = Server()
    for name in "abc":
        server.request(name)
    server.client.close()
    assert server.results == dict.fromkeys("abc")
    assert server.cancelled == ["a"]
    assert server.clock.getDelayedCalls() == []
    server.client.close()


def test_states_have_an_order() -> None:
    outgoing = Server().request("a")
    assert outgoing.state is RequestState.SENT
    with pytest.raises(IllegalMove, match="RequestState: no move from SENT to QUEUED"):
        outgoing.move(RequestState.QUEUED)


@given(st.lists(st.sampled_from("rRsfcwT"), max_size=60))
def test_every_request_ends_exactly_once_and_never_too_many_run(steps: list[str]) -> None:
    server = Server(at_once=2, waiting=3)
    asked: list[OutgoingRequest[str, bytes]] = []
    for step in steps:
        if step in "rR":
            label = "guarded" if step == "r" else "other"
            asked.append(server.request(str(len(asked)), label=label))
        elif step in "sf" and server.pending:
            name = next(iter(server.pending))
            response = server.pending.pop(name)
            if not response.called:
                response.callback(HttpResponse(200 if step == "s" else 500, b"ok"))
        elif step == "c" and asked:
            server.client.cancel(asked[len(asked) // 2])
        elif step in "wT":
            server.clock.advance(0.0 if step == "w" else 3.0)
        assert server.client.running <= 2
        assert server.client.queued <= 3
        running = [each for each in asked if each.state is RequestState.SENT]
        assert len(running) == server.client.running
    server.client.close()
    assert server.results.keys() == {each.request for each in asked}
    assert server.clock.getDelayedCalls() == []
