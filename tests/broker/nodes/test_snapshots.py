"""How often other nodes get everything."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.broker.nodes.node_world import Installation
from tests.broker.world import FakeClock
from wampush.broker.nodes import snapshots
from wampush.broker.nodes.snapshots import SNAPSHOT_SECONDS, STEPS, Snapshots
from wampush.clock import Clock


class Sending:
    """Which processes are sent everything."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.processes: list[str] = []
        clock = Clock(lambda: self.clock.now, self.clock.call_later)
        #: Steps that each snapshot takes besides the first.
        self.steps = 0
        self.closed: list[str] = []
        self.snapshots = Snapshots(self._send, clock)

    def _send(self, process: str) -> Generator[None, None, None]:
        try:
            for _ in range(1 + self.steps):
                self.processes.append(process)
                yield
        finally:
            self.closed.append(process)

    def ask(self, *processes: str) -> None:
        for each in processes:
            self.snapshots.on_request(each)


def test_each_process_is_answered_at_once_and_again_after_a_while() -> None:
    sending = Sending()
    sending.ask("a", "b", *["a"] * 100)
    assert sending.processes == ["a", "b"]
    assert sending.snapshots.postponed == 100
    sending.clock.advance(SNAPSHOT_SECONDS / 2)
    sending.ask("a")
    assert sending.processes == ["a", "b"]
    sending.clock.advance(SNAPSHOT_SECONDS / 2)
    assert sending.processes == ["a", "b", "a"]
    sending.ask("a")
    sending.clock.advance(SNAPSHOT_SECONDS)
    assert sending.processes == ["a", "b", "a", "a"]
    assert sending.clock.pending == []


def test_a_process_that_asks_seldom_never_waits() -> None:
    sending = Sending()
    for _ in range(5):
        sending.ask("a")
        sending.clock.advance(SNAPSHOT_SECONDS)
    assert sending.processes == ["a"] * 5
    assert sending.snapshots.postponed == 0


def test_made_up_processes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST_PROCESSES", 3)
    sending = Sending()
    sending.ask(*"abcde")
    assert sending.processes == ["a", "b", "c"]
    assert sending.snapshots.ignored == 2
    sending.clock.advance(SNAPSHOT_SECONDS)
    sending.ask("e")
    assert sending.processes[3:] == ["e"]


def test_a_large_snapshot_takes_several_turns() -> None:
    sending = Sending()
    sending.steps = 2 * STEPS
    sending.ask("a", "b")
    assert sending.processes == ["a"] * STEPS
    sending.clock.advance(0)
    assert sending.processes == ["a"] * 2 * STEPS
    # One after the other.
    for _ in range(10):
        sending.clock.advance(0)
    assert sending.processes == ["a"] * (1 + sending.steps) + ["b"] * (1 + sending.steps)
    assert sending.closed == ["a", "b"]
    assert sending.clock.pending == []


def test_a_snapshot_that_is_being_sent_ends_with_the_process() -> None:
    sending = Sending()
    sending.steps = 100
    sending.ask("a")
    sending.snapshots.stop()
    sending.clock.advance(1)
    assert sending.processes == ["a"] * STEPS
    assert sending.closed == ["a"]
    assert sending.clock.pending == []


def test_nothing_is_sent_after_the_end() -> None:
    sending = Sending()
    sending.ask("a", "a")
    sending.snapshots.stop()
    sending.clock.advance(SNAPSHOT_SECONDS)
    assert sending.processes == ["a"]
    assert sending.clock.pending == []


def test_a_node_that_comes_learns_everything_while_users_come_and_go() -> None:
    world = Installation(1)
    (a,) = world.nodes
    for number in range(10_000):
        a.nodes.own.set_user(f"u{number}", True)
    world.wait(SNAPSHOT_SECONDS)
    b = world.add("b")
    sending: list[int] = []

    def come_and_go(number: int = 0) -> None:
        sending.append(number)
        a.nodes.own.set_user(f"u{number}", False)
        a.nodes.own.set_user(f"new{number}", True)
        if number < 20:
            a.own_clock.call_later(0.02, lambda: come_and_go(number + 1))

    come_and_go()
    world.wait(SNAPSHOT_SECONDS)
    assert len(sending) == 21
    (node,) = b.nodes.others.present
    assert node.people.users == a.nodes.own.people.users
    # It has not had to ask again, because changes wait for the snapshot.
    assert a.nodes.snapshots.postponed == 0


def test_a_node_that_keeps_asking_gets_few_answers() -> None:
    world = Installation()
    a, b = world.nodes
    world.wait(SNAPSHOT_SECONDS)
    for _ in range(50):
        a.nodes.on_message(b.process, "request-all", b"{}")
    assert a.nodes.snapshots.postponed == 49
    world.wait(SNAPSHOT_SECONDS)
    assert a.nodes.snapshots.postponed == 49
