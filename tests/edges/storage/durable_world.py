"""A broker with durable topics on each variant of the journal, with time that a test moves."""

from __future__ import annotations

from pathlib import Path

from wampush.broker.backplane.contract import Accepted
from wampush.broker.durable_publishing import DurablePublishing
from wampush.broker.history.journal import Journal, MemoryJournal
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.ledger import Source
from wampush.broker.publication import EVERYONE, Audience, Position, Publication
from wampush.config.settings import Settings
from wampush.config.tables.topics import HistorySettings, TopicSettings
from wampush.edges.storage.sqlite_database import SqliteDatabase
from wampush.edges.storage.sqlite_journal import SqliteJournal
from wampush.errors import PublicationRefused
from wampush.node.core import make_core
from wampush.testing.clock import ThreadedClock

TOPICS = (
    TopicSettings("log*", history=5, durable=True),
    TopicSettings("table", last_by="id", version_by="rev", durable=True),
    TopicSettings("aged", history=9, max_age=100, durable=True),
    TopicSettings("plain*", history=5, version_by="rev"),
)


class DurableWorld:
    """A broker, until it ends.

    :param path: of the database; None for the journal in memory.
    :param clock: of all worlds of a test.
    :param topics: their settings.
    :param max_bytes: see ``history.max_bytes``.
    """

    def __init__(
        self,
        path: Path | None,
        clock: ThreadedClock,
        *,
        topics: tuple[TopicSettings, ...] = TOPICS,
        max_bytes: int = 1_000_000,
    ) -> None:
        self.clock = clock
        self.seen: list[Publication] = []
        self.outcomes: list[int | Accepted | PublicationRefused] = []
        self.expected = 0
        self.journal: Journal
        self.database: SqliteDatabase | None = None
        if path is None:
            self.journal = MemoryJournal(clock.callLater)
        else:
            self.database = SqliteDatabase(path)
            self.journal = SqliteJournal(self.database, clock.callFromThread)
        settings = Settings(topics=topics, history=HistorySettings(max_bytes=max_bytes))
        core = make_core(settings, clock, now=lambda: self.now, journal=self.journal)
        self.core = core
        self.broker = core.broker
        self.broker.watch(self.seen.append)
        assert core.durable is not None
        self.durable: DurablePublishing = core.durable
        assert core.broker.replays is not None
        self.history: MemoryHistory = core.broker.replays.history

    #: The time of day; a test may set it back.
    now = 1e9

    def push(
        self, topic: str, payload: bytes, audience: Audience = EVERYONE, *further: str
    ) -> None:
        """Push, without waiting for the outcome."""
        publication = Publication(topic, payload, audience, None, further)
        if self.broker.push(Source.HTTP, publication, self.outcomes.append) is None:
            self.expected += 1

    def settle(self) -> None:
        """Wait until every push has its outcome."""
        self.clock.advance(0)
        while len(self.outcomes) < self.expected:
            assert self.clock.run_one(), "no outcome in time"
            self.clock.advance(0)

    def published(self, topic: str, *payloads: bytes) -> list[Position | None]:
        """Push, and return the positions under which the events became visible."""
        begin = len(self.seen)
        for payload in payloads:
            self.push(topic, payload)
        self.settle()
        return [each.position for each in self.seen[begin:]]

    def kept(self, topic: str) -> list[tuple[int, bytes]]:
        """Offset and payload of the events of a topic that are kept."""
        log = self.history.log(topic)
        return [] if log is None else [(each.offset, each.payload) for each in log.events]

    def values(self, topic: str) -> list[bytes]:
        """The values of a topic."""
        log = self.history.log(topic)
        return [] if log is None else [each.payload for each in log.values.values()]

    def stop(self) -> None:
        """End in order."""
        self.broker.stop()
        self.core.backpressure.stop()
