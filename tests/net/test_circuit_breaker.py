"""The circuit breaker against a model under random outcomes, and its lines one by one."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from wampush.net.circuit_breaker import BreakerChange, BreakerState, CircuitBreaker, RequestResult
from wampush.net.failure_sources import FailureSource

FAILURES = 3
SECONDS = 10.0


class Machine(RuleBasedStateMachine):
    """The model knows which passes mean something, instead of counting eras."""

    passes = Bundle("passes")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = CircuitBreaker(FAILURES, SECONDS, lambda: self.now)
        self.valid: set[int] = set()
        self.probe: int | None = None
        self.row = 0
        self.opened_at: float | None = None
        self.changes: list[BreakerChange] = []
        self.tickets: dict[int, int] = {}

    @rule(target=passes)
    def ask(self) -> int:
        ticket = self.breaker.admit()
        number = len(self.tickets)
        if self.opened_at is None:
            assert ticket is not None
            self.valid.add(number)
        elif self.probe is None and self.now - self.opened_at >= SECONDS:
            assert ticket is not None
            self.probe = number
        else:
            assert ticket is None
        self.tickets[number] = -1 if ticket is None else ticket
        return number

    @rule(number=consumes(passes), outcome=st.sampled_from(RequestResult))
    def report(self, number: int, outcome: RequestResult) -> None:
        if self.tickets[number] == -1:
            return
        change = self.breaker.report(self.tickets[number], outcome)
        assert change is self._expected(number, outcome)
        if change is not None:
            self.changes.append(change)

    def _expected(self, number: int, outcome: RequestResult) -> BreakerChange | None:
        if number == self.probe:
            self.probe = None
            if outcome is RequestResult.ANSWERED:
                self.opened_at, self.row = None, 0
                return BreakerChange.CLOSED
            if outcome is RequestResult.FAILED:
                self.opened_at = self.now
            return None
        if number not in self.valid:
            return None
        if outcome is RequestResult.ANSWERED:
            self.row = 0
        elif outcome is RequestResult.FAILED:
            self.row += 1
            if self.row == FAILURES:
                self.opened_at = self.now
                self.valid.clear()
                return BreakerChange.OPENED
        return None

    @rule(seconds=st.sampled_from([0.5, 4.0, SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_state_is_that_of_the_model(self) -> None:
        if self.opened_at is None:
            assert self.breaker.state is BreakerState.CLOSED
            assert self.breaker.seconds_left() == 0
        elif self.probe is not None:
            assert self.breaker.state is BreakerState.HALF_OPEN
        else:
            assert self.breaker.state is BreakerState.OPEN
            left = max(0.0, self.opened_at + SECONDS - self.now)
            assert self.breaker.seconds_left() == left

    @invariant()
    def logged_changes_alternate(self) -> None:
        expected = [BreakerChange.OPENED, BreakerChange.CLOSED] * len(self.changes)
        assert self.changes == expected[: len(self.changes)]


TestBreaker = Machine.TestCase
TestBreaker.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(2, 10.0, lambda: 0.0)
    outcomes = (
        RequestResult.FAILED,
        RequestResult.ANSWERED,
        RequestResult.FAILED,
        RequestResult.ABANDONED,
    )
    tickets = [breaker.admit() for _ in range(5)]
    assert all(ticket is not None for ticket in tickets)
    for ticket, outcome in zip(tickets, outcomes, strict=False):
        assert breaker.report(ticket or 0, outcome) is None
    assert breaker.report(tickets[4] or 0, RequestResult.FAILED) is BreakerChange.OPENED
    assert breaker.admit() is None


def test_a_late_response_does_not_close_it() -> None:
    now = 0.0
    breaker = CircuitBreaker(1, 10.0, lambda: now)
    late, failing = breaker.admit(), breaker.admit()
    assert late is not None
    assert failing is not None
    assert breaker.report(failing, RequestResult.FAILED) is BreakerChange.OPENED
    assert breaker.report(late, RequestResult.ANSWERED) is None
    now = 10.0
    probe = breaker.admit()
    assert probe is not None
    assert breaker.report(late, RequestResult.ANSWERED) is None
    assert breaker.state.value == "half-open"
    assert breaker.admit() is None
    assert breaker.report(probe, RequestResult.ANSWERED) is BreakerChange.CLOSED
    assert breaker.state.value == "closed"


def test_the_next_request_is_the_probe_when_the_first_is_abandoned() -> None:
    now = 0.0
    breaker = CircuitBreaker(1, 10.0, lambda: now)
    breaker.report(breaker.admit() or 0, RequestResult.FAILED)
    now = 10.0
    first = breaker.admit()
    assert first is not None
    breaker.report(first, RequestResult.ABANDONED)
    second = breaker.admit()
    assert second is not None
    assert breaker.report(first, RequestResult.ANSWERED) is None
    assert breaker.report(second, RequestResult.FAILED) is None
    assert breaker.seconds_left() == 10.0


def fail(breaker: CircuitBreaker, source: FailureSource) -> BreakerChange | None:
    breaker_pass = breaker.admit(source)
    assert breaker_pass is not None
    return breaker.report(breaker_pass, RequestResult.FAILED, source)


def test_a_session_counts_once() -> None:
    breaker = CircuitBreaker(3, 10.0, lambda: 0.0, holds=False)
    one = FailureSource("one")
    assert [fail(breaker, one) for _ in range(9)] == [None] * 9
    assert fail(breaker, FailureSource("two")) is None
    assert fail(breaker, FailureSource("three")) is BreakerChange.OPENED


def test_the_sessions_of_an_address_count_for_half_at_most() -> None:
    breaker = CircuitBreaker(4, 10.0, lambda: 0.0, holds=False)
    for number in range(20):
        assert fail(breaker, FailureSource(number, "192.0.2.1")) is None
    assert fail(breaker, FailureSource(20, "192.0.2.2")) is None
    assert fail(breaker, FailureSource(21, "192.0.2.2")) is BreakerChange.OPENED


def test_a_client_that_keeps_failing_is_held_back_alone() -> None:
    breaker = CircuitBreaker(3, 10.0, lambda: 0.0)
    one = FailureSource("one", "192.0.2.1")
    assert [fail(breaker, one) for _ in range(3)] == [None, None, BreakerChange.HELD]
    assert breaker.admit(one) is None
    assert breaker.held == 1
    assert breaker.holds_back(one)
    assert breaker.admit(FailureSource("two", "192.0.2.1")) is not None
    assert breaker.state is BreakerState.CLOSED


def test_an_answer_to_anybody_ends_the_row() -> None:
    breaker = CircuitBreaker(2, 10.0, lambda: 0.0)
    assert fail(breaker, FailureSource("one")) is None
    other = FailureSource("two")
    breaker.report(breaker.admit(other) or 0, RequestResult.ANSWERED, other)
    assert fail(breaker, FailureSource("three")) is None
    assert breaker.state is BreakerState.CLOSED


def test_those_who_failed_are_the_probe_only_when_nobody_else_asks() -> None:
    now = 0.0
    breaker = CircuitBreaker(2, 10.0, lambda: now, holds=False)
    one, two = FailureSource("one", "192.0.2.1"), FailureSource("two", "192.0.2.2")
    fail(breaker, one)
    assert fail(breaker, two) is BreakerChange.OPENED
    now = 15.0
    assert breaker.admit(one) is None
    assert breaker.admit(FailureSource("other", "192.0.2.2")) is None
    now = 20.0
    assert breaker.admit(one) is not None
    assert breaker.state is BreakerState.HALF_OPEN
