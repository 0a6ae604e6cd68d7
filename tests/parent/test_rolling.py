"""A replacement that goes through several workers."""

from __future__ import annotations

from collections.abc import Sequence

from wampush.parent.replacement import Answer
from wampush.parent.rolling import Rolling, names


class World:
    """A rolling replacement, and what becomes of it."""

    def __init__(
        self, workers: Sequence[int], *, is_alone: bool = False, added: Sequence[int] = ()
    ) -> None:
        self.now = 10.0
        self.begun: list[tuple[int, Answer]] = []
        self.outcomes: list[tuple[bool, str]] = []
        self._added = list(added)
        self.rolling = Rolling(
            "upgrade",
            workers,
            is_alone=is_alone,
            begin=lambda worker, answer: self.begun.append((worker, answer)),
            turns_after=self._turns_after,
            on_end=lambda *outcome: self.outcomes.append(outcome),
            now=lambda: self.now,
        )
        self.rolling.start()

    def _turns_after(self, _: int, left: Sequence[int]) -> Sequence[int]:
        added, self._added = self._added, []
        return [*left, *added]

    def end(self, worker: int, *, is_done: bool, text: str) -> None:
        """Report the outcome of the worker that has its turn."""
        number, answer = self.begun[-1]
        assert number == worker
        answer(is_done, text)


def test_one_worker_after_the_other() -> None:
    world = World([2, 1, 3])
    assert [worker for worker, _ in world.begun] == [2]
    is_at_last = [world.rolling.is_at_last]
    for worker, text in ((2, "b"), (1, "a")):
        world.end(worker, is_done=True, text=text)
        is_at_last.append(world.rolling.is_at_last)
    assert is_at_last == [False, False, True]
    assert world.outcomes == []
    world.now = 12.25
    world.end(3, is_done=True, text="c")
    text = "workers 1, 2 and 3 replaced in 2.2 s\nworker 1: a\nworker 2: b\nworker 3: c"
    assert world.outcomes == [(True, text)]
    assert world.rolling.last == 3


def test_the_first_one_that_fails_changes_nothing() -> None:
    world = World([1, 2])
    world.end(1, is_done=False, text="it does not start")
    expected = "worker 1: it does not start; no worker has been replaced"
    assert world.outcomes == [(False, expected)]
    assert len(world.begun) == 1


def test_a_later_one_that_fails_says_who_has_a_new_node() -> None:
    world = World([1, 2, 3, 4])
    world.end(1, is_done=True, text="a")
    world.end(2, is_done=False, text="no memory")
    expected = "worker 2: no memory; worker 1 has been replaced before, workers 2, 3 and 4 have not"
    assert world.outcomes == [(False, expected)]
    world = World([1, 2])
    world.end(1, is_done=True, text="a")
    world.end(2, is_done=False, text="no memory")
    assert world.outcomes[0][1].endswith("worker 1 has been replaced before, worker 2 has not")


def test_a_single_worker_has_no_number() -> None:
    for is_done, text in ((True, "it serves"), (False, "it does not start")):
        world = World([1], is_alone=True)
        world.end(1, is_done=is_done, text=text)
        assert world.outcomes == [(is_done, text)]
        assert world.rolling.is_alone


def test_workers_may_be_added() -> None:
    world = World([1], is_alone=True, added=[2, 3])
    world.end(1, is_done=True, text="a")
    world.end(2, is_done=True, text="b")
    world.end(3, is_done=True, text="c")
    assert not world.rolling.is_alone
    assert world.outcomes[0][1].startswith("workers 1, 2 and 3 replaced in 0.0 s\n")


def test_names() -> None:
    assert names([3]) == "worker 3"
    assert names([3, 1]) == "workers 1 and 3"
    assert names({2: "", 1: "", 4: ""}) == "workers 1, 2 and 4"
