"""The procedures about what topics keep."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.broker.world import Client, InAnyOrder, World
from wampush.broker.history.reading import MAX_EVENTS
from wampush.broker.history.rule import HistoryRule
from wampush.broker.publication import Publication
from wampush.broker.requests.history import (
    ERROR_NO_HISTORY,
    HistoryProcedures,
)
from wampush.broker.requests.procedures import ERROR_INVALID_ARGUMENT
from wampush.wamp.uris import ERROR_FORBIDDEN

HISTORY = (
    ("table", HistoryRule(last_by="id")),
    ("log", HistoryRule(events=4)),
    ("secret", HistoryRule(events=4)),
)
CALLS = ("wampush.last", "wampush.history", "wampush.positions", "wampush.subscribe")


@pytest.fixture
def world() -> World:
    world = World(history=HISTORY)
    procedures = HistoryProcedures(
        world.replays, world.fanout, lambda _, topic: topic != "secret", 1000
    )
    world.serve(procedures.procedures)
    return world


def publish(world: World, topic: str, *values: Any) -> None:
    for value in values:
        world.broker.publish(Publication(topic, json.dumps(value).encode()))
    world.end_turn()


def call(world: World, client: Client, procedure: str, *arguments: Any) -> Any:
    """The answer to a call: the result, or the URI and the description of an error."""
    world.says(client, json.dumps([2, "c", procedure, *arguments]))
    world.end_turn()
    kind, call_id, *answer = json.loads(client.texts[-1])
    assert call_id == "c"
    if kind == 3:
        return answer[0]
    assert kind == 4
    return tuple(answer[:2])


def data(answer: Any) -> list[Any]:
    return [each["data"] for each in answer["events"]]


def test_last(world: World) -> None:
    client = world.client(limit=10_000)
    answer = call(world, client, "wampush.last", "table")
    assert (answer["events"], answer["offset"]) == ([], 0)
    publish(world, "table", {"id": 1}, {"id": 2}, {"id": 1, "n": 1.50})
    answer = call(world, client, "wampush.last", "table")
    assert [(each["offset"], each["data"]) for each in answer["events"]] == [
        (2, {"id": 2}),
        (3, {"id": 1, "n": 1.5}),
    ]
    assert answer["offset"] == 3
    assert answer["events"][0]["time"] == world.clock.now
    # Nothing was subscribed to.
    publish(world, "table", {"id": 9})
    assert json.loads(client.texts[-1])[0] == 3


def test_history(world: World) -> None:
    client = world.client(limit=10_000)
    start = call(world, client, "wampush.history", "log")
    assert (start["events"], start["complete"], start["offset"]) == ([], True, 0)
    publish(world, "log", 1, 2, 3)
    since = {"epoch": start["epoch"], "offset": 1}
    answer = call(world, client, "wampush.history", "log", {"since": since})
    assert (data(answer), answer["complete"], answer["offset"]) == ([2, 3], True, 3)
    answer = call(world, client, "wampush.history", "log", {"since": since, "limit": 1})
    assert (data(answer), answer["complete"]) == ([2], False)
    answer = call(world, client, "wampush.history", "log", {"limit": 2})
    assert (data(answer), answer["complete"]) == ([2, 3], False)
    publish(world, "log", 4, 5, 6)
    answer = call(world, client, "wampush.history", "log", {"since": since})
    assert (data(answer), answer["complete"], answer["offset"]) == ([], False, 6)


def test_a_long_history_comes_in_parts(world: World) -> None:
    client = world.client(limit=10_000)
    publish(world, "log", *["x" * 600] * 3)
    epoch = call(world, client, "wampush.last", "log")["epoch"]
    answer = call(world, client, "wampush.history", "log", {"since": {"epoch": epoch, "offset": 0}})
    assert len(answer["events"]) == 1
    assert answer["complete"] is False


def test_subscribe_goes_on_where_the_session_was(world: World) -> None:
    client = world.client(limit=10_000)
    publish(world, "log", 1, 2, 3)
    epoch = call(world, client, "wampush.last", "log")["epoch"]
    seen = len(client.texts)
    since = {"epoch": epoch, "offset": 1}
    answer = call(world, client, "wampush.subscribe", "log", {"since": since})
    assert answer == {"recovered": True, "epoch": epoch, "offset": 3}
    publish(world, "log", 4)
    events = [json.loads(text) for text in client.texts[seen:]]
    assert [each[0] for each in events] == [8, 8, 3, 8]
    assert [each[2] for each in events if each[0] == 8] == [2, 3, 4]
    other = call(world, client, "wampush.subscribe", "log", {"since": {"epoch": "x", "offset": 0}})
    assert other["recovered"] is False
    nothing = call(world, client, "wampush.subscribe", "other", {"since": since})
    assert nothing == {"recovered": False, "epoch": None, "offset": None}
    assert world.subscriptions.topics(client.subscriber) == {"log", "other"}


@pytest.mark.parametrize("options", [(), ({},)])
def test_subscribe_tells_a_session_where_it_begins(world: World, options: tuple[Any, ...]) -> None:
    client = world.client(limit=10_000)
    publish(world, "log", 1, 2)
    epoch = call(world, client, "wampush.last", "log")["epoch"]
    answer = call(world, client, "wampush.subscribe", "log", *options)
    assert answer == {"recovered": False, "epoch": epoch, "offset": 2}
    nothing = call(world, client, "wampush.subscribe", "other", *options)
    assert nothing == {"recovered": False, "epoch": None, "offset": None}
    publish(world, "log", 3)
    assert json.loads(client.texts[-1])[:3] == [8, "log", 3]
    # Subscribed already: the same answer, and nothing again.
    seen = len(client.texts)
    answer = call(world, client, "wampush.subscribe", "log", *options)
    assert answer["offset"] == 3
    assert len(client.texts) == seen + 1


def test_positions(world: World) -> None:
    class Positioned(InAnyOrder):
        """A format that writes positions."""

        with_positions: Any = None

        def event(self, topic: str, payload: bytes, position: Any) -> bytes:
            return world.format("").event(topic, payload, position)

        def reply(self, text: bytes) -> bytes:
            return world.format("").reply(text)

    class Plain(Positioned):
        """One that does not."""

        with_positions = Positioned()

        def event(self, topic: str, payload: bytes, position: Any) -> bytes:
            del position
            return super().event(topic, payload, None)

    client = world.client("log", limit=10_000, wire_format=Plain())
    world.broker.publish(Publication("log", b"1"))
    assert call(world, client, "wampush.positions") is True
    publish(world, "log", 2)
    position = world.history.position("log")
    assert position is not None
    first, _, second = [json.loads(text) for text in client.texts]
    assert first == [8, "log", 1]
    assert second == [8, "log", 2, position.epoch, 2]


@pytest.mark.parametrize(
    ("procedure", "arguments", "words"),
    [
        ("wampush.last", (), "takes a topic"),
        ("wampush.last", ("table", {"limit": 1}), "takes one argument"),
        ("wampush.history", (7,), "takes a topic"),
        ("wampush.history", ("log", 7), "takes a topic"),
        ("wampush.history", ("log", {}, 1), "takes a topic"),
        ("wampush.history", ("log", {"sinse": 1}), 'unknown option "sinse"'),
        ("wampush.history", ("log", {"limit": 0}), f"from 1 to {MAX_EVENTS}, not 0"),
        ("wampush.history", ("log", {"limit": True}), "not true"),
        ("wampush.history", ("log", {"since": "7"}), 'not "7"'),
        ("wampush.history", ("log", {"since": {"epoch": "e", "offset": -1}}), "must be like"),
        ("wampush.history", ("log", {"since": {"epoch": "e", "offset": True}}), "must be like"),
        ("wampush.history", ("log", {"since": {"epoch": 1, "offset": 1}}), "must be like"),
        ("wampush.history", ("log", {"since": {"offset": 1}}), "must be like"),
        ("wampush.positions", (True,), "takes no arguments"),
        ("wampush.subscribe", (1, {"since": {"epoch": "e", "offset": 1}}), "takes a topic, and"),
        ("wampush.subscribe", (), "takes a topic, and"),
        ("wampush.subscribe", ("log", {"limit": 1}), "takes a topic, and"),
        ("wampush.subscribe", ("log", {}, {}), "takes a topic, and"),
        ("wampush.subscribe", ("log", {"since": 1}), "must be like"),
    ],
)
def test_wrong_arguments(
    world: World, procedure: str, arguments: tuple[Any, ...], words: str
) -> None:
    client = world.client(limit=10_000)
    uri, description = call(world, client, procedure, *arguments)
    assert uri == ERROR_INVALID_ARGUMENT
    assert words in description
    assert world.subscriptions.topics(client.subscriber) == set()


def test_a_topic_that_keeps_nothing_or_is_forbidden(world: World) -> None:
    client = world.client()
    for procedure in ("wampush.last", "wampush.history"):
        assert call(world, client, procedure, "other")[0] == ERROR_NO_HISTORY
        assert call(world, client, procedure, "secret")[0] == ERROR_FORBIDDEN
