"""The journal of durable topics in SQLite: one thread that stores publications in groups.

Owns: the thread, its queue, and what belongs into one transaction. Must not import: Twisted, the
other edges. What calls a function in the thread of the broker is handed in.

While a transaction is written to disk, the next group collects; so the disk decides how large the
groups are, and none waits for a timer.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Condition, Thread
from time import monotonic
from typing import Final

from wampush.broker.history.journal import Outcome, Record, StoredTopic
from wampush.edges.storage.sqlite_database import SqliteDatabase

#: Requests in one transaction; more would make the first wait for the last.
MAX_GROUP: Final = 2000


@dataclass(frozen=True, slots=True)
class _Write:
    """Records that are stored together."""

    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class _Trim:
    """The removal of older publications; see :meth:`SqliteDatabase.trim`."""

    topic: str
    first: int
    kept: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Forget:
    """The removal of a topic."""

    topic: str


_Request = _Write | _Trim | _Forget


class SqliteJournal:
    """Stores publications in a database.

    :param database: used by the thread only, once it runs.
    :param call_in_broker: calls a function in the thread of the broker, as the reactor's
        ``callFromThread``.
    """

    def __init__(
        self,
        database: SqliteDatabase,
        call_in_broker: Callable[[Callable[[], None]], object],
    ) -> None:
        self._database = database
        self._call_in_broker = call_in_broker
        self._changed = Condition()
        self._requests: deque[_Request] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._is_busy = False
        self._is_stopping = False
        self._on_written: Callable[[Sequence[Outcome]], None] | None = None
        # A daemon, so that a disk that hangs cannot keep the process.
        self._thread = Thread(target=self._run, name="wampush-journal", daemon=True)

    def load(self) -> Iterator[StoredTopic]:
        """Yield what is stored; see :meth:`Journal.load`."""
        return self._database.load()

    def start(self, on_written: Callable[[Sequence[Outcome]], None]) -> None:
        """Begin to write; see :meth:`Journal.start`."""
        self._on_written = on_written
        self._thread.start()

    def write(self, records: Sequence[Record]) -> None:
        """Store records, all or none of them."""
        self._add(_Write(records))

    def trim(self, topic: str, first: int, kept: Sequence[int]) -> None:
        """Remove older publications of a topic; see :meth:`Journal.trim`."""
        self._add(_Trim(topic, first, kept))

    def forget(self, topic: str) -> None:
        """Remove a topic."""
        self._add(_Forget(topic))

    def flush(self, seconds: float) -> None:
        """Wait until everything so far is stored; see :meth:`Journal.flush`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._requests and not self._is_busy, seconds)
        self._hand_over()

    def stop(self, seconds: float) -> None:
        """Store what is left, and end; see :meth:`Journal.stop`."""
        ends_at = monotonic() + seconds
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.ident is None:
            self._database.close()
        else:
            self._thread.join(max(ends_at - monotonic(), 0.0))
        self._hand_over()
        # What a disk that hangs still takes after that has been refused.
        self._on_written = None

    def _add(self, request: _Request) -> None:
        with self._changed:
            self._requests.append(request)
            if len(self._requests) == 1 and not self._is_busy:
                self._changed.notify_all()

    def _hand_over(self) -> None:
        """Hand the outcomes over; in the thread of the broker."""
        outcomes = []
        while self._outcomes:
            outcomes.append(self._outcomes.popleft())
        if outcomes and self._on_written is not None:
            self._on_written(outcomes)

    # In the thread.

    def _run(self) -> None:
        while group := self._next_group():
            outcomes = self._store(group)
            if outcomes:
                self._outcomes.extend(outcomes)
                self._call_in_broker(self._hand_over)
        self._database.close()

    def _next_group(self) -> Sequence[_Request]:
        """Wait for requests; return none at the end."""
        with self._changed:
            self._is_busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._requests or self._is_stopping)
            group = tuple(islice(self._requests, MAX_GROUP))
            for _ in group:
                self._requests.popleft()
            self._is_busy = bool(group)
            return group

    def _store(self, group: Sequence[_Request]) -> Sequence[Outcome]:
        """Carry out requests in one transaction; return the outcomes of those that write."""
        topics = {
            topic
            for each in group
            for topic in (
                [record.topic for record in each.records]
                if isinstance(each, _Write)
                else [each.topic]
            )
        }
        try:
            self._database.begin()
            outcomes = self._carry_out(group)
            self._database.commit()
        # What is wrong with the database must not end the thread: other topics are served, and the
        # next group is another attempt.
        except (sqlite3.Error, OSError, ValueError) as error:
            return self._undo(group, topics, error)
        return outcomes

    def _carry_out(self, group: Sequence[_Request]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        writes: list[_Write] = []

        def append() -> None:
            positions = self._database.append([each for write in writes for each in write.records])
            begin = 0
            for write in writes:
                end = begin + len(write.records)
                outcomes.append(Outcome(positions[begin:end]))
                begin = end
            writes.clear()

        for request in group:
            if isinstance(request, _Write):
                writes.append(request)
                continue
            append()
            if isinstance(request, _Trim):
                self._database.trim(request.topic, request.first, request.kept)
            else:
                self._database.forget(request.topic)
        append()
        return outcomes

    def _undo(
        self, group: Sequence[_Request], topics: set[str], error: Exception
    ) -> Sequence[Outcome]:
        try:
            self._database.roll_back(sorted(topics))
        except sqlite3.Error as second:
            error.add_note(str(second))
        problem = str(error)
        return [Outcome((), problem) for each in group if isinstance(each, _Write)]
