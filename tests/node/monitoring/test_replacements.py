"""Upgrades and reloads are counted across the processes that they start."""

from __future__ import annotations

from dataclasses import asdict

from wampush.known_fields import known_fields
from wampush.node.monitoring.replacements import ReplacementCounts, Replacements


def test_all_outcomes_are_there_before_there_were_any() -> None:
    counts = Replacements()
    assert set(counts.outcomes().values()) == {0}
    counts.note("upgrade", is_done=True)
    counts.note("reload", is_done=False)
    counts.note("of a later version", is_done=True)
    assert counts.outcomes() == {
        ("upgrade", "done"): 1,
        ("upgrade", "failed"): 0,
        ("reload", "done"): 0,
        ("reload", "failed"): 1,
    }


def test_the_next_process_goes_on_counting() -> None:
    old, new = Replacements(), Replacements()
    old.note("upgrade", is_done=False)
    old.note_sessions(moved=3, not_moved=1)
    values = {**asdict(old.snapshot()), "unknown": 1}
    new.resume(ReplacementCounts(**known_fields(ReplacementCounts, values)))
    new.note("upgrade", is_done=True)
    new.note_sessions(moved=3, not_moved=0)
    outcomes = new.outcomes()
    assert (outcomes["upgrade", "done"], outcomes["upgrade", "failed"]) == (1, 1)
    assert (new.moved, new.not_moved) == (6, 1)
