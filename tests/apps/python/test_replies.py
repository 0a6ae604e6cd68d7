"""What clients see of the outcomes of handlers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.python.failure import Failure

from tests.apps.app_world import logging
from tests.apps.python.fake_server import FakeServer
from wampush.apps import ActionError, Refuse, WampError
from wampush.apps.python.conversions import as_result
from wampush.apps.python.handlers import handler
from wampush.apps.python.runner import Outcome, RunState
from wampush.broker.pending import PASS, Verdict
from wampush.errors import Refusal
from wampush.wamp.messages import Call

HANDLER = handler("x", lambda *_: None, None)
TIMED_OUT, CANCELLED = Outcome(RunState.TIMED_OUT), Outcome(RunState.CANCELLED)
REFUSED = Refusal.APPLICATION_REFUSED.sentence


def raised(error: BaseException) -> Outcome:
    return Outcome(RunState.RAISED, failure=Failure(error))


class Client:
    """A client, and replies to it."""

    def __init__(self) -> None:
        self._server = FakeServer()
        self._subscriber = self._server.subscriber()
        self._session = self._server.sessions.of(self._subscriber)

    def call(self, outcome: Outcome) -> Any:
        replies = self._server.replies
        call = Call("c1", "p", ())
        text = replies.to_call(HANDLER, self._session, self._subscriber, call, outcome)
        return json.loads(text)

    def action(self, outcome: Outcome) -> Any:
        text = self._server.replies.to_action(HANDLER, self._session, outcome)
        return None if text is None else json.loads(text)

    def verdict(self, outcome: Outcome) -> Verdict:
        return self._server.replies.verdict(HANDLER, self._session, outcome)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(RunState.RETURNED, as_result({"a": 1})), [3, "c1", {"a": 1}]),
        (TIMED_OUT, [4, "c1", "http://api.wamp.ws/error#timeout", "this took too long"]),
        (
            CANCELLED,
            [
                4,
                "c1",
                "http://api.wamp.ws/error#unavailable",
                "cancelled because the session or the server ends",
            ],
        ),
        (raised(WampError("u", "d")), [4, "c1", "u", "d"]),
        (raised(WampError("u", "d", [1])), [4, "c1", "u", "d", [1]]),
        (raised(Refuse("no")), [4, "c1", "http://api.wamp.ws/error#forbidden", "no"]),
        (raised(Refuse()), [4, "c1", "http://api.wamp.ws/error#forbidden", REFUSED]),
    ],
)
def test_replies_to_calls(client: Client, outcome: Outcome, expected: Any) -> None:
    assert client.call(outcome) == expected


@pytest.mark.parametrize("error", [ValueError("secret"), WampError("u", "\ud800")])
def test_other_errors_of_calls_are_incidents(client: Client, error: Exception) -> None:
    with logging() as events:
        _, _, uri, description = client.call(raised(error))
    (event,) = events
    assert uri == "http://api.wamp.ws/error#internal"
    assert description == f"internal error, incident {event['incident']}"
    assert event["action"].startswith("x (<lambda>) for session ")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (raised(ActionError(404, "gone")), [404, "gone"]),
        (raised(WampError("u", "d")), ["u", "d"]),
        (raised(Refuse("no")), [403, "no"]),
        (raised(Refuse()), [403, REFUSED]),
        (TIMED_OUT, [504, "this took too long"]),
        (CANCELLED, None),
    ],
)
def test_errors_of_actions(client: Client, outcome: Outcome, expected: Any) -> None:
    assert client.action(outcome) == expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(RunState.RETURNED), PASS),
        (Outcome(RunState.RETURNED, b"1"), Verdict(payload=b"1")),
        (raised(Refuse("no")), Verdict(Refusal.APPLICATION_REFUSED, "no")),
        (raised(WampError("u", "a\nb")), Verdict(Refusal.APPLICATION_REFUSED, "a b")),
        (TIMED_OUT, Verdict(Refusal.APPLICATION_FAILED, "x (<lambda>): this took too long.")),
        (
            CANCELLED,
            Verdict(
                Refusal.APPLICATION_FAILED,
                "x (<lambda>): cancelled because the session or the server ends.",
            ),
        ),
    ],
)
def test_verdicts_of_hooks(client: Client, outcome: Outcome, expected: Verdict) -> None:
    assert client.verdict(outcome) == expected


def test_other_errors_of_actions_and_hooks_are_incidents(client: Client) -> None:
    with logging() as events:
        code, text = client.action(raised(ValueError("secret")))
        verdict = client.verdict(raised(KeyError("secret")))
    first, second = events
    assert (code, text) == (500, f"internal error, incident {first['incident']}")
    assert verdict.refusal is Refusal.APPLICATION_FAILED
    assert verdict.detail == f"x (<lambda>): internal error, incident {second['incident']}."
