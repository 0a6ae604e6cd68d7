"""What clients may ask and watch about presence, and which may not."""

# ruff: noqa: ARG002 (the names are those of the protocol)

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.broker.presence.presence_world import CLIENTS, ONLINE, PresenceWorld, changes, person
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.pending import PASS
from wampush.broker.requests.application import Decide
from wampush.broker.requests.presence import ERROR_PRESENCE_OFF
from wampush.broker.requests.procedures import ERROR_INVALID_ARGUMENT
from wampush.broker.subscriber import Subscriber
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings
from wampush.errors import Refusal
from wampush.wamp.messages import Subscribe
from wampush.wamp.uris import ERROR_FORBIDDEN

ROOM = "room.1"
LIST, COUNTS = "wampush.presence.list", "wampush.presence.counts"


def refusals(world: PresenceWorld) -> dict[str, int]:
    return dict(world.ledger.refusals())


def test_the_counts() -> None:
    world = PresenceWorld()
    world.join("7")
    client = world.join("7")
    assert world.call(client, COUNTS) == {"num_online": 1, "num_clients": 2}


def test_a_list_is_limited_and_says_when_it_is_truncated() -> None:
    world = PresenceWorld(list_users=3)
    client = world.join(None)
    for number in range(3):
        world.join(str(number), ROOM)
    answer = world.call(client, LIST, ROOM)
    assert [each["user"] for each in answer["users"]] == ["0", "1", "2"]
    assert answer["truncated"] is False
    world.join("3", ROOM)
    answer = world.call(client, LIST, ROOM)
    assert [each["user"] for each in answer["users"]] == ["0", "1", "2"]
    assert (answer["num_users"], answer["truncated"]) == (4, True)


def test_the_list_of_a_topic_with_nobody_on_it() -> None:
    world = PresenceWorld()
    assert world.listed(world.join(None), "room.never") == {}


@pytest.mark.parametrize(
    ("procedure", "arguments"),
    [
        (LIST, []),
        (LIST, [1]),
        (LIST, [None]),
        (LIST, [[ROOM]]),
        (LIST, [ROOM, ROOM]),
        (COUNTS, [1]),
    ],
)
def test_wrong_arguments(procedure: str, arguments: list[object]) -> None:
    world = PresenceWorld()
    uri, text, *_ = world.call(world.join(None), procedure, *arguments)
    assert uri == ERROR_INVALID_ARGUMENT
    assert "argument" in text


@pytest.mark.parametrize("topic", ["news", "room.quiet", ONLINE, changes(ROOM), ""])
def test_a_topic_without_presence(topic: str) -> None:
    world = PresenceWorld()
    answer = world.call(world.join("7"), LIST, topic)
    assert answer == [ERROR_PRESENCE_OFF, Refusal.PRESENCE_OFF.sentence, {"topic": topic}]


def test_changes_of_a_topic_without_presence_cannot_be_watched() -> None:
    world = PresenceWorld()
    client = world.join(None, changes("room.quiet"), changes("news"), changes(""))
    assert world.subscriptions.topics(client.subscriber) == set()
    assert refusals(world) == {"presence-off": 3}
    assert "room.quiet" in world.ledger.recent[0].detail


# Permissions.


def secret_room(*more: PermissionSettings) -> PresenceWorld:
    """A world in which only staff may have the room."""
    rules = [
        *more,
        PermissionSettings(ROOM, (Action.SUBSCRIBE,), ("group:staff",)),
        PermissionSettings(ROOM, (Action.SUBSCRIBE,), ("anyone",), allow=False),
    ]
    return PresenceWorld(permissions=rules)


def test_a_session_that_may_not_subscribe_learns_nothing_about_the_topic() -> None:
    world = secret_room()
    stranger = world.join("7", changes(ROOM))
    staff = world.client(identity=person("8", "staff"), limit=10_000)
    world.say(staff, [5, ROOM], [5, changes(ROOM)])
    assert world.subscriptions.topics(stranger.subscriber) == set()
    assert refusals(world) == {"subscribe-forbidden": 1}
    uri, _, details = world.call(stranger, LIST, ROOM)
    assert (uri, details) == (ERROR_FORBIDDEN, {"reason": "subscribe-forbidden"})
    assert world.listed(staff, ROOM) == {"8": 1}


def test_changes_need_a_permission_of_their_own_too() -> None:
    world = PresenceWorld(
        permissions=[
            PermissionSettings(changes("*"), (Action.SUBSCRIBE,), ("anyone",), allow=False)
        ]
    )
    client = world.join("7", ROOM, changes(ROOM))
    assert world.subscriptions.topics(client.subscriber) == {ROOM}


def test_losing_the_permission_for_a_topic_ends_watching_it() -> None:
    world = secret_room()
    client = world.client(identity=person("8", "staff"), limit=10_000)
    world.say(client, [5, ROOM], [5, changes(ROOM)], [5, "news"])
    world.become(client, "8")
    assert world.subscriptions.topics(client.subscriber) == {"news"}
    assert world.presence.users(ROOM) == {}


def test_calls_need_the_ordinary_permission_too() -> None:
    world = PresenceWorld(
        permissions=[PermissionSettings(LIST, (Action.CALL,), ("authenticated",), allow=False)]
    )
    uri, _, details = world.call(world.join("7"), LIST, ROOM)
    assert (uri, details) == (ERROR_FORBIDDEN, {"reason": "call-forbidden"})
    assert world.listed(world.join(None), ROOM) == {}


@pytest.mark.parametrize("topic", [ONLINE, CLIENTS])
def test_counts_need_the_permission_for_the_counter_topics(topic: str) -> None:
    world = PresenceWorld(
        permissions=[PermissionSettings(topic, (Action.SUBSCRIBE,), ("anyone",), allow=False)]
    )
    assert world.call(world.join(None), COUNTS)[0] == ERROR_FORBIDDEN


@pytest.mark.parametrize("procedure", [LIST, COUNTS])
def test_a_session_that_has_yet_to_authenticate_learns_nothing(procedure: str) -> None:
    world = PresenceWorld()
    client = world.client(identity=Identity(source=AWAITING), limit=10_000)
    answer = world.call(client, procedure, ROOM)
    assert answer[0] == "http://api.wamp.ws/error#not-authenticated"
    assert refusals(world) == {"not-authenticated": 1}


# Application code.


@dataclass
class Judge:
    """Application code that decides about subscriptions when a test says so."""

    judges_subscribing: bool = True
    judges_publishing: bool = False
    asked: dict[str, Decide] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: False

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        self.asked[request.topic] = decide


def test_where_application_code_decides_only_subscribers_may_ask() -> None:
    world = PresenceWorld()
    world.join("8", ROOM)
    judge = Judge()
    world.serve(application=judge)
    client = world.join("7", changes(ROOM))
    judge.asked[changes(ROOM)](PASS)
    assert world.subscriptions.topics(client.subscriber) == set()
    assert refusals(world) == {"subscribe-forbidden": 1}
    assert "The application" in world.ledger.recent[0].detail
    assert world.call(client, LIST, ROOM)[0] == ERROR_FORBIDDEN
    assert world.call(client, COUNTS)[0] == ERROR_FORBIDDEN
    world.say(client, [5, ROOM], [5, changes(ROOM)])
    judge.asked[changes(ROOM)](PASS)
    judge.asked[ROOM](PASS)
    assert world.subscriptions.topics(client.subscriber) == {ROOM, changes(ROOM)}
    assert world.listed(client, ROOM) == {"8": 1, "7": 1}
