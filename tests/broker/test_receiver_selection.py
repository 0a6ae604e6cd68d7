"""Pushes to people, groups and sessions: who gets them, and at what cost."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.broker.world import World
from wampush.broker import receiver_selection
from wampush.broker.identity import Identity
from wampush.broker.ingest import Ingest
from wampush.broker.push_options import audience_of
from wampush.broker.receiver_selection import includes_identity
from wampush.broker.users import UserIndex

INGEST = Ingest(topic_key="category", max_bytes=1_000_000, topic_bytes=100)


def identity(user, *groups):
    return Identity(user=user, groups=frozenset(groups), source="token")


@pytest.fixture
def world():
    return World()


def push(world, options, topic="news", payload="1"):
    """Push as a backend does, with a third part; how many got it."""
    parts = [topic.encode(), payload.encode(), json.dumps(options).encode()]
    receivers = world.broker.publish(INGEST.publication(parts))
    world.end_turn()
    return receivers


@pytest.fixture
def people(world):
    """Two tabs of 7, one of 8, a visitor, and 9 who has not subscribed."""
    return {
        "7a": world.client("news", identity=identity("7", "staff")),
        "7b": world.client("news", identity=identity("7", "staff")),
        "8": world.client("news", identity=identity("8", "staff", "red")),
        "visitor": world.client("news"),
        "9": world.client(identity=identity("9", "staff", "red")),
    }


CASES = [
    ({}, "7a 7b 8 visitor"),
    ({"to": {}}, "7a 7b 8 visitor"),
    ({"to": {"registered": True}}, "7a 7b 8"),
    ({"to": {"registered": False}}, "7a 7b 8 visitor"),
    ({"to": {"users": ["7"]}}, "7a 7b"),
    ({"to": {"users": [7]}}, "7a 7b"),
    ({"to": {"users": ["7", "8", "9", "nobody"]}}, "7a 7b 8"),
    ({"to": {"users": []}}, ""),
    ({"to": {"users": [""]}}, ""),
    ({"to": {"users": ["9"]}}, ""),
    ({"to": {"users": ["staff"]}}, ""),
    ({"to": {"groups": ["staff"]}}, "7a 7b 8"),
    ({"to": {"groups": ["red"]}}, "8"),
    ({"to": {"groups": ["7"]}}, ""),
    ({"to": {"groups": ["red"], "users": ["7"]}}, "7a 7b 8"),
    ({"to": {"sessions": ["visitor"]}}, "visitor"),
    ({"to": {"sessions": ["visitor", "9", "gone"], "users": [8]}}, "8 visitor"),
    ({"to": {"sessions": ["visitor"], "registered": True}}, "7a 7b 8 visitor"),
    ({"to": {"exclude": {"users": ["7"]}}}, "8 visitor"),
    ({"to": {"exclude": {"groups": ["staff"]}}}, "visitor"),
    ({"to": {"exclude": {"sessions": ["7a"]}}}, "7b 8 visitor"),
    ({"to": {"registered": True, "exclude": {"groups": ["red"], "sessions": ["7b"]}}}, "7a"),
    ({"to": {"users": ["7"], "exclude": {"users": ["7"]}}}, ""),
    ({"to": {"users": ["7"]}, "exclude": ["7a"]}, "7b"),
    ({"to": {"users": ["7"]}, "eligible": ["7a", "8"]}, "7a"),
    ({"to": {"users": ["7"]}, "eligible": []}, ""),
    ({"eligible": ["7a", "visitor"], "exclude": ["visitor"]}, "7a"),
]


@pytest.mark.parametrize(("options", "receivers"), CASES)
def test_who_gets_it(world, people, options, receivers):
    text = json.dumps(options)
    for name, client in people.items():
        if len(name) > 1:
            text = text.replace(f'"{name}"', f'"{client.id}"')
    count = push(world, json.loads(text.replace('"9", "gone"', f'"{people["9"].id}", "gone"')))
    got = {name for name, client in people.items() if client.texts}
    assert got == set(receivers.split())
    assert count == len(got)


def test_who_becomes_somebody_else_gets_what_is_for_that_one(world):
    client = world.client("news")
    for number, each in enumerate([identity("7", "red"), identity("8"), Identity(), identity("7")]):
        client.become(each)
        push(world, {"to": {"users": ["7"], "groups": ["red"]}}, payload=str(number))
    assert client.texts == [b'[8,"news",0]', b'[8,"news",3]']


def test_what_was_published_before_a_change_goes_to_whom_it_was_for(world):
    """Receivers are held until the end of the turn; a change in between must not touch them."""
    client, other = (
        world.client("news", identity=identity("7")),
        world.client("news", identity=identity("8")),
    )
    to_seven = INGEST.publication([b"news", b"1", b'{"to":{"users":["7"]}}'])
    registered = INGEST.publication([b"news", b"2", b'{"to":{"registered":true}}'])
    everyone = INGEST.publication([b"news", b"3"])
    for publication in (to_seven, registered, everyone):
        world.broker.publish(publication)
    client.become(identity("8"))
    other.become(identity("7"))
    for publication in (to_seven, registered, everyone):
        world.broker.publish(publication)
    world.end_turn()
    assert [json.loads(text)[2] for text in client.texts] == [1, 2, 3, 2, 3]
    assert [json.loads(text)[2] for text in other.texts] == [2, 3, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "who"),
    [each for each in CASES if "7a" not in json.dumps(each[0]) and "visitor" not in each[1]]
    + [({}, "7 8 visitor"), ({"exclude": ["a"]}, "7 8 visitor"), ({"eligible": ["a"]}, "")],
)
def test_a_client_without_a_session_sees_what_is_for_its_identity(options, who):
    audience = audience_of(options)
    for name, each in {
        "7": identity("7", "staff"),
        "8": identity("8", "staff", "red"),
        "visitor": Identity(),
    }.items():
        expected = name in {word.rstrip("ab") for word in who.split()}
        assert includes_identity(audience, each) is expected, name


class Steps:
    """Counts what choosing receivers looks at."""

    def __init__(self, monkeypatch):
        self.taken: Counter[str] = Counter()
        for owner, name in (
            (UserIndex, "of_user"),
            (UserIndex, "of_group"),
            (receiver_selection._Names, "_includes"),
        ):
            self._count(monkeypatch, owner, name)

    def _count(self, monkeypatch, owner, name):
        genuine = getattr(owner, name)

        def counted(*arguments):
            self.taken[name] += 1
            return genuine(*arguments)

        monkeypatch.setattr(owner, name, counted)


@pytest.mark.unwatched
def test_ten_thousand_tabs_of_one_user(world, monkeypatch):
    tabs = [world.client("news", identity=identity("7", "staff")) for _ in range(10_000)]
    other = world.client("news", identity=identity("8"))
    assert len(world.broker.users.of_user("7")) == 10_000
    steps = Steps(monkeypatch)
    assert push(world, {"to": {"users": ["7"]}}) == 10_000
    assert sum(steps.taken.values()) <= 10_100
    steps.taken.clear()
    assert push(world, {"to": {"users": ["8"]}}) == 1
    assert push(world, {"to": {"users": ["8", "7"], "exclude": {"users": ["7"]}}}) == 1
    assert push(world, {"to": {"registered": True, "exclude": {"sessions": [other.id]}}}) == 10_000
    assert all(len(tab.texts) == 2 for tab in tabs)
    assert len(other.texts) == 2
    for tab in tabs:
        world.clients.on_lost(tab.subscriber)
    assert world.broker.users.user_count == 1


@pytest.mark.unwatched
def test_ten_thousand_named_users(world, monkeypatch):
    users = [str(number) for number in range(10_000)]
    clients = [world.client("news", identity=identity(user)) for user in users[:3]]
    steps = Steps(monkeypatch)
    assert push(world, {"to": {"users": users}}) == 3
    assert steps.taken == {"_includes": 3}
    clients += [world.client("news", identity=identity(user)) for user in users[3:]]
    world.client("news", identity=identity("10000"))
    steps.taken.clear()
    assert push(world, {"to": {"users": users}}) == 10_000
    assert push(world, {"to": {"exclude": {"users": users}}}) == 1
    assert sum(steps.taken.values()) <= 50_000
    assert all(len(client.texts) in (1, 2) for client in clients)


@pytest.mark.unwatched
def test_one_person_among_ten_thousand_subscribers(world, monkeypatch):
    for _ in range(10_000):
        world.client("news")
    client = world.client("news", identity=identity("7", "staff"))
    steps = Steps(monkeypatch)
    assert push(world, {"to": {"users": ["7"], "groups": ["staff"]}}) == 1
    assert push(world, {"to": {"sessions": [client.id]}}) == 1
    assert push(world, {"to": {"registered": True}}) == 1
    assert push(world, {"to": {"exclude": {"users": ["7"]}}}) == 10_000
    assert sum(steps.taken.values()) <= 20
    assert len(client.texts) == 3
