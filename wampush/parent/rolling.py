"""A replacement that goes through several workers, one after the other.

Owns: whose turn it is, and what is said about the whole. Must not import: Twisted.

The first worker shows whether what is on disk works: if its new node does not become ready, nothing
has changed. If a later one fails, the workers before it have been replaced already; that is said,
and nothing more is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from wampush.parent.replacement import Answer


class Rolling:
    """Has the nodes of workers replaced, one after the other.

    :param kind: what it is called.
    :param workers: their numbers, in this order.
    :param is_alone: whether there is no other worker.
    :param begin: begins the replacement of a worker's node; takes the number of the worker, and
        what takes the outcome.
    :param turns_after: returns the workers that have their turn after one that has a new node;
        takes the number of that one, and those that were left until then.
    :param on_end: takes the outcome of the whole.
    :param now: returns the monotonic time.
    """

    def __init__(
        self,
        kind: str,
        workers: Sequence[int],
        *,
        is_alone: bool,
        begin: Callable[[int, Answer], object],
        turns_after: Callable[[int, Sequence[int]], Sequence[int]],
        on_end: Answer,
        now: Callable[[], float],
    ) -> None:
        self._waiting: list[int] = list(workers)
        self.kind = kind
        #: Whether there is one worker, so that nobody needs its number.
        self.is_alone = is_alone
        #: The worker that had its turn last.
        self.last = 0
        self._begin = begin
        self._turns_after = turns_after
        self._on_end = on_end
        self._now = now
        self._started = now()
        #: Of each worker that has a new node, what is said about it.
        self._done: dict[int, str] = {}

    @property
    def is_at_last(self) -> bool:
        """Whether no worker has its turn after the current one."""
        return not self._waiting

    def start(self) -> None:
        """Begin with the first worker."""
        self._next()

    def _next(self) -> None:
        worker = self.last = self._waiting.pop(0)
        self._begin(worker, lambda is_done, text: self._on_outcome(worker, is_done, text))

    def _on_outcome(self, worker: int, is_done: bool, text: str) -> None:
        if not is_done:
            self._on_end(False, self._failure(worker, text))
            return
        self._done[worker] = text
        self._waiting = list(self._turns_after(worker, self._waiting))
        self.is_alone = self.is_alone and not self._waiting
        if self._waiting:
            self._next()
        else:
            self._on_end(True, self._success())

    def _success(self) -> str:
        if self.is_alone:
            return next(iter(self._done.values()))
        seconds = self._now() - self._started
        lines = [f"worker {worker}: {text}" for worker, text in sorted(self._done.items())]
        return "\n".join([f"{names(self._done)} replaced in {seconds:.1f} s", *lines])

    def _failure(self, worker: int, text: str) -> str:
        if self.is_alone:
            return text
        if not self._done:
            return f"worker {worker}: {text}; no worker has been replaced"
        done, left = list(self._done), [worker, *self._waiting]
        return (
            f"worker {worker}: {text}; {names(done)} {_have(done)} been replaced before, "
            f"{names(left)} {_have(left)} not"
        )


def _have(workers: Sequence[int]) -> str:
    return "has" if len(workers) == 1 else "have"


def names(workers: Iterable[int]) -> str:
    """Return the names of workers as the subject of a sentence."""
    numbers = [str(each) for each in sorted(workers)]
    if len(numbers) == 1:
        return f"worker {numbers[0]}"
    return f"workers {', '.join(numbers[:-1])} and {numbers[-1]}"
