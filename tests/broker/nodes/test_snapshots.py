"""How often other nodes get everything."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.broker.nodes.node_world import Installation
from tests.broker.world import FakeClock
from wampush.broker.nodes import snapshots
from wampush.broker.nodes.snapshots import STEPS, TELL_SECONDS, Snapshots
from wampush.clock import Clock


class Told:
    """Which processes are told everything."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.processes: list[str] = []
        clock = Clock(lambda: self.clock.now, self.clock.call_later)
        #: Steps that each snapshot takes besides the first.
        self.steps = 0
        self.closed: list[str] = []
        self.snapshots = Snapshots(self._tell, clock)

    def _tell(self, process: str) -> Generator[None, None, None]:
        try:
            for _ in range(1 + self.steps):
                self.processes.append(process)
                yield
        finally:
            self.closed.append(process)

    def ask(self, *processes: str) -> None:
        for each in processes:
            self.snapshots.on_request(each)


def test_each_process_is_told_at_once_and_again_after_a_while() -> None:
    told = Told()
    told.ask("a", "b", *["a"] * 100)
    assert told.processes == ["a", "b"]
    assert told.snapshots.postponed == 100
    told.clock.advance(TELL_SECONDS / 2)
    told.ask("a")
    assert told.processes == ["a", "b"]
    told.clock.advance(TELL_SECONDS / 2)
    assert told.processes == ["a", "b", "a"]
    told.ask("a")
    told.clock.advance(TELL_SECONDS)
    assert told.processes == ["a", "b", "a", "a"]
    assert told.clock.pending == []


def test_a_process_that_asks_seldom_never_waits() -> None:
    told = Told()
    for _ in range(5):
        told.ask("a")
        told.clock.advance(TELL_SECONDS)
    assert told.processes == ["a"] * 5
    assert told.snapshots.postponed == 0


def test_made_up_processes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST_PROCESSES", 3)
    told = Told()
    told.ask(*"abcde")
    assert told.processes == ["a", "b", "c"]
    assert told.snapshots.ignored == 2
    told.clock.advance(TELL_SECONDS)
    told.ask("e")
    assert told.processes[3:] == ["e"]


def test_a_large_snapshot_takes_several_turns() -> None:
    told = Told()
    told.steps = 2 * STEPS
    told.ask("a", "b")
    assert told.processes == ["a"] * STEPS
    told.clock.advance(0)
    assert told.processes == ["a"] * 2 * STEPS
    # One after the other.
    for _ in range(10):
        told.clock.advance(0)
    assert told.processes == ["a"] * (1 + told.steps) + ["b"] * (1 + told.steps)
    assert told.closed == ["a", "b"]
    assert told.clock.pending == []


def test_a_snapshot_that_is_told_ends_with_the_process() -> None:
    told = Told()
    told.steps = 100
    told.ask("a")
    told.snapshots.stop()
    told.clock.advance(1)
    assert told.processes == ["a"] * STEPS
    assert told.closed == ["a"]
    assert told.clock.pending == []


def test_nothing_is_told_after_the_end() -> None:
    told = Told()
    told.ask("a", "a")
    told.snapshots.stop()
    told.clock.advance(TELL_SECONDS)
    assert told.processes == ["a"]
    assert told.clock.pending == []


def test_a_node_that_comes_learns_everything_while_users_come_and_go() -> None:
    world = Installation(1)
    (a,) = world.nodes
    for number in range(10_000):
        a.nodes.own.set_user(f"u{number}", True)
    world.wait(TELL_SECONDS)
    b = world.add("b")
    told: list[int] = []

    def come_and_go(number: int = 0) -> None:
        told.append(number)
        a.nodes.own.set_user(f"u{number}", False)
        a.nodes.own.set_user(f"new{number}", True)
        if number < 20:
            a.own_clock.call_later(0.02, lambda: come_and_go(number + 1))

    come_and_go()
    world.wait(TELL_SECONDS)
    assert len(told) == 21
    (node,) = b.nodes.others.present
    assert node.people.users == a.nodes.own.people.users
    # It has not had to ask again, because changes wait for the snapshot.
    assert a.nodes.snapshots.postponed == 0


def test_a_node_that_keeps_asking_gets_few_answers() -> None:
    world = Installation()
    a, b = world.nodes
    world.wait(TELL_SECONDS)
    for _ in range(50):
        a.nodes.on_message(b.process, "tell-all", b"{}")
    assert a.nodes.snapshots.postponed == 49
    world.wait(TELL_SECONDS)
    assert a.nodes.snapshots.postponed == 49
