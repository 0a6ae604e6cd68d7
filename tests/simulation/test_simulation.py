"""Nodes, a Redis server and clients in one process, with everything going wrong that can.

``SIMULATION_STEPS`` and ``SIMULATION_SEED`` say how long and from which seed on; ``make simulate``
sets them, and begins with a seed that nobody has tried before. Without them, the seeds are always
the same, so that a test that fails now and did not before is due to what has changed meanwhile. A
seed that fails once belongs into ``corpus.txt``.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.determinism import deterministic
from tests.simulation.world import World

#: Steps with one seed; after each, everything must come to rest.
STEPS = 3000
CORPUS = Path(__file__).with_name("corpus.txt")
#: What a run of all tests does.
USUAL_STEPS = 200_000
#: Seeds that one test runs, so that no test takes long.
SEEDS_PER_TEST = 10


def known_seeds() -> list[int]:
    """The seeds that have failed once."""
    lines = CORPUS.read_text().splitlines()
    return [int(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


KNOWN = known_seeds()
FIRST = int(os.environ.get("SIMULATION_SEED", "910000000"))
#: How many seeds follow, so that all steps are made.
COUNT = max(1, int(os.environ.get("SIMULATION_STEPS", USUAL_STEPS)) // STEPS - len(KNOWN))


def simulate(seed: int) -> World:
    with deterministic(seed, lambda: 0.0):
        world = World(seed)
        try:
            world.run(STEPS)
            world.come_to_rest()
        except BaseException as error:
            error.add_note(
                f"the seed is {seed}: run it again with "
                f"SIMULATION_SEED={seed} SIMULATION_STEPS={STEPS}, and add it to {CORPUS.name}"
            )
            raise
    return world


@pytest.mark.parametrize("seed", KNOWN)
def test_seeds_that_have_failed_once(seed: int) -> None:
    simulate(seed)


@pytest.mark.parametrize("part", range(-(-COUNT // SEEDS_PER_TEST)))
def test_no_silent_hole_no_double_and_the_right_order(part: int) -> None:
    begin = part * SEEDS_PER_TEST
    counts: Counter[str] = Counter()
    for number in range(begin, min(COUNT, begin + SEEDS_PER_TEST)):
        counts += simulate(FIRST + number).counts
    # Otherwise the simulation would prove nothing.
    assert counts["push"] > STEPS // 5
    assert counts["subscribe"] > STEPS // 50
    assert counts["cut"] + counts["fail_over"] + counts["freeze_node"] + counts["crash_node"]
