"""A hand-over while another node publishes: each event comes once, in its order."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from tests.support.two_nodes import TestNode, TwoNodes, settings
from wampush.broker.backplane import cut
from wampush.broker.backplane.contract import topic_channel
from wampush.broker.backplane.memory_bus import MemoryBus, MemoryLink
from wampush.broker.backplane.node_message import NodeMessage, encoded
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.checks.redis import RedisUrl
from wampush.config.tables.backplane import BackplaneSettings
from wampush.node import build as build_module
from wampush.node.backplane import Joint, NodeBackplane, new_node_id
from wampush.node.handover import HandedOver, HandOverFailed, TakenOver, TakeOverFailed
from wampush.node.handover.taking_over import CUT_SECONDS


class Quiet:
    """Another node, which takes nothing."""

    def on_message(self, channel: str, message: bytes) -> None:
        """Do nothing."""

    def on_followed(self, channels: object) -> None:
        """Do nothing."""

    def on_joined(self) -> None:
        """Do nothing."""

    def on_left(self, problem: str) -> None:
        """Do nothing."""


class Installation(TwoNodes):
    """An old process and a new one of a node, and another node that publishes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        #: What each link has to do, in its order; how far they are is the choice of a test.
        self.queues: list[deque[Callable[[], None]]] = []
        self.random = Random(1)
        self.bus = MemoryBus(_nothing_is_called)
        made = self._link

        def join(*_: object) -> Joint:
            return Joint(node=new_node_id(), bus=made())

        monkeypatch.setattr(build_module, "join_over_redis", join)
        table = BackplaneSettings(url=RedisUrl("nowhere", 1, False))
        super().__init__(settings(backplane=table))
        self.published = 0
        self.other = self._link()
        self.other.start(Quiet())
        self.backplane(self.old).start()
        self.bring_all()

    def _link(self) -> MemoryLink:
        queue: deque[Callable[[], None]] = deque()
        self.queues.append(queue)

        def call_later(_: float, call: Callable[[], None]) -> Any:
            queue.append(call)

        link = MemoryLink(self.bus, call_later)
        self.bus._links.append(link)
        return link

    @staticmethod
    def backplane(node: TestNode) -> NodeBackplane:
        found = node.node.backplane
        assert found is not None
        return found

    def bring(self, most: int) -> None:
        """Let the links do some of what they have to do."""
        for _ in range(most):
            waiting = [each for each in self.queues if each]
            if waiting:
                self.random.choice(waiting).popleft()()

    def bring_all(self) -> None:
        """Let the links do everything."""
        while any(self.queues):
            self.bring(100)

    def publish(self) -> None:
        """Publish the next number at the other node."""
        self.published += 1
        message = NodeMessage("other", self.published, b"%d" % self.published)
        self.other.publish(topic_channel("news"), encoded(message), lambda _: None)

    def turn(self) -> None:
        """One turn of both processes."""
        for each in (self.old, self.new):
            each.reactor.advance(0.01)
            each.turn()

    def end(self) -> None:
        """Let everything go on to its end."""
        for _ in range(20):
            self.bring_all()
            self.finish()

    def check(self, *clients: Any) -> None:
        """Each client has every event once and in order."""
        for _ in range(3):
            self.bring_all()
            self.read_all()
        for each in clients:
            assert each.events("news") == list(range(1, self.published + 1))


def _nothing_is_called(_: float, __: object) -> Any:
    raise AssertionError


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    made = Installation(monkeypatch)
    yield made
    made.close()
    for each in (made.old, made.new):
        made.backplane(each).stop()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    found: list[str] = []

    def observe(event: Any) -> None:
        if event.get("log_namespace") == "wampush.handover":
            found.append(event["log_format"].format(**event))

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)


@pytest.mark.parametrize("pace", [3, 5, 13, 40])
@pytest.mark.parametrize("seed", range(5))
def test_each_event_comes_once_and_in_order(
    installation: Installation, seed: int, pace: int
) -> None:
    installation.random.seed(seed)
    clients = [installation.client(topics=["news"]) for _ in range(1 + seed % 2 * 4)]
    installation.bring_all()
    installation.begin()
    for number in range(300):
        installation.publish()
        installation.bring(pace)
        installation.turn()
        if len(installation.outcomes) == 2 and number > 100:
            break
    installation.end()
    assert isinstance(installation.outcomes["old"], HandedOver)
    assert isinstance(installation.outcomes["new"], TakenOver)
    installation.publish()
    installation.check(*clients)


def test_connections_that_stay_get_each_event_once(installation: Installation) -> None:
    moving = installation.client(topics=["news"])
    # Event streams cannot move.
    staying = installation.socket()
    staying.send(b"GET /events?topic=news HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    installation.clients.remove(staying)
    installation.settle(installation.old)
    installation.bring_all()
    installation.begin()
    for _ in range(250):
        installation.publish()
        installation.bring(3)
        installation.turn()
    installation.end()
    assert installation.outcomes["old"].staying == 1
    installation.check(moving)
    data = staying.end.recv(1_000_000)
    staying.end.close()
    found = [int(each) for each in re.findall(rb"\ndata: (\d+)", data)]
    assert found == list(range(1, 251)), data[:1000]


def test_what_clients_publish_meanwhile_comes_once_too(installation: Installation) -> None:
    client = installation.client(topics=["news"])
    installation.bring_all()
    installation.begin()
    for number in range(1, 121):
        client.text(7, "news", number, False)
        installation.bring(4)
        installation.turn()
    installation.end()
    installation.bring_all()
    installation.read_all()
    installation.bring_all()
    installation.read_all()
    assert isinstance(installation.outcomes["new"], TakenOver)
    assert client.events("news") == list(range(1, 121))


def test_a_node_without_its_link_is_taken_over_at_once(
    installation: Installation, lines: list[str]
) -> None:
    client = installation.client(topics=["news"])
    installation.bus.cut()
    installation.hand_over()
    assert not [each for each in lines if "has not come" in each]
    installation.bus.restore()
    installation.bring_all()
    installation.publish()
    installation.check(client)


def test_a_cut_that_is_not_reached_in_time_is_not_waited_for(
    installation: Installation, lines: list[str]
) -> None:
    client = installation.client(topics=["news"])
    installation.bring_all()
    installation.begin()
    # Nothing comes from the bus.
    installation.finish(CUT_SECONDS / 2)
    assert not installation.outcomes
    installation.finish(CUT_SECONDS)
    assert isinstance(installation.outcomes["new"], TakenOver)
    assert [each for each in lines if "has not come in time" in each]
    installation.bring_all()
    installation.publish()
    installation.check(client)


def test_what_waits_is_bounded(
    installation: Installation, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "HELD_BYTES", 10 * cut.OVERHEAD_BYTES)
    client = installation.client(topics=["news"])
    installation.bring_all()
    installation.begin()
    for _ in range(20):
        installation.turn()
    for _ in range(20):
        installation.publish()
    # The old process is busy.
    for _ in range(20):
        installation.bring_all()
        installation.new.turn()
    assert [each for each in lines if "before too much waited" in each]
    installation.end()
    for _ in range(3):
        installation.bring_all()
        installation.read_all()
    # Those that were published before the marker come late, but they come.
    assert sorted(client.events("news")) == list(range(1, 21))


def test_the_old_process_ends_before_the_cut(installation: Installation) -> None:
    client = installation.client(topics=["news"])
    installation.bring_all()
    installation.begin()
    for _ in range(20):
        installation.turn()
    assert not installation.outcomes
    assert installation.giving is not None
    installation.giving._stream.close()
    installation.giving.on_broken("cut")
    installation.settle(installation.new, installation.old)
    assert isinstance(installation.outcomes["old"].value, HandOverFailed)
    assert not installation.outcomes["old"].value.goes_on
    assert isinstance(installation.outcomes["new"].value, TakeOverFailed)
    installation.finish(CUT_SECONDS * 2)
    installation.settle(installation.new, client)
    assert client.is_ended


@pytest.mark.parametrize("seed", range(3))
def test_pushes_under_way_at_the_hand_over_are_counted(
    installation: Installation, seed: int
) -> None:
    installation.random.seed(seed)
    client = installation.client(topics=["news"])
    installation.bring_all()
    installation.begin()
    for number in range(1, 121):
        installation.old.broker.push(Source.ZEROMQ, Publication("news", b"%d" % number))
        installation.bring(1)
        installation.turn()
    installation.published = 120
    installation.end()
    installation.check(client)
    assert installation.new.broker.ledger.accepted[Source.ZEROMQ] == 120
