"""The journal in memory; the contract of all variants is in test_sqlite_journal."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.task import Clock

from wampush.broker.history.journal import MemoryJournal, Outcome, Record
from wampush.broker.publication import EVERYONE, Position


def record(topic: str, epoch: str = "e") -> Record:
    return Record(topic, epoch, 0.0, b"1", EVERYONE)


def test_outcomes_come_later_and_in_order() -> None:
    clock = Clock()
    journal = MemoryJournal(clock.callLater)
    seen: list[Sequence[Outcome]] = []
    assert list(journal.load()) == []
    journal.start(seen.append)
    journal.write([record("a"), record("b")])
    journal.write([record("a", "other")])
    assert seen == []
    clock.advance(0)
    assert seen == [
        [Outcome([Position("e", 1), Position("e", 1)]), Outcome([Position("e", 2)])],
    ]


def test_a_forgotten_topic_begins_the_epoch_of_its_next_record() -> None:
    journal = MemoryJournal(Clock().callLater)
    seen: list[Sequence[Outcome]] = []
    journal.start(seen.append)
    journal.write([record("a")])
    journal.trim("a", 1, ())
    journal.forget("a")
    journal.forget("never")
    journal.write([record("a", "f")])
    journal.flush(1)
    journal.stop(1)
    assert seen == [[Outcome([Position("e", 1)]), Outcome([Position("f", 1)])]]
