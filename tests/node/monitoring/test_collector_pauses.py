"""How long the garbage collector stops the process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from math import inf

import pytest

from wampush.node.monitoring.collector_pauses import CollectorPauses


@pytest.fixture
def only_asked_for() -> Iterator[None]:
    """The collector runs only when a test asks for it."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("only_asked_for")
def test_collections_of_older_generations_are_measured() -> None:
    times = iter([1.0, 1.5, 7.0, 7.25])
    pauses = CollectorPauses(lambda: next(times))
    pauses.start()
    try:
        for generation in (0, 1, 0, 2):
            gc.collect(generation)
    finally:
        pauses.stop()
    assert pauses.durations.count == 2
    assert pauses.durations.total == 0.75
    counts = dict(pauses.durations.cumulative())
    assert (counts[0.1], counts[0.25], counts[0.5], counts[inf]) == (0, 1, 2, 2)


@pytest.mark.usefixtures("only_asked_for")
def test_nothing_is_measured_after_the_end() -> None:
    before = list(gc.callbacks)
    pauses = CollectorPauses()
    pauses.stop()
    pauses.start()
    assert len(gc.callbacks) == len(before) + 1
    pauses.stop()
    pauses.stop()
    assert gc.callbacks == before
    gc.collect()
    assert pauses.durations.count == 0
