"""Handlers of an app about topics that are occupied and vacated."""

# ruff: noqa: ARG001 (handlers take what they are called with)

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.apps.app_world import logging
from tests.apps.python.fake_server import FakeServer
from wampush.apps import App, ServerContext
from wampush.apps.incidents import Incidents
from wampush.apps.python.occupancy import AT_ONCE, AppOccupancy


def occupancy(server: FakeServer, app: App) -> AppOccupancy:
    return AppOccupancy(
        registered=app.registered,
        contexts=server.contexts,
        runner=server.runner,
        incidents=Incidents(server.clock.seconds),
        call_later=server.clock.callLater,
    )


def test_handlers_run_in_the_next_turn_for_their_topics() -> None:
    server, app = FakeServer(), App()
    seen: list[tuple[str, str, float]] = []

    @app.on_occupied("ticker.*")
    def start(ctx: ServerContext, topic: str) -> None:
        seen.append(("start", topic, ctx.publish(topic, 1)))

    @app.on_vacated
    def stop(ctx: ServerContext, topic: str) -> None:
        seen.append(("stop", topic, ctx.now()))

    handlers = occupancy(server, app)
    assert handlers.patterns == ["ticker.*", "*"]
    handlers.on_change("ticker.a", True)
    handlers.on_change("b", True)
    assert seen == []
    server.clock.advance(0)
    handlers.on_change("ticker.a", False)
    server.clock.advance(0)
    assert seen == [("start", "ticker.a", 5), ("stop", "ticker.a", 1000.5)]
    assert server.clock.getDelayedCalls() == []


def test_handlers_of_a_topic_run_one_after_the_other() -> None:
    server, app = FakeServer(), App()
    started: Deferred[None] = Deferred()
    seen: list[str] = []

    @app.on_occupied
    async def start(ctx: ServerContext, topic: str) -> None:
        seen.append("start")
        await started
        seen.append("started")

    @app.on_vacated
    def stop(ctx: ServerContext, topic: str) -> None:
        seen.append("stop")

    handlers = occupancy(server, app)
    handlers.on_change("a", True)
    server.clock.advance(0)
    for is_occupied in (False, True, False):
        handlers.on_change("a", is_occupied)
        server.clock.advance(0)
    assert seen == ["start"]
    started.callback(None)
    server.clock.advance(0)
    assert seen == ["start", "started", "stop"]


def test_few_topics_are_handled_at_once() -> None:
    server, app = FakeServer(), App()
    waiting: list[Deferred[None]] = []

    @app.on_occupied
    def start(ctx: ServerContext, topic: str) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    handlers = occupancy(server, app)
    for number in range(3 * AT_ONCE):
        handlers.on_change(f"t{number}", True)
    server.clock.advance(0)
    server.clock.advance(0)
    assert len(waiting) == AT_ONCE
    waiting[0].callback(None)
    server.clock.advance(0)
    assert len(waiting) == AT_ONCE + 1


def test_an_error_is_logged_and_the_next_handler_runs() -> None:
    server, app, seen = FakeServer(), App(), []

    @app.on_occupied
    def fails(ctx: ServerContext, topic: str) -> None:
        raise ValueError("no feed")

    @app.on_occupied
    def start(ctx: ServerContext, topic: str) -> None:
        seen.append(topic)

    handlers = occupancy(server, app)
    with logging() as events:
        handlers.on_change("a", True)
        server.clock.advance(0)
    assert seen == ["a"]
    (event,) = (each for each in events if "incident" in each)
    assert "for topic 'a'" in event["action"]
    assert "no feed" in event["traceback"]


def test_at_the_end_all_that_waits_begins_at_once() -> None:
    server, app = FakeServer(), App()
    started: Deferred[None] = Deferred()
    seen: list[Any] = []

    @app.on_occupied
    async def start(ctx: ServerContext, topic: str) -> None:
        await started

    @app.on_vacated
    def stop(ctx: ServerContext, topic: str) -> None:
        seen.append(topic)

    handlers = occupancy(server, app)
    handlers.on_change("busy", True)
    server.clock.advance(0)
    handlers.on_change("busy", False)
    for number in range(1000):
        handlers.on_change(f"t{number}", False)
    handlers.stop()
    assert len(seen) == 1000
    stopped = server.runner.stop(5.0)
    assert not stopped.called
    started.callback(None)
    assert seen[1000:] == ["busy"]
    assert stopped.called


def test_at_the_end_a_handler_that_takes_too_long_is_not_followed_by_another() -> None:
    server, app = FakeServer(), App()
    seen: list[str] = []

    @app.on_occupied
    def start(ctx: ServerContext, topic: str) -> Deferred[None]:
        return Deferred()

    @app.on_vacated
    def stop(ctx: ServerContext, topic: str) -> None:
        seen.append(topic)

    handlers = occupancy(server, app)
    handlers.on_change("busy", True)
    server.clock.advance(0)
    handlers.on_change("busy", False)
    handlers.stop()
    stopped = server.runner.stop(5.0)
    server.clock.advance(5.0)
    assert stopped.called
    assert seen == []
