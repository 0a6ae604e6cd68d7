"""A journal that is opened later gets everything in its order."""

from __future__ import annotations

from collections.abc import Sequence

from wampush.broker.history.journal import MemoryJournal, Outcome, Record
from wampush.broker.history.late_journal import LateJournal
from wampush.broker.publication import EVERYONE


def record(topic: str) -> Record:
    return Record(topic, "e", 1.0, b"1", EVERYONE)


def test_what_is_asked_before_happens_when_it_is_opened() -> None:
    inner = MemoryJournal(lambda *_: None)
    journal = LateJournal(lambda: inner)
    outcomes: list[Outcome] = []

    def on_written(found: Sequence[Outcome]) -> None:
        outcomes.extend(found)

    assert list(journal.load()) == []
    journal.start(on_written)
    journal.write([record("t")])
    journal.forget("t")
    journal.write([record("t")])
    journal.trim("t", 1, [])
    journal.flush(0)
    journal.stop(0)
    assert outcomes == []
    journal.open()
    journal.flush(0)
    assert [each.positions[0].offset for each in outcomes] == [1, 1]
    journal.write([record("t")])
    journal.stop(0)
    assert outcomes[-1].positions[0].offset == 2
