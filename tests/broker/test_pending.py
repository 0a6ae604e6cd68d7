"""Requests that wait: their states, their order, their size."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wampush.broker.identity import ANONYMOUS
from wampush.broker.pending import (
    PASS,
    PendingRequest,
    PendingRequests,
    RequestState,
    Verdict,
)
from wampush.errors import Refusal
from wampush.state_machine import IllegalMove
from wampush.wamp.messages import Call, Subscribe

REFUSED = Verdict(Refusal.APPLICATION_REFUSED, "No.")


def subscribe(state: RequestState = RequestState.PENDING, text: bytes = b'[5,"t"]'):
    return PendingRequest(Subscribe("t"), text, ANONYMOUS, state)


def test_a_request_is_pending_then_decided_then_ended():
    request = subscribe()
    request.decide(REFUSED)
    assert (request.state, request.verdict) == (RequestState.DECIDED, REFUSED)
    request.end()
    assert request.state is RequestState.ENDED


def test_the_application_decides_only_once():
    request = subscribe()
    request.decide(PASS)
    with pytest.raises(IllegalMove, match="no move from DECIDED to DECIDED"):
        request.decide(REFUSED)
    assert request.verdict is PASS


def test_a_request_that_ended_with_its_session_ignores_its_verdict():
    request = subscribe()
    request.end()
    request.decide(REFUSED)
    assert (request.state, request.verdict) == (RequestState.ENDED, PASS)


def test_a_request_ends_only_once():
    request = subscribe(RequestState.DECIDED)
    request.end()
    with pytest.raises(IllegalMove, match="no move from ENDED to ENDED"):
        request.end()


def test_a_call_waits_without_its_arguments():
    text = b'[2,"1","p",[1],2]'
    request = PendingRequest(Call("1", "p", ([1], 2)), text, ANONYMOUS, RequestState.DECIDED)
    assert request.request == Call("1", "p", ())

    def arguments(whole: bytes) -> tuple[object, ...]:
        assert whole == text
        return ([1], 2)

    assert request.whole(arguments) == Call("1", "p", ([1], 2))


def test_what_is_no_call_is_kept_as_it_is():
    request = subscribe()
    assert request.whole(lambda _: pytest.fail("not a call")) == Subscribe("t")


def test_all_requests_of_a_session_end_together_and_its_calls_go_on():
    pending = PendingRequests()
    requests = [subscribe(), subscribe(RequestState.DECIDED)]
    for request in requests:
        pending.add(request)
    pending.add_call(10)
    assert pending.take_all() == requests
    assert {request.state for request in requests} == {RequestState.ENDED}
    assert (len(pending), pending.size, list(pending.requests)) == (1, 10, [])
    pending.remove_call(10)
    assert (len(pending), pending.size) == (0, 0)


class Pending(RuleBasedStateMachine):
    """Compared with a list of what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.pending = PendingRequests()
        self.model: list[tuple[PendingRequest, bool]] = []
        self.calls: list[int] = []

    @rule(size=st.integers(1, 50), decided=st.booleans())
    def arrives(self, size, decided):
        state = RequestState.DECIDED if decided else RequestState.PENDING
        request = subscribe(state, b"x" * size)
        self.pending.add(request)
        self.model.append((request, decided))

    @precondition(lambda self: any(not decided for _, decided in self.model))
    @rule(data=st.data())
    def is_decided(self, data):
        places = [place for place, (_, decided) in enumerate(self.model) if not decided]
        place = data.draw(st.sampled_from(places))
        request, _ = self.model[place]
        request.decide(PASS)
        self.model[place] = (request, True)

    @rule()
    def takes(self):
        first = self.pending.take()
        if self.model and self.model[0][1]:
            assert first is self.model.pop(0)[0]
            assert first.state is RequestState.ENDED
        else:
            assert first is None

    @rule(size=st.integers(1, 50))
    def calls_go_out(self, size):
        self.pending.add_call(size)
        self.calls.append(size)

    @precondition(lambda self: self.calls)
    @rule()
    def an_answer_comes(self):
        self.pending.remove_call(self.calls.pop())

    @invariant()
    def both_count_the_same(self):
        assert len(self.pending) == len(self.model) + len(self.calls)
        size = sum(len(request.text) for request, _ in self.model) + sum(self.calls)
        assert self.pending.size == size


TestPending = Pending.TestCase


def test_a_request_whose_topic_is_read_waits_and_others_behind_it():
    pending = PendingRequests()
    reading = PendingRequest(Subscribe("t"), b"[5]", ANONYMOUS, RequestState.DECIDED, reads=True)
    behind = subscribe(RequestState.DECIDED)
    pending.add(reading)
    pending.add(behind)
    assert [pending.first] == [reading]
    reading.await_topic()
    assert [pending.first, pending.take()] == [None, None]
    assert pending.reads == 1
    reading.go_on()
    assert pending.take() is reading
    assert pending.reads == 0
    assert pending.take() is behind
    # What is read later changes nothing any more.
    reading.go_on()
    assert reading.state is RequestState.ENDED


def test_a_request_whose_topic_is_read_may_end_with_its_session():
    pending = PendingRequests()
    reading = PendingRequest(Subscribe("t"), b"[5]", ANONYMOUS, RequestState.DECIDED, reads=True)
    pending.add(reading)
    reading.await_topic()
    assert pending.take_all() == [reading]
    assert pending.reads == 0
    assert pending.first is None
