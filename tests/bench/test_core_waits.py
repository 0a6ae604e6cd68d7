"""How long a process has waited for a core."""

from __future__ import annotations

from bench.core_waits import LATELY, CoreWaits


def test_only_the_last_moments_count():
    time = 0.0
    waits = CoreWaits(waited=lambda: 3 * time, now=lambda: time)
    for _ in range(8):
        time += LATELY / 4
        waits.sample()
    assert waits.lately() == 3 * LATELY


def test_a_pause_longer_than_that_counts_as_a_whole():
    time = 0.0
    waits = CoreWaits(waited=lambda: time, now=lambda: time)
    time = 5 * LATELY
    assert waits.lately() == 5 * LATELY


def test_the_figure_is_that_of_the_scheduler():
    assert CoreWaits().lately() >= 0
