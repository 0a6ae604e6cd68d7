"""Which nodes are there, and whether everything that they have reported is known."""

from __future__ import annotations

import pytest

from tests.broker.world import FakeClock
from wampush.broker.nodes import other_nodes
from wampush.broker.nodes.node_payloads import Beat, PeoplePayload
from wampush.broker.nodes.other_nodes import (
    ASK_SECONDS,
    LOOK_SECONDS,
    MOST_NODES,
    SILENCE_SECONDS,
    NodeStatus,
    OtherNode,
    OtherNodes,
)
from wampush.broker.nodes.people import PeopleChange
from wampush.clock import Clock
from wampush.errors import PushRefused

GRACE = 2.0


class Watched:
    """What a node knows of others, whom it asks, and what its listener learns."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asked: list[str] = []
        self.lines: list[str] = []
        self.changes: list[PeopleChange] = []
        self.departed: list[str] = []
        self.others = OtherNodes(
            grace=GRACE,
            clock=Clock(lambda: self.clock.now, self.clock.call_later),
            ask=lambda node: self.asked.append(node.process),
            report=lambda message, **fields: self.lines.append(message.format(**fields)),
        )
        self.others.watch(self)
        self.others.go_on()
        self.node_changes = 0

    def on_people(self, change: PeopleChange) -> None:
        self.changes.append(change)

    def on_departed(self, node: OtherNode) -> None:
        self.departed.append(node.id)

    def on_nodes_changed(self) -> None:
        self.node_changes += 1

    def beat(self, node: str = "x", sequence: int = 0, epoch: str = "e") -> None:
        beat = Beat(node=node, epoch=epoch, sequence=sequence, name=f"name-{node}")
        self.others.on_beat(f"process-{node}", beat)

    def tell(self, sequence: int, user: str, node: str = "x", epoch: str = "e") -> None:
        """A change."""
        change = PeopleChange(users={user: True})
        update = PeoplePayload(node=node, epoch=epoch, sequence=sequence, change=change)
        self.others.on_update(f"process-{node}", update)

    def part(self, sequence: int, *users: str, part: int = 0, parts: int = 1) -> None:
        """A part of everything."""
        change = PeopleChange(users=dict.fromkeys(users, True))
        self.others.on_update(
            "process-x",
            PeoplePayload(
                node="x", epoch="e", sequence=sequence, change=change, part=part, parts=parts
            ),
        )

    def take_asked(self) -> list[str]:
        asked, self.asked[:] = list(self.asked), []
        return asked

    def wait(self, seconds: float, *beating: str) -> None:
        """Time passes, with looks, and beats of some nodes."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.clock.advance(LOOK_SECONDS)
            for node in beating:
                self.beat(node)
            self.others.look()

    @property
    def x(self) -> OtherNode:
        (node,) = self.others
        return node

    @property
    def users(self) -> set[str]:
        return self.x.people.users


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_node_that_is_heard_is_asked_for_everything(watched: Watched) -> None:
    watched.beat(sequence=4)
    assert watched.take_asked() == ["process-x"]
    assert watched.x.status is NodeStatus.JOINING
    assert list(watched.others.there) == ["x"]
    assert watched.others.present == []
    watched.part(4, "7", "8")
    assert watched.users == {"7", "8"}
    assert watched.changes == [PeopleChange(users={"7": True, "8": True})]
    assert watched.others.present == [watched.x]
    assert watched.node_changes == 1
    watched.tell(5, "9")
    assert watched.users == {"7", "8", "9"}
    watched.beat(sequence=5)
    assert watched.take_asked() == []
    assert watched.lines == ["node name-x (x) is there, with 0 sessions"]


def test_changes_that_are_known_or_come_too_early_are_not_applied(watched: Watched) -> None:
    watched.beat(sequence=4)
    watched.tell(4, "early")
    watched.part(4, "7")
    watched.take_asked()
    watched.tell(4, "again")
    watched.tell(3, "old")
    assert watched.users == {"7"}
    assert watched.take_asked() == []
    watched.clock.advance(ASK_SECONDS)
    watched.tell(6, "gap")
    assert watched.users == {"7"}
    assert watched.take_asked() == ["process-x"]
    # What is known stays until everything has come.
    watched.part(6, "7", "5", "6")
    assert watched.users == {"7", "5", "6"}
    assert watched.changes[-1] == PeopleChange(users={"5": True, "6": True})


def test_nodes_are_not_asked_too_often(watched: Watched) -> None:
    for _ in range(5):
        watched.beat(sequence=1)
    assert watched.take_asked() == ["process-x"]
    watched.clock.advance(ASK_SECONDS)
    watched.beat(sequence=1)
    assert watched.take_asked() == ["process-x"]


def test_everything_comes_in_parts(watched: Watched) -> None:
    watched.beat(sequence=1)
    watched.part(1, "1", part=0, parts=3)
    watched.part(1, "2", part=1, parts=3)
    assert watched.changes == []
    watched.part(1, "3", part=2, parts=3)
    assert watched.users == {"1", "2", "3"}


def test_parts_that_do_not_belong_together_are_dropped(watched: Watched) -> None:
    watched.beat(sequence=1)
    watched.part(1, "1", part=0, parts=2)
    watched.part(2, "2", part=1, parts=2)
    watched.part(1, "2", part=1, parts=2)
    assert watched.changes == []
    watched.part(2, "1", part=0, parts=3)
    watched.part(2, "3", part=2, parts=3)
    assert watched.changes == []
    watched.part(2, "1", part=0, parts=1)
    assert watched.users == {"1"}


def test_another_process_of_the_node_changes_nothing_but_what_is_different(
    watched: Watched,
) -> None:
    watched.beat(sequence=1)
    watched.part(1, "7", "8")
    watched.changes.clear()
    watched.clock.advance(ASK_SECONDS)
    watched.take_asked()
    watched.beat(sequence=0, epoch="f")
    assert watched.take_asked() == ["process-x"]
    assert watched.users == {"7", "8"}
    change = PeopleChange(users={"7": True, "9": True})
    update = PeoplePayload(node="x", epoch="f", sequence=0, change=change, part=0, parts=1)
    watched.others.on_update("process-2", update)
    assert watched.changes == [PeopleChange(users={"8": False, "9": True})]
    assert watched.departed == []


def test_a_silent_node_is_gone_and_its_users_are_forgotten_later(watched: Watched) -> None:
    watched.beat()
    watched.part(0, "7")
    watched.wait(SILENCE_SECONDS - LOOK_SECONDS)
    assert watched.x.is_there
    watched.wait(LOOK_SECONDS)
    assert watched.departed == ["x"]
    assert not watched.others.there
    assert watched.users == {"7"}
    assert "silent for 7.5 s" in watched.lines[-1]
    watched.wait(GRACE - LOOK_SECONDS)
    assert watched.users == {"7"}
    watched.wait(LOOK_SECONDS)
    assert len(watched.others) == 0
    assert watched.changes[-1] == PeopleChange(users={"7": False})


def test_a_node_that_is_heard_again_in_time_keeps_its_users(watched: Watched) -> None:
    watched.beat()
    watched.part(0, "7")
    watched.wait(SILENCE_SECONDS)
    watched.changes.clear()
    watched.take_asked()
    watched.beat()
    assert watched.take_asked() == ["process-x"]
    watched.part(0, "7")
    watched.wait(30, "x")
    assert watched.changes == []
    assert watched.x.status is NodeStatus.PRESENT


def test_a_node_that_ends_says_so(watched: Watched) -> None:
    watched.others.on_bye("x")
    watched.beat()
    watched.part(0, "7")
    watched.others.on_bye("x")
    watched.others.on_bye("x")
    assert watched.departed == ["x"]
    assert watched.lines[-1] == "node name-x (x) is gone: it ends; it had 0 sessions"


def test_a_process_that_has_not_run_gives_the_others_time(watched: Watched) -> None:
    watched.beat()
    watched.part(0, "7")
    watched.clock.advance(60)
    assert not watched.others.look()
    assert "has not run for 59.5 s" in watched.lines[-1]
    watched.wait(SILENCE_SECONDS - LOOK_SECONDS)
    assert watched.departed == []
    watched.wait(LOOK_SECONDS)
    assert watched.departed == ["x"]


def test_without_a_link_nobody_is_silent(watched: Watched) -> None:
    watched.beat()
    watched.part(0, "7")
    watched.others.pause()
    watched.wait(60)
    assert watched.departed == []
    watched.others.go_on()
    watched.wait(SILENCE_SECONDS - LOOK_SECONDS)
    assert watched.departed == []
    watched.wait(LOOK_SECONDS)
    assert watched.departed == ["x"]


def test_listeners_learn_of_other_watched_topics(watched: Watched) -> None:
    watched.beat()
    watched.part(0)
    before = watched.node_changes
    beat = Beat(node="x", epoch="e", sequence=0, name="a", watched=("room.*",))
    watched.others.on_beat("process-x", beat)
    watched.others.on_beat("process-x", beat)
    assert watched.node_changes == before + 1
    watched.others.settle()
    watched.others.settle()
    assert watched.node_changes == before + 2


def test_nobody_fills_the_memory(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST_NODES + 3):
        watched.beat(f"{number}")
    assert len(watched.others) == MOST_NODES
    assert watched.others.ignored == 3
    watched.tell(1, "7", node="another")
    monkeypatch.setattr(other_nodes, "MOST_ENTRIES", 2)
    fresh = Watched()
    fresh.beat()
    with pytest.raises(PushRefused) as refused:
        fresh.part(0, "1", "2", "3")
    assert "3 entries, 2 allowed" in refused.value.detail
    assert fresh.users == set()
    # A part that is too much is not kept, though others would follow.
    fresh.part(0, "1", "2", parts=1000)
    with pytest.raises(PushRefused):
        fresh.part(0, "3", part=1, parts=1000)
    assert fresh.x.arriving is None
    fresh.part(0, "1", "2")
    for _ in range(3):
        with pytest.raises(PushRefused):
            fresh.tell(1, "3")
    assert (fresh.users, fresh.x.sequence) == ({"1", "2"}, 0)
    # The entries of all nodes count together.
    with pytest.raises(PushRefused):
        fresh.others.on_update(
            "process-y",
            PeoplePayload(
                node="y",
                epoch="e",
                sequence=0,
                change=PeopleChange(members={"t": {"4": 1}}),
                part=0,
                parts=1,
            ),
        )


def test_a_node_without_a_beat_is_shown_by_its_id(watched: Watched) -> None:
    watched.tell(1, "7")
    assert watched.x.name == "x"
    watched.others.adopt([OtherNode("y", "process-y", 0.0)])
    assert [each.id for each in watched.others] == ["x", "y"]
