"""What present sessions get when their node reads a topic anew."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.broker.mirrors.mirror_world import RULES, events
from tests.broker.world import Client, World
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.history.journal import StoredRow, StoredTopic
from wampush.broker.history.rule import HistoryRule
from wampush.broker.mirrors.announcements import Announcements
from wampush.broker.mirrors.loss import Known
from wampush.broker.mirrors.mirror import Mirror, Reload
from wampush.broker.publication import EVERYONE, Position


@dataclass
class Node:
    world: World
    announcements: Announcements
    clients: list[Client] = field(default_factory=list)

    def mirror(self, topic: str, offset: int, *offsets: int) -> Mirror:
        """A topic as it was read: its events."""
        rule = self.world.history.rules.of(topic)
        assert rule is not None
        rows = [StoredRow(each, 1.0, b'{"id":%d}' % each, EVERYONE) for each in offsets]
        position = Position("e", offset)
        self.world.history.load(StoredTopic(topic, position, rows), 1.0)
        mirror = Mirror(topic, rule)
        mirror.known = Known(position, "a")
        self.clients = [self.world.client(topic, wire_format="p", limit=10_000) for _ in range(2)]
        return mirror

    def bring(self, mirror: Mirror, new_after: int | None, *, is_lossless: bool = True) -> None:
        reload = Reload({}, None, new_after, is_lossless)
        self.announcements.bring_up_to_date(
            mirror, reload, [each.subscriber for each in self.clients]
        )
        self.world.end_turn()

    def got(self, topic: str) -> list[int]:
        first, second = (events(each, topic) for each in self.clients)
        assert first == second
        return [offset for offset, _ in first]

    @property
    def gaps(self) -> int:
        return len(self.clients[0].peer.gaps)


@pytest.fixture
def node() -> Node:
    world = World(
        history=[*RULES, ("gap", HistoryRule(events=5, gap_replay=True))],
        replay_bytes=100_000,
    )
    return Node(world, Announcements(world.replays, world.gaps, world.ledger))


def test_what_is_new_comes_and_nothing_else(node: Node) -> None:
    mirror = node.mirror("log", 5, 3, 4, 5)
    node.bring(mirror, 3)
    assert node.got("log") == [4, 5]
    assert node.gaps == 0
    assert node.announcements.holes == 0


def test_nothing_is_new(node: Node) -> None:
    mirror = node.mirror("log", 5, 3, 4, 5)
    node.bring(mirror, 5)
    assert node.got("log") == []
    assert node.gaps == 0


def test_what_is_gone_is_announced_and_the_rest_comes(node: Node) -> None:
    mirror = node.mirror("log", 9, 7, 8, 9)
    node.bring(mirror, 4)
    assert node.got("log") == [7, 8, 9]
    assert node.gaps == 1
    assert node.announcements.holes == 1
    (line,) = node.world.lines
    assert "events of topic 'log' are lost" in line
    assert "2 subscribers" in line


def test_values_come_again_after_the_events(node: Node) -> None:
    mirror = node.mirror("table", 9, 2, 7, 8, 9)
    node.bring(mirror, 4)
    assert node.got("table") == [7, 8, 9, 2, 7, 8, 9]
    assert node.gaps == 1


def test_the_only_event_that_is_kept_comes_once(node: Node) -> None:
    mirror = node.mirror("state", 9, 9)
    node.bring(mirror, 4)
    assert node.got("state") == [9]
    assert node.gaps == 1


def test_where_only_values_are_kept_they_come(node: Node) -> None:
    mirror = node.mirror("rows", 9, 2, 9)
    node.bring(mirror, 4)
    assert node.got("rows") == [2, 9]
    assert node.gaps == 1
    node.bring(mirror, 9)
    assert node.gaps == 1


def test_where_nobody_knows_what_is_new_nothing_comes_twice(node: Node) -> None:
    mirror = node.mirror("log", 5, 3, 4, 5)
    node.bring(mirror, None, is_lossless=False)
    assert node.got("log") == []
    assert node.gaps == 1


def test_what_was_lost_elsewhere_is_announced_although_all_that_is_new_comes(node: Node) -> None:
    mirror = node.mirror("log", 5, 3, 4, 5)
    node.bring(mirror, 3, is_lossless=False)
    assert node.got("log") == [4, 5]
    assert node.gaps == 1


def test_sessions_without_a_connection_have_nobody_to_notify(node: Node) -> None:
    mirror = node.mirror("log", 9, 8, 9)
    for each in node.clients:
        each.subscriber.peer = None
    node.bring(mirror, 4)
    assert node.got("log") == [8, 9]


def test_positions_that_are_tracked_have_a_hole(node: Node) -> None:
    mirror = node.mirror("gap", 3, 1, 2, 3)
    gaps, client = node.world.gaps, node.clients[0]
    assert gaps is not None
    client.peer.visitor = "v"
    node.announcements.welcome(mirror)
    mirror.newcomers[client.subscriber] = None
    node.announcements.welcome(mirror)
    assert gaps.is_tracking(client.subscriber)
    assert not mirror.newcomers
    node.bring(mirror, None, is_lossless=False)
    tracked = gaps.snapshot(client.subscriber)
    assert tracked is not None
    assert list(tracked.holes) == ["gap"]


def test_new_subscribers_get_what_is_kept_for_them(node: Node) -> None:
    mirror = node.mirror("news", 3, 1, 2, 3)
    for each in node.clients:
        mirror.newcomers[each.subscriber] = None
    node.announcements.welcome(mirror)
    node.world.end_turn()
    assert node.got("news") == [2, 3]
    node.announcements.welcome(mirror)
    node.world.end_turn()
    assert node.got("news") == [2, 3]


def test_a_topic_that_is_not_loaded_is_left_alone(node: Node) -> None:
    mirror = node.mirror("log", 3, 3)
    mirror.known = None
    node.bring(mirror, 1)
    assert node.got("log") == []


def test_a_client_that_is_behind_reads_on_from_where_it_is_in_the_new_epoch(node: Node) -> None:
    mirror = node.mirror("long", 3, 1, 2, 3)
    slow = node.world.client("long", wire_format="p", room=0)
    slow.outbox.block(0)
    assert node.world.replays is not None
    turns = CatchUpTurns(node.world.turn.append, lambda: 0.0)
    slow.outbox.begin_catch_up("long", Position("before", 1), lambda *_: None, turns)
    node.clients = [slow]
    node.bring(mirror, 3)
    assert slow.outbox.catch_up is not None
    assert slow.outbox.catch_up.positions == {"long": (Position("e", 1),)}
    assert slow.peer.gaps == []
    node.bring(mirror, 2, is_lossless=False)
    assert slow.peer.gaps == ["long"]
