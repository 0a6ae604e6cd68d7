"""What has survived a long collection is looked at again only after many of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from wampush.node.garbage_collection import (
    LEAST_THAW_SECONDS,
    LONG_SECONDS,
    THAW_PART,
    THRESHOLDS,
    GarbageCollection,
    paused_collector,
)

pytestmark = pytest.mark.usefixtures("frozen_again")


class Cpu:
    """Collections take as long as the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 0.0

    def seconds(self) -> float:
        """Return the time; between two calls, a collection passes."""
        self.now += self.takes
        return self.now


class Node:
    """May refer to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.other: Node | None = None

    def make_cycle(self) -> None:
        self.other = self


@pytest.fixture
def cpu() -> Cpu:
    return Cpu()


@pytest.fixture
def collection(cpu: Cpu) -> Iterator[GarbageCollection]:
    """The collector runs only when a test asks for it."""
    assert gc.isenabled()
    gc.disable()
    made = GarbageCollection(cpu.seconds)
    yield made
    made.stop()
    gc.enable()


def is_looked_at(wanted: object) -> bool:
    """Whether the collector looks at an object; not at frozen ones."""
    return any(each is wanted for each in gc.get_objects())


def test_what_is_there_at_the_start_is_frozen_until_the_end(collection: GarbageCollection) -> None:
    before = gc.get_threshold()
    node = Node()
    collection.start()
    assert gc.get_threshold() == THRESHOLDS
    assert not is_looked_at(node)
    collection.stop()
    assert is_looked_at(node)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_stopping_without_a_start_changes_nothing(collection: GarbageCollection) -> None:
    gc.freeze()
    collection.stop()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_what_has_come_during_a_pause_is_frozen(collection: GarbageCollection) -> None:
    collection.start()
    gc.enable()
    collection.pause()
    assert not gc.isenabled()
    node = Node()
    collection.settle()
    assert gc.isenabled()
    gc.disable()
    assert not is_looked_at(node)


def test_a_pause_may_end_without_freezing(collection: GarbageCollection) -> None:
    collection.start()
    gc.enable()
    collection.pause()
    node = Node()
    collection.resume()
    assert gc.isenabled()
    gc.disable()
    assert is_looked_at(node)


def test_a_collector_that_was_off_stays_off(collection: GarbageCollection) -> None:
    collection.start()
    gc.disable()
    collection.pause()
    collection.settle()
    collection.resume()
    assert not gc.isenabled()


def test_what_survives_a_long_collection_is_frozen(collection: GarbageCollection, cpu: Cpu) -> None:
    collection.start()
    node, garbage = Node(), Node()
    garbage.make_cycle()
    gone = weakref.ref(garbage)
    del garbage
    cpu.takes = LONG_SECONDS * 2
    gc.collect()
    assert not is_looked_at(node)
    assert gone() is None


def test_what_survives_a_short_one_is_not(collection: GarbageCollection, cpu: Cpu) -> None:
    collection.start()
    node = Node()
    cpu.takes = LONG_SECONDS / 2
    gc.collect()
    assert is_looked_at(node)


@pytest.mark.parametrize("generation", [0, 1])
def test_younger_generations_do_not_count(
    collection: GarbageCollection, cpu: Cpu, generation: int
) -> None:
    collection.start()
    node = Node()
    cpu.takes = LONG_SECONDS * 2
    gc.collect(generation)
    assert is_looked_at(node)
    assert cpu.now == 0


def collect_until_gone(gone: weakref.ref[Node], most: int) -> int:
    """Collect until an object is gone; return how many collections were in vain."""
    for count in range(most):
        gc.collect()
        if gone() is None:
            return count
    raise AssertionError(f"not gone after {most} collections")


def test_garbage_among_frozen_objects_is_found_later(
    collection: GarbageCollection, cpu: Cpu
) -> None:
    collection.start()
    node = Node()
    cpu.takes = LEAST_THAW_SECONDS / 2
    gc.collect()
    assert not is_looked_at(node)
    node.make_cycle()
    gone = weakref.ref(node)
    del node
    # The first one, which has frozen it, counts as well.
    assert collect_until_gone(gone, 20) == LEAST_THAW_SECONDS / cpu.takes
    # Everything is frozen again.
    assert not is_looked_at(collection)


def test_what_is_there_at_the_start_is_thawed_like_the_rest(
    collection: GarbageCollection, cpu: Cpu
) -> None:
    node = Node()
    node.make_cycle()
    gone = weakref.ref(node)
    del node
    collection.start()
    cpu.takes = LEAST_THAW_SECONDS * 2
    assert collect_until_gone(gone, 20) == 1


def test_collections_are_counted_anew_after_that(collection: GarbageCollection, cpu: Cpu) -> None:
    collection.start()
    cpu.takes = LEAST_THAW_SECONDS
    gc.collect()
    gc.collect()
    # This one is of everything.
    gc.collect()
    node = Node()
    gc.collect()
    node.make_cycle()
    gone = weakref.ref(node)
    del node
    cpu.takes = LEAST_THAW_SECONDS * THAW_PART
    assert collect_until_gone(gone, 20) == 1


def test_it_runs_again_after_imports_that_fail() -> None:
    def fail() -> None:
        with paused_collector():
            assert not gc.isenabled()
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert gc.isenabled()


def test_one_that_was_off_before_imports_stays_off() -> None:
    gc.disable()
    try:
        with paused_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
