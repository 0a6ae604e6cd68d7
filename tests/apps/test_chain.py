"""Several kinds of application code as one: apps first, then what else decides."""

# ruff: noqa: ARG001, ARG002, ARG005 (the names are those of the protocol)

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from tests.apps.app_world import AppWorld
from wampush.apps import App, Refuse, Rewrite
from wampush.broker.identity import Identity
from wampush.broker.pending import PASS, Verdict
from wampush.broker.requests.application import Decide, Reply
from wampush.broker.requests.connect_request import ConnectAttempt
from wampush.broker.subscriber import Subscriber
from wampush.errors import AuthenticationRefused, CloseReason, Refusal
from wampush.wamp.messages import Call, Publish, Subscribe


@dataclass
class Other:
    """Something behind the apps, such as webhooks."""

    verdict: Verdict = PASS
    refusal: AuthenticationRefused | None = None
    judges_connecting: bool = True
    judges_subscribing: bool = True
    judges_publishing: bool = True
    heard: list[Any] = field(default_factory=list)
    held: list[Decide] = field(default_factory=list)
    holds: bool = False

    def has_procedure(self, uri: str) -> bool:
        return uri in ("both", "other")

    def has_action(self, topic: str) -> bool:
        return topic in ("act", "other-act")

    def connecting(self, attempt: ConnectAttempt) -> Deferred[None]:
        self.heard.append("connecting")
        return succeed(None) if self.refusal is None else fail(self.refusal)

    def on_open(self, subscriber: Subscriber) -> None:
        self.heard.append("opened")

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        self.heard.append("identified")

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        self.heard.append(request.topic)
        if self.holds:
            self.held.append(decide)
        else:
            decide(self.verdict)

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        self.heard.append(json.loads(request.event))
        decide(self.verdict)

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        reply(subscriber.session.result(call.call_id, "other"))

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        self.heard.append(f"act {request.topic}")
        done()

    def on_lost(self, subscriber: Subscriber) -> None:
        self.heard.append("lost")


def refusing(*arguments: Any) -> Any:
    raise Refuse("by the app")


def test_the_first_that_has_a_procedure_or_an_action_gets_it():
    app, other = App(), Other()
    app.procedure("both")(lambda ctx: "app")
    app.action("act")(lambda ctx, details: "app")
    world = AppWorld(app, others=[other])
    client = world.client()
    assert world.call(client, "both") == ["app"]
    assert world.call(client, "other") == ["other"]
    world.says(client, [7, "act", 1], [7, "other-act", 1])
    assert world.got(client) == [[8, "act", "app"]]
    assert other.heard == ["opened", "act other-act"]


def test_what_an_app_has_rewritten_is_what_the_next_one_gets():
    app, other = App(), Other()
    app.on_publish(lambda ctx, topic, data: Rewrite(None))
    world = AppWorld(app, others=[other])
    client = world.client("t")
    world.says(client, [7, "t", 1, False])
    assert other.heard == ["opened", None]
    assert world.got(client) == [[8, "t", None]]
    other.verdict = Verdict(payload=b"[1.0]")
    world.says(client, '[7,"t",1,false]')
    world.world.end_turn()
    assert client.texts == [b'[8,"t",[1.0]]']


def test_what_nobody_rewrites_keeps_its_bytes():
    app = App()
    app.on_publish(lambda ctx, topic, data: None)
    world = AppWorld(app, others=[Other()])
    client = world.client("t")
    world.says(client, '[7,"t",{"n":1.0},false]')
    world.world.end_turn()
    assert client.texts == [b'[8,"t",{"n":1.0}]']


def test_who_is_refused_by_an_app_is_nobody_elses_business():
    app, other = App(), Other()
    app.on_publish(refusing)
    app.on_subscribe(refusing)
    app.on_connect(refusing)
    world = AppWorld(app, others=[other])
    client = world.client()
    world.says(client, [7, "t", 1], [5, "t"])
    assert world.refusals() == [("application-refused", "by the app")] * 2
    assert world.arrive().refused == (CloseReason.CONNECT_REFUSED, "by the app")
    assert other.heard == ["opened"]


def test_a_refusal_after_the_apps_counts_too():
    app = App()
    app.on_subscribe(lambda ctx, topic: succeed(None))
    app.on_connect(lambda ctx: ctx.session.send("t", 1))
    other = Other(Verdict(Refusal.APPLICATION_REFUSED, "by the other"))
    other.refusal = AuthenticationRefused(CloseReason.CONNECT_REFUSED, "by the other")
    world = AppWorld(app, others=[other])
    client = world.client()
    world.says(client, [5, "t"], [7, "t", 1])
    assert world.refusals() == [("application-refused", "by the other")] * 2
    arriving = world.arrive()
    assert arriving.refused == (CloseReason.CONNECT_REFUSED, "by the other")
    session: Any = arriving.client.subscriber.handle
    assert not session.is_open
    assert session._kept == []


def test_a_session_that_is_lost_between_two_that_decide():
    app, other = App(), Other(holds=True)
    app.on_subscribe(lambda ctx, topic: None)
    world = AppWorld(app, others=[other])
    client = world.client()
    world.says(client, [5, "t"])
    world.lose(client)
    other.held[0](PASS)
    assert world.world.subscriptions.topics(client.subscriber) == set()
    assert [reason for reason, _ in world.refusals()] == ["session-ended"]


def test_all_links_are_notified_of_sessions():
    other = Other()
    world = AppWorld(App(), others=[other])
    client = world.client()
    client.become(Identity("7"))
    world.lose(client)
    assert other.heard == ["opened", "identified", "lost"]


def test_only_who_wants_to_be_asked_is_asked():
    app = App()
    app.on_connect(lambda ctx: None)
    other = Other(judges_connecting=False, judges_subscribing=False, judges_publishing=False)
    world = AppWorld(app, others=[other])
    assert world.arrive().outcome is True
    client = world.client()
    world.says(client, [5, "t"], [7, "t", 1])
    assert other.heard == ["opened"]
    assert world.joined.judges_connecting
    assert not world.joined.judges_subscribing
