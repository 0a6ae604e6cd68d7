"""A journal whose store another process still has.

Owns: what is asked of the journal until then. Must not import: Twisted, the edges.

What is stored comes from the other process as histories, so that nothing is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from wampush.broker.history.journal import Journal, Outcome, Record, StoredTopic

Step = Callable[[Journal], None]


class LateJournal:
    """Passes everything on to a journal that is opened later.

    :param make: opens the store; may raise OperatorError.
    """

    def __init__(self, make: Callable[[], Journal]) -> None:
        self._make: Final = make
        self._journal: Journal | None = None
        self._steps: list[Step] = []

    def open(self) -> None:
        """Open the store, because the other process has closed it.

        :raises OperatorError: it cannot be used.
        """
        self._journal = self._make()
        steps, self._steps = self._steps, []
        for step in steps:
            step(self._journal)

    def load(self) -> Iterator[StoredTopic]:
        """Yield nothing: the other process sends what is stored."""
        return iter(())

    def start(self, on_written: Callable[[Sequence[Outcome]], None]) -> None:
        """Begin to write once the store is open; see :meth:`Journal.start`."""
        self._do(lambda journal: journal.start(on_written))

    def write(self, records: Sequence[Record]) -> None:
        """Store records; see :meth:`Journal.write`."""
        self._do(lambda journal: journal.write(records))

    def trim(self, topic: str, first: int, kept: Sequence[int]) -> None:
        """Remove older publications of a topic; see :meth:`Journal.trim`."""
        self._do(lambda journal: journal.trim(topic, first, kept))

    def forget(self, topic: str) -> None:
        """Remove a topic; see :meth:`Journal.forget`."""
        self._do(lambda journal: journal.forget(topic))

    def flush(self, seconds: float) -> None:
        """Wait until everything so far is stored, if the store is open."""
        if self._journal is not None:
            self._journal.flush(seconds)

    def stop(self, seconds: float) -> None:
        """Store what is left and end, if the store is open."""
        if self._journal is not None:
            self._journal.stop(seconds)

    def _do(self, step: Step) -> None:
        if self._journal is None:
            self._steps.append(step)
        else:
            step(self._journal)
