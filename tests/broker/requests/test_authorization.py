"""What a session may ask for."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.broker.presence.presence_world import PresenceWorld
from tests.broker.world import Client, World
from tests.support.limits import request_limits
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Publishing
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.pending import PendingRequests
from wampush.broker.requests.authorization import RequestChecks, RequestLimits
from wampush.choices import Action, DefaultPermission, PublishPolicy
from wampush.config.tables.permissions import PermissionSettings
from wampush.errors import MessageRefused, Refusal
from wampush.wamp.cra import PROCEDURE_AUTH, PROCEDURE_AUTHREQ
from wampush.wamp.messages import Call, Publish, Subscribe, Unsubscribe
from wampush.wamp.uris import PRESENCE_CHANGES

AWAITED = Identity(source=AWAITING)


@dataclass
class Judge:
    """As much of an application as the checks look at."""

    judges_subscribing: bool = False

    def has_action(self, topic: str) -> bool:
        return topic == "act"


def checks(
    world: World,
    application: Any = None,
    reserved: Container[str] = (),
    limits: RequestLimits | None = None,
) -> RequestChecks:
    return RequestChecks(world.broker, limits or request_limits(), application, reserved)


def permit(
    world: World,
    *rules: PermissionSettings,
    subscribe: DefaultPermission = DefaultPermission.DENY,
) -> None:
    """Replace the permissions; without a default everything that no rule decides is refused."""
    decisions = default_decisions(subscribe, PublishPolicy.NEVER, DefaultPermission.DENY)
    permissions = Permissions(rules, decisions, lambda: world.clock.now)
    world.broker.policy = replace(
        world.broker.policy, permissions=permissions, publishing=Publishing.NOBODY
    )


def rule(topic: str, *actions: Action, **more: Any) -> PermissionSettings:
    return PermissionSettings(topic, actions, ("anyone",), **more)


def refusal(judge: RequestChecks, client: Client, request: Any, size: int = 10) -> Refusal | None:
    """The reason for which a request is refused; None when it is allowed."""
    try:
        judge.check(client.subscriber, request, size)
    except MessageRefused as error:
        return error.refusal
    return None


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("", Refusal.CLIENT_TOPIC_EMPTY),
        ("a" * 8, None),
        ("ä" * 4, None),
        ("😀" * 2, None),
        ("a" * 9, Refusal.CLIENT_TOPIC_TOO_LONG),
        ("ä" * 5, Refusal.CLIENT_TOPIC_TOO_LONG),
    ],
)
def test_the_length_of_a_topic_is_limited_in_bytes(world, topic, reason):
    judge, client = checks(world, limits=request_limits(topic_bytes=8)), world.client()
    assert refusal(judge, client, Subscribe(topic)) is reason
    assert refusal(judge, client, Publish(topic, b"1")) is reason
    # What nobody can have, nobody needs to give up.
    assert refusal(judge, client, Unsubscribe(topic)) is None


def test_the_subscriptions_of_a_session_and_the_topics_of_the_node_are_limited(world):
    judge = checks(world, limits=request_limits(subscriptions=2, topics=3))
    client, other = world.client("a", "b"), world.client("c")
    assert refusal(judge, client, Subscribe("c")) is Refusal.TOO_MANY_SUBSCRIPTIONS
    assert refusal(judge, client, Subscribe("a")) is None
    assert refusal(judge, other, Subscribe("a")) is None
    assert refusal(judge, other, Subscribe("new")) is Refusal.TOO_MANY_TOPICS
    judge.check_room(client.subscriber, "a")
    with pytest.raises(MessageRefused, match="2 are allowed"):
        judge.check_room(client.subscriber, "c")


def test_automatic_topics_take_no_room():
    world = World(auto_subscribe=("all", "more"))
    judge, client = checks(world, limits=request_limits(subscriptions=1)), world.client()
    assert world.subscriptions.topics(client.subscriber) == {"all", "more"}
    assert refusal(judge, client, Subscribe("own")) is None
    world.broker.subscribe(client.subscriber, "own")
    assert refusal(judge, client, Subscribe("other")) is Refusal.TOO_MANY_SUBSCRIPTIONS


@pytest.mark.parametrize(
    ("calls", "size", "detail"),
    [
        ([], 1000, None),
        ([5], 5, None),
        ([5], 6, "11 bytes in all, 10 allowed."),
        ([1, 1, 1], 1, "3 are allowed."),
    ],
)
def test_requests_that_wait_are_limited_by_number_and_size(world, calls, size, detail):
    judge = checks(world, limits=request_limits(pending=3, pending_bytes=10))
    pending = PendingRequests()
    for call in calls:
        pending.add_call(call)
    if detail is None:
        judge.check_pending(pending, size)
    else:
        with pytest.raises(MessageRefused) as caught:
            judge.check_pending(pending, size)
        assert (caught.value.refusal, caught.value.detail) == (Refusal.TOO_MANY_PENDING, detail)


@pytest.mark.parametrize(
    "request_",
    [Subscribe("t"), Unsubscribe("t"), Publish("t", b"1"), Call("1", "p", ())],
)
def test_a_session_that_must_authenticate_may_do_nothing_else(world, request_):
    client = world.client(identity=AWAITED)
    with pytest.raises(MessageRefused) as caught:
        RequestChecks.check_authenticated(client.subscriber, request_)
    assert caught.value.refusal is Refusal.NOT_AUTHENTICATED
    RequestChecks.check_authenticated(world.client().subscriber, request_)


@pytest.mark.parametrize("procedure", [PROCEDURE_AUTHREQ, PROCEDURE_AUTH])
def test_a_session_that_must_authenticate_may_do_so(world, procedure):
    client = world.client(identity=AWAITED)
    RequestChecks.check_authenticated(client.subscriber, Call("1", procedure, ()))


def test_without_permissions_only_publishing_is_restricted():
    world = World(clients_publish=False)
    judge, client = checks(world), world.client()
    assert refusal(judge, client, Subscribe("t")) is None
    assert refusal(judge, client, Call("1", "p", ())) is None
    assert refusal(judge, client, Publish("t", b"1")) is Refusal.PUBLISH_FORBIDDEN
    world.broker.policy = world.broker.policy.with_publishing(Publishing.LOCAL)
    assert refusal(judge, client, Publish("t", b"1")) is Refusal.PUBLISH_FORBIDDEN
    client.peer.is_local = True
    assert refusal(judge, client, Publish("t", b"1")) is None


def test_permissions_decide_by_action_topic_size_and_rate(world):
    permit(
        world,
        rule("read", Action.SUBSCRIBE),
        rule("write", Action.PUBLISH, max_bytes=3),
        rule("p.*", Action.CALL, per_second=1.0, max_bytes=20),
    )
    judge, client = checks(world), world.client()
    assert refusal(judge, client, Subscribe("read")) is None
    assert refusal(judge, client, Subscribe("write")) is Refusal.SUBSCRIBE_FORBIDDEN
    assert refusal(judge, client, Publish("write", b"123")) is None
    assert refusal(judge, client, Publish("write", b"1234")) is Refusal.PUBLISH_TOO_LARGE
    assert refusal(judge, client, Publish("read", b"1")) is Refusal.PUBLISH_FORBIDDEN
    assert refusal(judge, client, Call("1", "q", ())) is Refusal.CALL_FORBIDDEN
    assert refusal(judge, client, Call("1", "p.a", ()), 21) is Refusal.CALL_TOO_LARGE
    assert client.subscriber.buckets is None
    assert refusal(judge, client, Call("1", "p.a", ())) is None
    assert refusal(judge, client, Call("2", "p.b", ())) is Refusal.RATE_EXCEEDED
    assert refusal(judge, world.client(), Call("1", "p.a", ())) is None
    world.clock.advance(1)
    assert refusal(judge, client, Call("3", "p.b", ())) is None


def test_where_no_permission_decides_about_publishing_the_setting_does(world):
    permit(world, rule("other", Action.PUBLISH))
    judge, client = checks(world), world.client()
    assert refusal(judge, client, Publish("t", b"1")) is Refusal.PUBLISH_FORBIDDEN
    world.broker.policy = world.broker.policy.with_publishing(Publishing.EVERYBODY)
    assert refusal(judge, client, Publish("t", b"1")) is None


def test_a_refusal_names_topic_and_user(world):
    permit(world)
    client = world.client(identity=Identity("alice"))
    with pytest.raises(MessageRefused) as caught:
        checks(world).check(client.subscriber, Call("1", "shop.add", ()), 10)
    assert caught.value.detail.startswith("Procedure or action 'shop.add', user 'alice': ")
    with pytest.raises(MessageRefused) as caught:
        checks(world).check(client.subscriber, Subscribe("staff"), 10)
    assert caught.value.detail.startswith("Topic 'staff', user 'alice': ")


def test_a_topic_that_a_session_has_already_needs_no_permission(world):
    permit(world)
    judge = checks(world)
    assert refusal(judge, world.client("t"), Subscribe("t")) is None
    assert refusal(judge, world.client(), Subscribe("t")) is Refusal.SUBSCRIBE_FORBIDDEN


def test_only_the_application_publishes_on_reserved_topics(world):
    judge, client = checks(world, Judge(), {"act.error"}), world.client()
    for topic in ("wampush.x", "act.error"):
        assert refusal(judge, client, Publish(topic, b"1")) is Refusal.CLIENT_TOPIC_RESERVED
    assert refusal(judge, client, Publish("act", b"1")) is None


def test_an_action_needs_the_permission_of_a_call(world):
    permit(world, rule("act", Action.CALL, max_bytes=2))
    judge, client = checks(world, Judge()), world.client()
    assert refusal(judge, client, Publish("act", b"12")) is None
    assert refusal(judge, client, Publish("act", b"123")) is Refusal.CALL_TOO_LARGE
    assert refusal(checks(world), client, Publish("act", b"12")) is Refusal.PUBLISH_FORBIDDEN


def test_changes_of_presence_exist_only_where_presence_is_on():
    world = PresenceWorld()
    judge, client = checks(world), world.client()
    assert refusal(judge, client, Subscribe(PRESENCE_CHANGES + "room.1")) is None
    assert refusal(judge, client, Subscribe(PRESENCE_CHANGES + "other")) is Refusal.PRESENCE_OFF


def test_a_session_may_learn_who_is_on_topics_that_it_may_have(world):
    client = world.client("judged")
    assert checks(world).may_learn(client.subscriber, "t")
    permit(world, rule("t", Action.SUBSCRIBE))
    assert checks(world).may_learn(client.subscriber, "t")
    assert not checks(world).may_learn(client.subscriber, "u")
    # The application has not decided about this one.
    assert not checks(world, Judge(True)).may_learn(client.subscriber, "t")
    permit(world, subscribe=DefaultPermission.ALLOW)
    assert checks(world, Judge(True)).may_learn(client.subscriber, "judged")
