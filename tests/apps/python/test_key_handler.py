"""An app's cra_key handler, run for a session."""

# ruff: noqa: ARG005 (handlers take what they are called with)

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from tests.apps.app_world import logging
from tests.apps.python.fake_server import FakeServer
from wampush.apps import Context, CraSecret, Identity
from wampush.apps.python.handlers import handler
from wampush.apps.python.key_handler import KeyHandler
from wampush.apps.python.runner import Outcome, RunState
from wampush.broker.requests.cra_key_store import CraKey


def find(server: FakeServer, function: Any, name: str = "ann") -> Outcome:
    key_handler = KeyHandler(
        handler("cra_key", function, ("name",)), server.contexts, server.runner, server.replies
    )
    outcomes: list[Outcome] = []
    key_handler.find(server.subscriber(), name).addCallback(outcomes.append)
    (outcome,) = outcomes
    return outcome


def test_a_secret_becomes_a_key() -> None:
    asked: list[tuple[bool, str]] = []

    def key(ctx: Context, name: str) -> CraSecret:
        asked.append((ctx.session.is_open, name))
        return CraSecret("s", Identity("7", source="app"))

    outcome = find(FakeServer(), key)
    assert outcome == Outcome(RunState.RETURNED, CraKey("s", Identity("7", source="cra")))
    assert asked == [(True, "ann")]


def test_an_unknown_name_has_no_key() -> None:
    assert find(FakeServer(), lambda ctx, name: None) == Outcome(RunState.RETURNED)


def test_anything_else_is_an_error_that_does_not_show_it() -> None:
    outcome = find(FakeServer(), lambda ctx, name: "hidden")
    assert outcome.failure is not None
    assert "hidden" not in str(outcome.failure.value)


def test_its_errors_are_incidents() -> None:
    server = FakeServer()
    made = handler("cra_key", lambda ctx, name: None, ("name",))
    key_handler = KeyHandler(made, server.contexts, server.runner, server.replies)
    with logging() as events:
        text = key_handler.incident(server.subscriber(), Failure(ValueError("hidden")))
    assert text == f"internal error, incident {events[0]['incident']}"
