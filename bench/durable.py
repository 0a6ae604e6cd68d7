"""Scenario of durable topics: durable.

Owns: publications per second, and the time until one is acknowledged. Must not import: other
scenarios.

The node runs without sockets, so that only the journal and the disk are measured. The floor of the
first figure is a loop that inserts the same rows into SQLite in groups, that of the second one is a
file that is appended to and synchronised, as the log of SQLite is.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from bench.native import BenchError
from bench.run import Run
from bench.table import Row
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.settings import Settings
from wampush.config.tables.topics import TopicSettings
from wampush.edges.storage.sqlite_database import SqliteDatabase
from wampush.edges.storage.sqlite_journal import SqliteJournal
from wampush.node.core import make_core
from wampush.testing.clock import ThreadedClock

_PAYLOAD: Final = b'{"title":"%s"}' % (b"x" * 188)
_RATE: Final = 5000
_GROUP: Final = 500
#: Publications of a turn, as a source that is not paused hands them over.
_TURN: Final = 200


class _Publisher:
    """A node that publishes to a durable topic.

    :param path: of its database.
    """

    def __init__(self, path: Path) -> None:
        self._clock = ThreadedClock()
        journal = SqliteJournal(SqliteDatabase(path), self._clock.callFromThread)
        topics = (TopicSettings("t", history=1000, durable=True),)
        self._core = make_core(Settings(topics=topics), self._clock, journal=journal)
        self._pushed = 0
        #: Seconds until each was acknowledged.
        self.waits: list[float] = []

    def run(self, count: int, rate: float) -> float:
        """Publish, and wait until all is acknowledged.

        :param rate: per second; 0 for as fast as it is taken.
        :returns: seconds.
        """
        begun = time.perf_counter()
        while len(self.waits) < count:
            elapsed = time.perf_counter() - begun
            due = min(count, int(elapsed * rate) + 1) if rate else count
            for _ in range(min(due - self._pushed, _TURN)):
                if not self._core.backpressure.paused:
                    self._push()
            self._clock.advance(0)
            # Outcomes are waited for as a reactor waits for descriptors: not at all if there is
            # something else to do.
            is_idle = self._pushed == count or self._core.backpressure.paused
            self._clock.run_one(1.0 if is_idle else 0.0005 if rate else 0.00001)
        return time.perf_counter() - begun

    def stop(self) -> None:
        """Close the database."""
        self._core.broker.stop()
        self._core.backpressure.stop()

    def _push(self) -> None:
        self._pushed += 1
        on_done = partial(self._on_done, time.perf_counter())
        self._core.broker.push(Source.HTTP, Publication("t", _PAYLOAD), on_done)

    def _on_done(self, begun: float, outcome: object) -> None:
        if outcome != 0:
            raise BenchError(f"a publication was not stored: {outcome}")
        self.waits.append(time.perf_counter() - begun)


def durable(run: Run) -> Iterator[Row]:
    """Publications to a durable topic; floors: SQLite alone, a file alone."""
    count, paced = run.size(100_000, 200), run.size(25_000, 100)
    values: list[float] = []
    floors: list[float] = []
    waits: list[float] = []
    syncs: list[float] = []
    for _ in range(run.rounds):
        with run.folder_on_disk() as folder:
            for rate, number in ((0, count), (_RATE, paced)):
                publisher = _Publisher(Path(folder, f"{rate}.sqlite"))
                seconds = publisher.run(number, rate)
                publisher.stop()
                if rate:
                    waits.append(_percentile(publisher.waits) * 1000)
                else:
                    values.append(number / seconds)
            floors.append(_sqlite_alone(Path(folder, "floor.sqlite"), count))
            syncs.append(_file_alone(Path(folder, "floor"), run.size(1000, 20)))
    yield Row("durable", "accepted per second", values, floors, digits=0)
    yield Row("durable", f"acknowledgement at {_RATE}/s, p99, ms", waits, syncs)


def _sqlite_alone(path: Path, count: int) -> float:
    """Return how many rows per second SQLite takes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE floor (number INTEGER PRIMARY KEY, payload BLOB)")
        begun = time.perf_counter()
        for first in range(0, count, _GROUP):
            rows = [(number, _PAYLOAD) for number in range(first, min(first + _GROUP, count))]
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO floor VALUES (?, ?)", rows)
            connection.execute("COMMIT")
        return count / (time.perf_counter() - begun)


def _file_alone(path: Path, count: int) -> float:
    """Return the 99th percentile of the milliseconds that writing a page to disk takes."""
    waits = []
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            waits.append(time.perf_counter() - begun)
    return _percentile(waits) * 1000


def _percentile(waits: list[float]) -> float:
    return sorted(waits)[len(waits) * 99 // 100]
