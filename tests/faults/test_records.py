"""The phases of a run of faults."""

from __future__ import annotations

from bench.faults.records import Course, Phase


def test_what_begins_and_ends_in_one_calm_phase_is_calm() -> None:
    course = Course()
    mark = course.mark
    assert course.phase_since(mark) is Phase.CALM
    course.begin(Phase.FAULT)
    assert course.phase_since(mark) is Phase.FAULT
    assert course.phase_since(course.mark) is Phase.FAULT


def test_what_lasts_for_a_whole_fault_is_not_calm() -> None:
    course = Course()
    before = course.mark
    course.begin(Phase.FAULT)
    during = course.mark
    course.begin(Phase.CALM)
    assert course.phase_since(before) is Phase.FAULT
    assert course.phase_since(during) is Phase.FAULT
    assert course.phase_since(course.mark) is Phase.CALM
