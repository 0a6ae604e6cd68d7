"""Pending requests of the client: who waits for a session, and who for the result of a call."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wampush.client.pending import PendingCalls, PendingConnects


def test_a_session_is_for_everyone_who_waits() -> None:
    pending = PendingConnects()
    patient, limited = pending.add(None), pending.add(3)
    assert pending.take() == [patient, limited]
    assert pending.take() == []


def test_failed_attempts_end_the_wait_of_those_who_limited_them() -> None:
    pending = PendingConnects()
    patient, two, one = pending.add(None), pending.add(2), pending.add(1)
    assert pending.on_attempt_failed() == [one]
    later = pending.add(2)
    assert pending.on_attempt_failed() == [two]
    assert pending.on_attempt_failed() == [later]
    assert pending.on_attempt_failed() == []
    assert pending.take() == [patient]


def test_attempts_are_counted_while_nobody_waits() -> None:
    pending = PendingConnects()
    assert pending.on_attempt_failed() == []
    only = pending.add(1)
    assert pending.on_attempt_failed() == [only]


@pytest.mark.parametrize("attempts", [0, -1])
def test_without_attempts_the_next_failure_ends_the_wait(attempts: int) -> None:
    pending = PendingConnects()
    added = pending.add(attempts)
    assert pending.on_attempt_failed() == [added]


def test_no_call_id_is_used_twice() -> None:
    calls = PendingCalls()
    first = calls.new_id()
    calls.add(first)
    calls.take(first)
    ids = [first, *(calls.new_id() for _ in range(3))]
    assert len(set(ids)) == 4
    calls.take_all()
    assert calls.new_id() not in ids


def test_a_result_finds_its_call_once() -> None:
    calls = PendingCalls()
    one, two = calls.add("1"), calls.add("2")
    assert calls.take("2") is two
    assert calls.take("2") is None
    assert calls.take("unknown") is None
    assert calls.take("1") is one


def test_a_loss_takes_all_calls_in_their_order() -> None:
    calls = PendingCalls()
    added = [calls.add(calls.new_id()) for _ in range(3)]
    assert calls.take_all() == added
    assert calls.take_all() == []
    assert calls.take("1") is None


def test_a_cancelled_call_has_no_place_any_more() -> None:
    calls = PendingCalls()
    cancelled, other = calls.add("1"), calls.add("2")
    failures = failures_of(cancelled)
    cancelled.cancel()
    assert [failure.type for failure in failures] == [CancelledError]
    assert calls.take("1") is None
    assert calls.take_all() == [other]


def test_a_call_can_be_cancelled_after_it_was_taken() -> None:
    calls = PendingCalls()
    answer = calls.add("1")
    failures = failures_of(answer)
    assert calls.take_all() == [answer]
    answer.cancel()
    assert [failure.type for failure in failures] == [CancelledError]


def failures_of(answer: Deferred[object]) -> list[Any]:
    """The failures that a Deferred has fired with, also those to come."""
    failures: list[Any] = []
    answer.addErrback(failures.append)
    return failures
