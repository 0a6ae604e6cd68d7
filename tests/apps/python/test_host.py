"""Hooks of apps: what they decide, and that it is decided whatever they do."""

# ruff: noqa: ARG001, ARG005 (handlers take what they are called with)

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.apps.app_world import CONNECT_TIMEOUT, TIMEOUT, AppWorld, logging
from wampush.apps import App, ConnectContext, Context, Refuse, Rewrite, Session, WampError
from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.errors import CloseReason, NotSerialisable, PushRefused

ANN = Identity("7", frozenset({"staff"}), language="de", web_session="abc", source="token")


@pytest.fixture
def logged():
    """The events of the log."""
    with logging() as events:
        yield events


def incidents(events: list[Any]) -> list[Any]:
    return [event for event in events if "incident" in event]


def raising(error: Any) -> Any:
    def function(*arguments):
        raise error

    return function


def raising_later(error: Any) -> Any:
    async def function(*arguments):
        await succeed(None)
        raise error

    return function


#: Handlers that come to nothing, with what is logged of them.
FAILING = [
    raising(ValueError("secret")),
    raising_later(ValueError("secret")),
    raising(SystemExit(1)),
    raising(StopIteration),
    lambda *arguments: True,
    lambda *arguments: False,
    lambda *arguments: succeed("yes"),
]


# Subscriptions.


def test_a_subscription_passes_when_nobody_objects():
    app = App()
    asked: list[Any] = []
    app.on_subscribe(lambda ctx, topic: asked.append((ctx.session.user, topic)))
    app.on_subscribe("b*")(lambda ctx, topic: asked.append(topic))
    app.on_subscribe("b")(lambda ctx, topic: asked.append(topic))
    world = AppWorld(app)
    client = world.client(identity=ANN)
    world.says(client, [5, "a"], [5, "b"], [5, "bc"])
    assert world.world.subscriptions.topics(client.subscriber) == {"a", "b", "bc"}
    assert asked == [("7", "a"), ("7", "b"), "b", "b", ("7", "bc"), "bc"]


@pytest.mark.parametrize("make", [raising, raising_later])
def test_a_refusal_is_counted_with_its_reason(make):
    app = App()
    later: list[str] = []
    app.on_subscribe(make(Refuse("only\non weekdays")))
    app.on_subscribe(lambda ctx, topic: later.append(topic))
    world = AppWorld(app)
    client = world.client()
    world.says(client, [5, "a"])
    assert world.world.subscriptions.topics(client.subscriber) == set()
    assert world.refusals() == [("application-refused", "only on weekdays")]
    assert later == []


def test_the_apps_own_error_refuses_and_may_end_the_session():
    app = App()
    app.on_subscribe(raising(WampError("x:y", "enough", end_session=True)))
    world = AppWorld(app)
    client = world.client()
    world.says(client, [5, "a"])
    assert world.refusals() == [("application-refused", "enough")]
    assert client.peer.ends == [(CloseReason.ENDED_BY_APPLICATION, "enough")]


@pytest.mark.parametrize("function", FAILING)
@pytest.mark.parametrize("hook", ["on_subscribe", "on_publish"])
def test_a_hook_that_fails_has_refused(hook, function, logged):
    app = App()
    getattr(app, hook)(function)
    world = AppWorld(app)
    client = world.client("b")
    world.says(client, [5, "a"] if hook == "on_subscribe" else [7, "b", 1, False])
    assert world.world.subscriptions.topics(client.subscriber) == {"b"}
    assert world.got(client) == []
    ((reason, detail),) = world.refusals()
    (event,) = incidents(logged)
    assert reason == "application-failed"
    assert f"incident {event['incident']}" in detail
    assert "secret" not in detail
    assert client.subscriber.pending is None


@pytest.mark.parametrize("hook", ["on_subscribe", "on_publish"])
def test_a_hook_that_takes_too_long_has_refused(hook):
    app = App()
    getattr(app, hook)(lambda *arguments: Deferred())
    world = AppWorld(app)
    client = world.client("b")
    world.says(client, [5, "a"] if hook == "on_subscribe" else [7, "b", 1, False])
    assert world.refusals() == []
    world.advance(TIMEOUT)
    assert world.world.subscriptions.topics(client.subscriber) == {"b"}
    assert world.got(client) == []
    assert [reason for reason, _ in world.refusals()] == ["application-failed"]
    assert client.subscriber.pending is None


def test_requests_take_effect_in_order_after_a_slow_hook():
    app = App()
    world: AppWorld

    async def slow(ctx: Context, topic: str) -> None:
        await deferLater(world.clock, 3 if topic == "a" else 1)

    app.on_subscribe(slow)
    app.procedure("p")(lambda ctx: "called")
    world = AppWorld(app)
    client = world.client("news")
    world.says(client, [5, "a"], [5, "b"], [6, "b"], [2, "id", "p"], [7, "news", 1, False])
    world.advance(1)
    assert world.got(client) == []
    world.advance(2)
    assert world.world.subscriptions.topics(client.subscriber) == {"news", "a"}
    assert world.got(client) == [[3, "id", "called"], [8, "news", 1]]


def test_a_hook_of_a_vanished_session_is_cancelled():
    app = App()
    cancelled: list[str] = []

    @app.on_subscribe
    async def wait(ctx: Context, topic: str) -> None:
        try:
            await Deferred()
        except CancelledError:
            cancelled.append(topic)
            raise

    @app.on_subscribe
    async def never(ctx: Context, topic: str) -> None:
        cancelled.append("never")

    world = AppWorld(app)
    client = world.client()
    world.says(client, [5, "a"], [5, "b"])
    world.lose(client)
    assert sorted(cancelled) == ["a", "b"]
    assert [reason for reason, _ in world.refusals()] == ["session-ended", "session-ended"]


# Publications.


def published(function: Any, text: str) -> list[bytes]:
    """What a subscriber gets of a publication, as it was sent."""
    app = App()
    app.on_publish("t")(function)
    world = AppWorld(app)
    client, other = world.client(), world.client("t")
    world.says(client, text)
    world.world.end_turn()
    return other.texts


@pytest.mark.parametrize(
    "payload",
    [
        b'{"n":1.0,"big":123456789012345678901234567890,"x":1e2}',
        b'{ "a" : 1, "a" : 2 }',
        b"-0.0",
        b"1" * 300,
        b"[" * 900 + b"]" * 900,
        b"[" * 900 + b"1" * 30 + b"]" * 900,
        b'"\\u00e9"',
    ],
    ids=lambda payload: payload[:10].decode(),
)
@pytest.mark.parametrize("later", [False, True])
def test_what_passes_keeps_its_bytes(payload, later):
    app = App()
    seen: list[Any] = []

    def look(ctx: Context, topic: str, data: Any) -> Any:
        seen.append(data)
        return succeed(None) if later else None

    app.on_publish(look)
    world = AppWorld(app)
    client, other = world.client(), world.client("t")
    world.says(client, b'[7,"t",'.decode() + payload.decode() + "]")
    world.world.end_turn()
    assert other.texts == [b'[8,"t",' + payload + b"]"]
    assert len(seen) == 1


def test_handlers_get_whole_numbers_with_all_their_digits():
    app = App()
    seen: list[Any] = []
    app.on_publish(lambda ctx, topic, data: seen.append(data))
    world = AppWorld(app)
    world.says(world.client(), '[7,"t",[123456789012345678901234567890,-18446744073709551617,1.5]]')
    assert seen == [[123456789012345678901234567890, -18446744073709551617, 1.5]]


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, 10**30, {"b": [1.5]}])
def test_a_publication_can_be_rewritten_to_any_value(value):
    (text,) = published(lambda ctx, topic, data: Rewrite(value), '[7,"t",{"before":1}]')
    assert json.dumps(json.loads(text)) == json.dumps([8, "t", value])


def test_the_next_hook_gets_what_the_one_before_has_made_of_it():
    app, second = App(), App()
    app.on_publish(lambda ctx, topic, data: Rewrite([*data, 1]))
    app.on_publish(lambda ctx, topic, data: None)
    app.on_publish(lambda ctx, topic, data: Rewrite([*data, 2]))
    app.on_publish("other")(lambda ctx, topic, data: Rewrite("never"))
    second.on_publish(lambda ctx, topic, data: succeed(Rewrite((*data, 3))))
    world = AppWorld(app, second)
    client = world.client("t")
    world.says(client, [7, "t", [0], False])
    assert world.got(client) == [[8, "t", [0, 1, 2, 3]]]


def test_what_one_hook_does_to_its_data_another_does_not_see():
    app = App()

    @app.on_publish
    def careless(ctx: Context, topic: str, data: Any) -> None:
        data.append("changed")

    seen: list[Any] = []
    app.on_publish(lambda ctx, topic, data: seen.append(data))
    world = AppWorld(app)
    world.says(world.client(), [7, "t", [0]])
    assert seen == [[0]]


def test_the_first_refusal_of_several_apps_ends_it():
    first, second = App(), App()
    asked: list[str] = []
    first.on_publish(raising(Refuse("first")))
    second.on_publish(lambda ctx, topic, data: asked.append(topic))
    world = AppWorld(first, second)
    client = world.client("t")
    world.says(client, [7, "t", 1, False])
    assert world.got(client) == []
    assert world.refusals() == [("application-refused", "first")]
    assert asked == []


def test_what_cannot_be_rewritten_so_is_refused(logged):
    assert published(lambda ctx, topic, data: Rewrite(object()), '[7,"t",1]') == []
    assert published(lambda ctx, topic, data: {"not": "a rewrite"}, '[7,"t",1]') == []
    assert len(incidents(logged)) == 2


def test_exclude_and_eligible_hold_for_what_was_rewritten():
    app = App()
    app.on_publish(lambda ctx, topic, data: Rewrite(2))
    world = AppWorld(app)
    client, one, two = world.client("t"), world.client("t"), world.client("t")
    world.says(client, [7, "t", 1, [one.id]])
    assert [world.got(each) for each in (client, one, two)] == [[[8, "t", 2]], [], [[8, "t", 2]]]


# Clients that want in.


def test_who_wants_in_is_known_with_its_request():
    app = App()
    seen: list[Any] = []

    @app.on_connect
    def look(ctx: ConnectContext) -> None:
        request, session = ctx.request, ctx.session
        seen.append((request.path, request.parameters, request.cookies, request.headers["x-a"]))
        seen.append((session.user, session.address, session.id, session.is_open))

    world = AppWorld(app)
    arriving = world.arrive("/?room=1&x=%20", ANN, cookie="a=1", **{"x-a": "b"})
    assert seen == [
        ("/", {"room": "1", "x": " "}, {"a": "1"}, "b"),
        ("7", "192.0.2.7", arriving.client.id, False),
    ]
    assert arriving.outcome is True


@pytest.mark.parametrize("make", [raising, raising_later])
def test_who_is_refused_is_kept_out_with_the_reason(make):
    app = App()
    asked: list[str] = []
    app.on_connect(make(Refuse("banned")))
    app.on_connect(lambda ctx: asked.append("second"))
    assert AppWorld(app).arrive().refused == (CloseReason.CONNECT_REFUSED, "banned")
    assert asked == []


@pytest.mark.parametrize("function", FAILING)
def test_an_on_connect_that_fails_keeps_out(function, logged):
    app = App()
    app.on_connect(function)
    assert AppWorld(app).arrive().refused == (CloseReason.CONNECT_UNDECIDED, "")
    assert len(incidents(logged)) == 1


def test_an_on_connect_that_takes_too_long_keeps_out():
    app = App()
    app.on_connect(lambda ctx: Deferred())
    world = AppWorld(app)
    arriving = world.arrive()
    assert arriving.outcome is None
    world.advance(CONNECT_TIMEOUT)
    assert arriving.refused == (CloseReason.CONNECT_UNDECIDED, "")


def test_who_goes_away_meanwhile_cancels_what_was_asked():
    app = App()
    cancelled: list[Session] = []

    @app.on_connect
    async def wait(ctx: ConnectContext) -> None:
        try:
            await Deferred()
        except CancelledError:
            cancelled.append(ctx.session)
            raise

    world = AppWorld(app)
    arriving = world.arrive()
    arriving.waiting.cancel()
    assert isinstance(arriving.outcome, Failure)
    assert arriving.outcome.check(CancelledError)
    (session,) = cancelled
    session.send("t", 1)
    assert not session.is_open
    assert world.clock.getDelayedCalls() == []


def test_what_is_sent_before_welcome_follows_it():
    app = App()
    sessions: list[Session] = []

    @app.on_connect
    async def greet(ctx: ConnectContext) -> None:
        ctx.session.send("first", 1)
        ctx.session.data.name = "Ann"
        await succeed(None)
        ctx.session.send("second", None)
        sessions.append(ctx.session)

    app.procedure("name")(lambda ctx: [ctx.session.data.name, ctx.session is sessions[0]])
    world = AppWorld(app)
    arriving = world.arrive()
    assert bytes(arriving.client.wire.received) == b""
    client = arriving.enter()
    assert b"[0," in client.wire.received
    assert world.got(client) == [[8, "first", 1], [8, "second", None]]
    assert world.call(client, "name") == [["Ann", True]]


def test_what_was_sent_to_who_is_kept_out_is_gone():
    app = App()
    sessions: list[Session] = []

    @app.on_connect
    def greet(ctx: ConnectContext) -> None:
        ctx.session.send("first", 1)
        sessions.append(ctx.session)
        raise Refuse

    arriving = AppWorld(app).arrive()
    assert arriving.refused == (CloseReason.CONNECT_REFUSED, "")
    sessions[0].send("second", 2)
    sessions[0].end("again")
    assert bytes(arriving.client.wire.received) == b""
    assert arriving.client.peer.ends == []


def test_ending_a_session_that_wants_in_keeps_it_out():
    app = App()
    app.on_connect(lambda ctx: ctx.session.end("not today"))
    assert AppWorld(app).arrive().refused == (CloseReason.CONNECT_REFUSED, "not today")


def test_a_plain_websocket_that_wants_in_has_no_session_to_send_to():
    app = App()
    seen: list[Any] = []

    @app.on_connect
    def look(ctx: ConnectContext) -> None:
        ctx.session.send("t", 1)
        seen.append((ctx.session.id, ctx.session.user, ctx.request.path))

    world = AppWorld(app)
    request = ConnectRequest("/chat?x=1", {}, "192.0.2.7")
    agreed: list[None] = []
    world.joined.connecting(ConnectAttempt(ANN, request, None)).addCallback(agreed.append)
    assert agreed == [None]
    assert seen == [("", "7", "/chat")]


def test_all_apps_have_to_agree():
    first, second = App(), App()
    first.on_connect(lambda ctx: None)
    second.on_connect(raising(Refuse("second")))
    assert AppWorld(first, second).arrive().refused == (CloseReason.CONNECT_REFUSED, "second")
    assert AppWorld(App(), first).arrive().outcome is True


def test_nobody_is_asked_where_there_is_no_hook():
    world = AppWorld(App())
    joined = world.joined
    assert not joined.judges_connecting
    assert not joined.judges_subscribing
    assert not joined.judges_publishing


# Who comes and goes.


def test_authenticated_when_it_opens_and_when_it_becomes_somebody_else():
    app = App()
    seen: list[Any] = []
    app.on_authenticated(lambda ctx: seen.append((ctx.session.user, ctx.session.is_open)))
    world = AppWorld(app)
    world.client()
    assert seen == []
    client = world.client(identity=ANN)
    assert seen == [("7", True)]
    client.become(Identity("8"))
    client.become(Identity("8", expires=5.0))
    client.become(Identity("8", frozenset({"staff"}), expires=6.0))
    client.become(Identity())
    assert seen == [("7", True), ("8", True), ("8", True)]


@pytest.mark.parametrize("make", [raising, raising_later])
def test_a_refusal_once_it_is_known_who_it_is_ends_the_session(make, logged):
    app = App()
    app.on_authenticated(make(Refuse("go away")))
    client = AppWorld(app).client(identity=ANN)
    assert client.peer.ends == [(CloseReason.ENDED_BY_APPLICATION, "go away")]
    assert incidents(logged) == []


def test_an_on_authenticated_that_fails_is_logged_and_nothing_else(logged):
    app = App()
    app.on_authenticated(raising(ValueError("secret")))
    client = AppWorld(app).client(identity=ANN)
    assert client.peer.ends == []
    assert len(incidents(logged)) == 1


def test_an_ended_session_has_a_reason_and_keeps_its_identity():
    app = App()
    seen: list[Any] = []

    @app.on_disconnect
    def gone(ctx: Context, reason: str) -> None:
        session = ctx.session
        session.send("t", 1)
        session.end("again")
        seen.append((reason, session.user, session.id, session.address, session.is_open))
        seen.append(ctx.publish("left", session.user))

    world = AppWorld(app)
    client, other = world.client("t", identity=ANN), world.client("left")
    world.lose(client, CloseReason.SLOW_CLIENT)
    assert seen == [("slow-client", "7", client.id, "192.0.2.1", False), 1]
    assert client.peer.ends == []
    assert world.got(other) == [[8, "left", "7"]]


def test_handlers_of_the_end_are_not_cancelled_by_it():
    app = App()
    ended: list[str] = []
    world: AppWorld

    @app.on_disconnect
    async def gone(ctx: Context, reason: str) -> None:
        await deferLater(world.clock, 3)
        ended.append(ctx.session.id)

    world = AppWorld(app)
    client = world.client()
    world.lose(client)
    world.advance(3)
    assert ended == [client.id]


def test_a_session_that_is_kept_does_nothing_once_it_is_lost():
    app = App()
    kept: list[Session] = []
    app.procedure("keep")(lambda ctx: kept.append(ctx.session))
    world = AppWorld(app)
    client = world.client(identity=ANN)
    world.call(client, "keep")
    (session,) = kept
    assert (session.is_open, repr(session)) == (True, f"<Session {client.id} of 192.0.2.1>")
    world.lose(client)
    session.send("t", 1)
    session.end()
    assert (session.user, session.identity, session.is_open) == ("7", ANN, False)
    assert client.peer.ends == []


def test_the_end_of_the_node_waits_for_what_runs_and_then_cancels_it():
    app = App()
    cancelled: list[bool] = []
    app.on_disconnect(lambda ctx, reason: Deferred(lambda _: cancelled.append(True)))
    world = AppWorld(app)
    world.lose(world.client())
    stopped: list[None] = []
    world.node.stop(4).addCallback(stopped.append)
    assert stopped == []
    world.advance(4)
    assert stopped == [None]
    assert cancelled == [True]
    assert world.clock.getDelayedCalls() == []


def test_the_end_of_the_node_does_not_wait_for_threads_that_nobody_waits_for():
    begun, gate = threading.Event(), threading.Event()

    def blocking(ctx: Context) -> None:
        begun.set()
        assert gate.wait(20)

    app = App()
    app.procedure("p", threaded=True)(blocking)
    world = AppWorld(app)
    client = world.client()
    world.call(client, "p")
    assert begun.wait(20)
    world.lose(client)
    stopped: list[None] = []
    world.node.stop(4).addCallback(stopped.append)
    world.advance(0)
    assert stopped == [None]
    gate.set()
    world.run_thread()


# What contexts can do.


def test_publishing_to_all_and_to_some():
    app = App()

    @app.procedure("tell")
    def tell(ctx: Context, to: Any) -> int:
        return ctx.publish("news", {"n": 1}, to=to)

    world = AppWorld(app)
    ann, nobody = world.client("news", identity=ANN), world.client("news")
    assert world.call(nobody, "tell", None) == [2]
    assert world.got(ann) == [[8, "news", {"n": 1}]]
    assert world.call(nobody, "tell", {"users": ["7"]}) == [1]
    assert world.got(ann) == [[8, "news", {"n": 1}]]
    assert world.call(nobody, "tell", {"groups": ["none"]}) == [0]
    uri, _ = world.call(nobody, "tell", {"user": ["7"]})
    assert uri.endswith("#internal")


def test_typed_targets():
    from wampush.apps import Targets

    app = App()
    app.procedure("tell")(lambda ctx: ctx.publish("news", 1, Targets(users=frozenset({"7"}))))
    world = AppWorld(app)
    world.client("news", identity=ANN)
    assert world.call(world.client("news"), "tell") == [1]


@pytest.mark.parametrize("topic", ["", "wampush.x", "x" * 1025, 5, None, "é" * 600])
def test_topics_that_apps_may_not_use(topic):
    app = App()

    @app.procedure("p")
    def use(ctx: Context) -> list[str]:
        found = []
        for call in (ctx.publish, ctx.session.send):
            with pytest.raises(PushRefused) as caught:
                call(topic, 1)
            found.append(caught.value.refusal.code)
        return found

    world = AppWorld(app)
    ((first, second),) = world.call(world.client(), "p")
    assert first == second
    assert first.startswith("topic-")


def test_data_without_json_form_can_be_sent_nowhere():
    app = App()

    @app.procedure("p")
    def use(ctx: Context) -> None:
        for call in (ctx.publish, ctx.session.send):
            with pytest.raises(NotSerialisable):
                call("t", object())

    world = AppWorld(app)
    assert world.call(world.client("t"), "p") == [None]


def test_clock_log_and_presence(logged):
    app = App()

    @app.procedure("p")
    def use(ctx: Context) -> list[Any]:
        ctx.log.info("a line of {who}", who="ours")
        presence = ctx.presence
        return [
            ctx.now() > 1_600_000_000,
            presence.num_online,
            presence.num_clients,
            presence.is_online("7"),
            presence.users("news"),
        ]

    world = AppWorld(app)
    world.client("news", identity=ANN)
    assert world.call(world.client(), "p") == [[True, 1, 2, True, {"7": 1}]]
    (line,) = [event for event in logged if event.get("who") == "ours"]
    assert line["log_namespace"] == "shop"


def test_a_session_tells_who_it_is():
    app = App()

    @app.procedure("who")
    def who(ctx: Context) -> list[Any]:
        identity = ctx.session.identity
        return [identity.user, sorted(identity.groups), identity.language, identity.web_session]

    world = AppWorld(app)
    assert world.call(world.client(identity=ANN), "who") == [["7", ["staff"], "de", "abc"]]
    assert world.call(world.client(), "who") == [[None, [], None, None]]


# Calls and actions; replies and runs have tests of their own.


def test_a_call_reaches_its_procedure():
    app = App()
    app.procedure("add")(lambda ctx, a, b: a + b)
    world = AppWorld(app)
    client = world.client()
    assert world.call(client, "add", 1, 2) == [3]
    uri, description = world.call(client, "add", 1)
    assert uri == "http://api.wamp.ws/error#invalid-argument"
    assert description == "add: expected 2 arguments (a, b), got 1"


def test_an_action_replies_to_its_sender():
    app = App()
    app.action("order")(lambda ctx, details: details or None)
    app.action("fail")(raising(WampError("u", "closed", end_session=True)))
    world = AppWorld(app)
    client, other = world.client("order"), world.client("order")
    world.says(client, [7, "order", [1]], [7, "order", 0], [7, "fail", 1])
    assert world.got(client) == [[8, "order", [1]], [8, "fail:error", ["u", "closed"]]]
    assert world.got(other) == []
    assert client.peer.ends == [(CloseReason.ENDED_BY_APPLICATION, "closed")]


def test_the_topics_that_only_the_app_publishes_on():
    app = App()
    app.action("order")(lambda ctx, details: None)
    app.action("Client/authentication")(lambda ctx, details: None)
    world = AppWorld(app)
    assert world.node.reserved == {
        "order:error",
        "Client/authentication:error",
        "Client/authentication",
    }
