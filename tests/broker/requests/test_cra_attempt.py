"""The legal moves of an attempt, tried out against a plain table."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.requests.cra_attempt import AttemptState, CraAttempt, attempt_of
from wampush.state_machine import IllegalEvent

ALICE = Identity(user="7", source="cra")


def state_of(attempt: CraAttempt) -> AttemptState:
    """Return the current state; the type checker cannot infer it from an earlier check."""
    return attempt.state


def challenged(identity=ALICE, expected="right"):
    attempt = CraAttempt(10.0)
    attempt.challenge(expected, identity, 20.0)
    return attempt


def test_a_new_attempt_waits_for_its_challenge():
    attempt = CraAttempt(10.0)
    assert state_of(attempt) is AttemptState.ASKED
    assert attempt.check_time(9.9)
    assert not attempt.check_time(10.0)
    assert state_of(attempt) is AttemptState.LAPSED
    assert not attempt.check_time(0.0)


def test_the_challenge_starts_a_time_of_its_own():
    attempt = challenged()
    assert state_of(attempt) is AttemptState.CHALLENGED
    assert attempt.identity is ALICE
    assert attempt.check_time(19.9)
    assert not attempt.check_time(20.0)
    assert state_of(attempt) is AttemptState.LAPSED


@pytest.mark.parametrize(
    ("identity", "expected", "signature", "proved"),
    [
        (ALICE, "right", "right", True),
        (ALICE, "right", "wrong", False),
        (ALICE, "right", "", False),
        (ALICE, None, "anything", True),
        (None, "right", "right", False),
        (ALICE, "right", "\ud800", False),
    ],
)
def test_answers(identity, expected, signature, proved):
    attempt = challenged(identity, expected)
    assert attempt.answer(signature) is proved
    assert state_of(attempt) is (AttemptState.PROVED if proved else AttemptState.REFUSED)
    assert not attempt.check_time(0.0)


def test_a_withdrawn_attempt_has_lapsed():
    attempt = CraAttempt(10.0)
    attempt.withdraw()
    assert state_of(attempt) is AttemptState.LAPSED


MOVES = {
    "challenge": lambda attempt: attempt.challenge("right", ALICE, 20.0),
    "withdraw": lambda attempt: attempt.withdraw(),
    "answer": lambda attempt: attempt.answer("right"),
}
LEGAL = {
    AttemptState.ASKED: {"challenge", "withdraw"},
    AttemptState.CHALLENGED: {"answer"},
    AttemptState.PROVED: set(),
    AttemptState.REFUSED: set(),
    AttemptState.LAPSED: set(),
}


@pytest.mark.parametrize("state", AttemptState)
@pytest.mark.parametrize("move", MOVES)
def test_moves_that_are_not_legal_change_nothing(state, move):
    attempt = CraAttempt(10.0)
    attempt.state = state
    if move in LEGAL[state]:
        MOVES[move](attempt)
        assert state_of(attempt) is not state
    else:
        with pytest.raises(IllegalEvent):
            MOVES[move](attempt)
        assert state_of(attempt) is state


def test_secrets_are_in_no_representation():
    assert "right" not in repr(challenged())


@pytest.mark.parametrize("identity", [ALICE, None, Identity(source="cra"), ANONYMOUS])
def test_a_challenge_goes_on_in_another_process(identity):
    attempt = challenged(identity)
    assert CraAttempt(10.0).snapshot() is None
    other = CraAttempt.resume(json.loads(json.dumps(attempt.snapshot())))
    assert other.identity == identity
    assert other.check_time(19.9)
    assert other.answer("right") is (identity is not None)
    assert other.snapshot() is None


def test_the_attempt_of_a_session():
    subscriber: Any = SimpleNamespace(attempt=None)
    assert attempt_of(subscriber) is None
    subscriber.attempt = challenged()
    assert attempt_of(subscriber) is subscriber.attempt
