"""Requests that wait until their topic is read: their order, their limits, a store that is away."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.broker.mirrors.mirror_world import Node, SharedWorld, events
from tests.broker.world import Client
from tests.support.limits import request_limits
from wampush.broker.history.reading import MAX_EVENTS
from wampush.broker.requests.history import HistoryProcedures
from wampush.broker.requests.streams import StreamSubscribe
from wampush.broker.requests.topic_reads import TopicReads
from wampush.errors import MessageRefused
from wampush.wamp.messages import Call, Publish, Subscribe


class Page:
    """A client that calls, at a node of its own."""

    def __init__(self, shared: SharedWorld) -> None:
        self.shared = shared
        self.node: Node = shared.node()
        world = self.node.world
        procedures = HistoryProcedures(
            world.replays,
            world.fanout,
            world.checks.may_learn,
            100_000,
            self.node.mirrors.is_current,
        )
        world.serve(procedures.procedures, limits=request_limits(pending=5, subscriptions=20))
        self.client: Client = world.client(wire_format="positions", limit=1_000_000)
        self.calls = 0

    def call(self, procedure: str, *arguments: object) -> str:
        self.calls += 1
        call_id = f"c{self.calls}"
        text = orjson.dumps([2, call_id, f"wampush.{procedure}", *arguments])
        self.node.world.says(self.client, text)
        return call_id

    def answers(self) -> list[tuple[str, Any]]:
        """Call id, and result or the URI of the error, in the order in which they came."""
        messages = [orjson.loads(text) for text in self.client.texts if text[:2] in (b"[3", b"[4")]
        return [
            (each[1], each[2].rpartition("#")[2] if each[0] == 4 else each[2]) for each in messages
        ]

    def settle(self) -> None:
        self.shared.settle(0.01)


@pytest.fixture
def page(shared: SharedWorld) -> Page:
    return Page(shared)


def test_a_client_that_comes_to_another_node_goes_on_where_it_was(
    shared: SharedWorld, page: Page
) -> None:
    other = shared.node()
    other.publish("log", b"1", b"2", b"3")
    position = shared.store.tops(["log"])[0]
    assert position is not None
    since = {"epoch": position.position.epoch, "offset": 1}
    page.call("subscribe", "log", {"since": since})
    assert page.answers() == []
    page.settle()
    assert events(page.client, "log") == [(2, b"2"), (3, b"3")]
    assert page.answers() == [("c1", {"recovered": True, **since, "offset": 3})]
    # What was missed came before the answer.
    assert page.client.texts[-1].startswith(b"[3,")
    other.publish("log", b"4")
    assert events(page.client, "log")[-1] == (4, b"4")


def test_requests_keep_their_order_while_a_topic_is_read(shared: SharedWorld, page: Page) -> None:
    other = shared.node()
    other.publish("state", b"1")
    page.call("subscribe", "state")
    page.call("last", "log")
    page.node.world.says(page.client, '[6,"state"]')
    page.call("last", "state")
    page.call("positions")
    assert page.answers() == []
    page.settle()
    assert [call_id for call_id, _ in page.answers()] == ["c1", "c2", "c3", "c4"]
    assert [each["data"] for each in page.answers()[2][1]["events"]] == [1]
    assert page.client.subscriber.pending is None
    other.publish("state", b"2")
    assert events(page.client, "state") == [(1, b"1")]


def test_what_is_known_already_is_answered_at_once(shared: SharedWorld, page: Page) -> None:
    page.call("history", "log")
    page.settle()
    page.call("history", "log", {"limit": 5})
    assert [call_id for call_id, _ in page.answers()] == ["c1"]
    page.node.world.end_turn()
    assert [call_id for call_id, _ in page.answers()] == ["c1", "c2"]
    assert shared.clock.now


def test_history_since_a_position_that_only_another_node_knows(
    shared: SharedWorld, page: Page
) -> None:
    other = shared.node()
    page.node.subscribe(page.client, "log")
    other.publish("log", b"1")
    page.node.is_deaf = True
    other.publish("log", b"2")
    known = page.node.mirrors.known("log")
    assert known is not None
    page.call("history", "log", {"since": {"epoch": known.position.epoch, "offset": 2}})
    page.settle()
    ((_, answer),) = page.answers()
    assert (answer["events"], answer["complete"], answer["offset"]) == ([], True, 2)
    assert MAX_EVENTS > 1


def test_while_the_store_is_away_there_is_a_clear_answer(shared: SharedWorld, page: Page) -> None:
    other = shared.node()
    other.publish("state", b"1")
    page.node.link.cut("Redis is gone")
    page.call("last", "state")
    page.call("history", "state")
    page.call("subscribe", "state", {"since": {"epoch": "e", "offset": 1}})
    page.settle()
    assert page.answers() == [
        ("c1", "unavailable"),
        ("c2", "unavailable"),
        ("c3", {"recovered": False, "epoch": None, "offset": None}),
    ]
    # It is subscribed, and gets what the topic keeps when that is known.
    page.node.link.restore()
    page.settle()
    assert events(page.client, "state") == [(1, b"1")]


def test_a_session_that_ends_meanwhile_gets_nothing(shared: SharedWorld, page: Page) -> None:
    other = shared.node()
    other.publish("log", b"1")
    page.call("subscribe", "log", {"since": {"epoch": "e", "offset": 0}})
    page.node.world.clients.on_lost(page.client.subscriber)
    page.settle()
    assert page.answers() == []
    assert not page.node.world.subscriptions.subscribers("log")


def test_a_page_may_return_to_as_many_topics_as_it_may_subscribe_to(
    shared: SharedWorld, page: Page
) -> None:
    for number in range(20):
        page.call("subscribe", f"long{number}", {"since": {"epoch": "e", "offset": 0}})
    # Requests that wait for something else have a limit of their own.
    page.node.world.says(page.client, '[6,"long0"]')
    page.call("subscribe", "long20", {"since": {"epoch": "e", "offset": 0}})
    page.settle()
    answers = dict(page.answers())
    assert len(answers) == 21
    assert answers["c21"] == "forbidden"
    assert len(page.node.world.subscriptions.topics(page.client.subscriber)) == 19
    assert shared.clock.now


def test_a_topic_without_history_is_not_waited_for(page: Page) -> None:
    page.call("subscribe", "plain", {"since": {"epoch": "e", "offset": 0}})
    page.call("last", "plain")
    page.call("last", 7)
    page.call("last")
    page.call("history", "log", {"since": 7})
    page.node.world.end_turn()
    assert [each for each, _ in page.answers()] == ["c1", "c2", "c3", "c4", "c5"]


class _Listener:
    """Notes what becomes of subscriptions of a stream."""

    def __init__(self) -> None:
        self.found: list[object] = []

    def on_effect(self) -> None:
        self.found.append("effect")

    def on_gap(self, topic: str) -> None:
        self.found.append(f"gap {topic}")

    def on_outcome(self, topic: str, error: MessageRefused | None) -> None:
        self.found.append((topic, error))


def test_streams_wait_as_well(shared: SharedWorld, page: Page) -> None:
    other = shared.node()
    other.publish("state", b"1")
    listener = _Listener()
    page.node.world.clients.on_stream(
        page.client.subscriber, StreamSubscribe("state", None, listener)
    )
    assert listener.found == []
    page.settle()
    assert listener.found == ["effect", ("state", None)]
    assert events(page.client, "state") == [(1, b"1")]


def test_which_requests_need_their_topic(page: Page) -> None:
    mirrors = page.node.mirrors
    reads = TopicReads(mirrors, ["wampush.last"], lambda _, topic: topic != "secret")
    subscriber = page.client.subscriber
    for request in (
        Subscribe("log"),
        Publish("log", b"1"),
        Call("1", "wampush.last", ("secret",)),
        Call("1", "wampush.history", ("log",)),
        Call("1", "wampush.last", ()),
    ):
        assert reads.is_ready(subscriber, request), request
        ready: list[bool] = []
        reads.wait(subscriber, request, lambda ready=ready: ready.append(True))  # type: ignore[misc]
        assert ready == [True]
    assert not mirrors.topics
    assert not reads.is_ready(subscriber, Call("1", "wampush.last", ("log",)))
    assert list(mirrors.topics) == ["log"]
