"""Reads of a topic: in slices, as a whole or what lies between, and reads that become void."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wampush.broker.history.journal import StoredRow
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.mirrors.contract import Cursor, Run, Slice, Unreadable
from wampush.broker.mirrors.loading import Loading
from wampush.broker.mirrors.loss import Known
from wampush.broker.mirrors.mirror import Arrival, Mirror, MirrorState
from wampush.broker.publication import EVERYONE, Position

RULE = HistoryRule(events=10, last_by="id")


class Store:
    """Answers reads when a test says so."""

    is_joined = True
    problem = ""

    def __init__(self) -> None:
        self.reads: list[tuple[Cursor, Callable[[Any], None]]] = []
        self.renewals: list[tuple[str, Callable[[], None]]] = []

    def read(self, topic: str, cursor: Cursor, on_read: Callable[[Any], None]) -> None:
        assert topic == "t"
        self.reads.append((cursor, on_read))

    def renew(self, topic: str, epoch: str, on_renewed: Callable[[], None]) -> None:
        assert topic == "t"
        self.renewals.append((epoch, on_renewed))

    def answer(self, found: object) -> Cursor:
        cursor, on_read = self.reads.pop(0)
        on_read(found)
        return cursor


class World:
    def __init__(self) -> None:
        self.store = Store()
        rules = HistoryRules([("t", RULE)])
        self.history = MemoryHistory(rules, 10**6, lambda: 50.0, lambda: 50.0, is_mirror=True)
        self.delivered: list[int] = []
        self.loaded = 0
        self.problems: list[Unreadable] = []
        store: Any = self.store
        self.loading = Loading(
            store, self.history, self.deliver, self.on_loaded, self.on_unreadable
        )
        self.mirror = Mirror("t", RULE)

    def deliver(self, mirror: Mirror, arrival: Arrival) -> None:
        self.delivered.append(arrival.position.offset)
        mirror.known = Known(arrival.position, arrival.run)

    def on_loaded(self, mirror: Mirror) -> None:
        assert mirror is self.mirror
        self.loaded += 1
        self.reload = mirror.reload

    def on_unreadable(self, mirror: Mirror, problem: Unreadable) -> None:
        assert mirror is self.mirror
        self.problems.append(problem)

    def know(self, offset: int, epoch: str = "e") -> None:
        self.mirror.known = Known(Position(epoch, offset), "a")
        self.mirror.move(MirrorState.LOADING)
        self.mirror.move(MirrorState.LIVE)

    def kept(self) -> list[int]:
        log = self.history.log("t")
        return [] if log is None else [each.offset for each in log.events]


@pytest.fixture
def world() -> World:
    return World()


def row(offset: int, payload: bytes = b'{"id":1}') -> StoredRow:
    return StoredRow(offset, 1.0, payload, EVERYONE)


def part(
    offset: int,
    *events: int,
    values: tuple[int, ...] = (),
    is_whole: bool = True,
    epoch: str = "e",
    runs: tuple[Run, ...] = (Run("a", 0),),
    previous: str = "",
) -> Slice:
    return Slice(
        Position(epoch, offset),
        runs,
        previous,
        10.0,
        [row(each, b'{"id":"%d"}' % each) for each in values],
        [row(each) for each in events],
        is_whole=is_whole,
    )


def test_a_topic_is_read_in_slices_the_values_first(world: World) -> None:
    world.loading.fill(world.mirror)
    assert world.mirror.state is MirrorState.LOADING
    assert world.store.answer(part(9, values=(2, 3), is_whole=False)) == Cursor(0, 0)
    assert world.store.answer(part(9, 7, values=(5,), is_whole=False)) == Cursor(3, 0)
    # An event that has come since is part of it; a value that has is not.
    assert world.store.answer(part(10, 8, 9, 10)) == Cursor(None, 7)
    assert world.loaded == 1
    assert world.mirror.known == Known(Position("e", 10), "a")
    assert world.kept() == [7, 8, 9, 10]
    log = world.history.log("t")
    assert log is not None
    assert sorted(log.values) == ["1", "2", "3", "5"]
    # Its age is counted by the clock of the store.
    assert [each.seen for each in log.events] == [41.0] * 4


def test_values_of_events_that_wait_are_left_out(world: World) -> None:
    world.loading.load(world.mirror)
    world.store.answer(part(5, 4, 5, values=(5,), is_whole=False))
    world.store.answer(part(6, values=(6,)))
    log = world.history.log("t")
    assert log is not None
    assert sorted(log.values) == ["1"]
    assert log.offset == 5


def test_another_epoch_in_the_middle_begins_again(world: World) -> None:
    world.loading.load(world.mirror)
    world.store.answer(part(5, 4, is_whole=False))
    world.store.answer(part(1, 1, epoch="f"))
    assert world.store.answer(part(1, 1, epoch="f")) == Cursor(0, 0)
    assert world.mirror.known == Known(Position("f", 1), "a")
    assert world.kept() == [1]


def test_what_lies_between_is_delivered_as_it_comes(world: World) -> None:
    world.know(5)
    world.loading.fill(world.mirror)
    assert world.mirror.state is MirrorState.FILLING
    assert world.store.answer(part(8, 6, is_whole=False)) == Cursor(None, 5)
    assert world.delivered == [6]
    assert world.store.answer(part(8, 7, 8)) == Cursor(None, 6)
    assert world.delivered == [6, 7, 8]
    assert world.loaded == 1


def test_what_is_gone_there_makes_the_topic_be_read_anew(world: World) -> None:
    world.know(5)
    world.loading.fill(world.mirror)
    world.store.answer(part(9, 8, 9))
    assert world.delivered == []
    assert world.mirror.state is MirrorState.LOADING
    world.store.answer(part(9, 8, 9))
    assert world.loaded == 1
    assert world.reload is not None
    assert world.reload.new_after == 5
    # Nothing is left, or too little.
    for events in ((), (10,)):
        world.mirror.reload = None
        world.mirror.move(MirrorState.LIVE)
        world.loading.fill(world.mirror)
        world.store.answer(part(12, *events))
        assert world.mirror.state is MirrorState.LOADING
        world.store.answer(part(9, 8, 9))


def test_lost_events_end_the_epoch_first(world: World) -> None:
    world.know(5)
    world.loading.fill(world.mirror)
    world.store.answer(part(7, 6, 7, runs=(Run("a", 0), Run("b", 3))))
    ((epoch, on_renewed),) = world.store.renewals
    assert epoch == "e"
    assert world.loading.renewed == 1
    assert world.delivered == []
    on_renewed()
    world.store.answer(part(7, 3, 4, 5, 6, 7, epoch="f", previous="e"))
    assert world.reload is not None
    assert (world.reload.new_after, world.reload.is_lossless) == (3, False)
    # When the read has become void meanwhile, nothing follows.
    world.mirror.reload = None
    world.mirror.move(MirrorState.LIVE)
    world.loading.fill(world.mirror)
    world.store.answer(part(1, epoch="f"))
    world.mirror.reading += 1
    world.store.renewals[-1][1]()
    assert not world.store.reads


def test_an_epoch_that_has_ended_elsewhere(world: World) -> None:
    world.know(3)
    world.loading.fill(world.mirror)
    world.store.answer(part(7, epoch="f", previous="e"))
    world.store.answer(part(7, 4, 5, 6, 7, epoch="f", previous="e"))
    assert world.reload is not None
    assert (world.reload.new_after, world.reload.is_lossless) == (3, True)


def test_a_void_answer_is_ignored_and_a_problem_reported(world: World) -> None:
    world.loading.load(world.mirror)
    _, late = world.store.reads.pop()
    world.loading.load(world.mirror, 7, is_lossless=False)
    late(part(1, 1))
    assert not world.loaded
    world.store.answer(Unreadable("no"))
    assert world.problems == [Unreadable("no")]
    world.loading.again(world.mirror)
    assert world.mirror.reload is not None
    assert world.mirror.reload.new_after == 7
    world.store.answer(None)
    assert len(world.problems) == 2


def test_a_fill_that_has_failed_is_tried_again(world: World) -> None:
    world.know(5)
    world.loading.fill(world.mirror)
    world.store.answer(Unreadable("no"))
    world.loading.again(world.mirror)
    assert world.store.answer(part(5)) == Cursor(None, 5)
    assert world.loaded == 1
