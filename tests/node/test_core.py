"""The broker of a node, its applications and its handler, put together without a socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.support.limits import PREFIX_LIMITS
from wampush.apps import App, Context
from wampush.broker.access.policy import Publishing
from wampush.broker.identity import Identity
from wampush.broker.ledger import Source
from wampush.broker.subscriber import Subscriber
from wampush.choices import Action
from wampush.config.load import load
from wampush.config.settings import Settings
from wampush.edges.auth.authenticator import Authenticator
from wampush.errors import OperatorError, PushRefused
from wampush.node.core import Core, make_core, make_requests
from wampush.testing.clock import ThreadedClock
from wampush.testing.wire import MemoryOutbox
from wampush.wamp.session import WampSession
from wampush.wamp.uris import WAMP1


def core_of(clock: Any, **settings: object) -> Core:
    """The core of a node with these settings, by key with ``__`` for the dot."""
    overrides = {key.replace("__", "."): value for key, value in settings.items()}
    return make_core(
        load(None, {}, overrides).settings, clock, now=lambda: 1000.0, elapsed=clock.seconds
    )


def test_nobody_may_publish_until_that_is_decided() -> None:
    core = make_core(Settings(), Clock())
    assert core.broker.policy.publishing is Publishing.NOBODY
    assert core.broker.policy.permissions is None
    assert core.broker.automatic is None


def test_settings_of_clients(log: list[str]) -> None:
    core = core_of(Clock(), clients__subscribe="deny", clients__auto_subscribe=["user.{user}"])
    permissions, automatic = core.broker.policy.permissions, core.broker.automatic
    assert permissions is not None
    assert automatic is not None
    assert not permissions.decide(Identity(), Action.SUBSCRIBE, "any").allowed
    assert automatic.topics(Identity("7")) == {"user.7"}
    assert any("permissions: 0 entries; where none decides" in line for line in log)


def test_one_thread_sends_by_default() -> None:
    assert core_of(Clock()).broker.fanout.send_threads is None


def test_threads_that_send_are_those_of_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, int]] = []

    class Together:
        def __init__(self, count: int) -> None:
            self.count = count

        def send_each(self, handles: list[Any], _: list[bytes]) -> list[tuple[int, int]]:
            sent.append((f"{self.count} threads", len(handles)))
            return []

    def alone(handles: list[Any], _: list[bytes]) -> list[tuple[int, int]]:
        sent.append(("alone", len(handles)))
        return []

    extension = SimpleNamespace(send_each=alone, SendThreads=Together)
    monkeypatch.setattr("wampush.node.core.EXTENSION", extension)
    threads = core_of(Clock(), process__send_threads=3).broker.fanout.send_threads
    assert threads is not None
    for count in (1, 100):
        threads.send_each([None] * count, [b""] * count)
    assert sent == [("alone", 1), ("3 threads", 100)]


def test_without_the_extension_the_log_says_that_threads_do_not_send(
    monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    why = "process.send_threads = 2 has no effect"
    monkeypatch.setattr("wampush.node.core.EXTENSION", None)
    monkeypatch.setattr("wampush.node.core.threads_problem", lambda count: f"{why} ({count})")
    assert core_of(Clock(), process__send_threads=2).broker.fanout.send_threads is None
    assert any(f"{why} (2)" in line for line in log)


def test_the_clock_of_the_node_schedules_the_end_of_a_turn() -> None:
    clock: Any = ThreadedClock()
    core = core_of(clock, limits__topic_bytes=5)
    with pytest.raises(PushRefused):
        core.ingest.publication([b"longer", b"1"])
    texts: list[bytes] = []
    outbox = MemoryOutbox(1000, core.backpressure, texts.append)
    session = WampSession(WAMP1, "test/1", PREFIX_LIMITS)
    subscriber = Subscriber(session, outbox)
    core.broker.on_open(subscriber)
    core.broker.subscribe(subscriber, "topic")
    core.broker.push(Source.HTTP, core.ingest.publication([b"topic", b"1"]))
    assert texts == []
    clock.advance(0)
    assert texts[1:] == [b'[8,"topic",1]']


def test_apps_and_their_procedures_are_asked() -> None:
    app = App()

    @app.procedure("shop.now")
    def now(ctx: Context) -> float:
        return ctx.now()

    clock: Any = ThreadedClock()
    core = core_of(clock)
    authenticator = Authenticator(core.settings, clock, core.now)
    apps, requests = make_requests(core, {"shop:app": app}, (), authenticator)
    application = apps.application
    assert application is not None
    assert requests.application is application
    assert application.has_procedure("shop.now")
    assert {"wampush.session", "wampush.time", "wampush.presence.list"} <= set(requests.procedures)
    apps.stop(0)


def test_an_app_needs_the_settings_for_its_keys() -> None:
    app = App()
    app.cra_key(lambda ctx, name: None)  # noqa: ARG005 - the handler is not called
    clock: Any = ThreadedClock()
    core = core_of(clock)
    authenticator = Authenticator(core.settings, clock, core.now)
    with pytest.raises(OperatorError, match=r"auth\.order must contain"):
        make_requests(core, {"shop:app": app}, (), authenticator)
