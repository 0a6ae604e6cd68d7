"""The SQLite database of durable topics: its schema, and what it stores and returns.

Owns: the file, the statements, and the position that each publication gets. One thread at a time
may use it. Must not import: Twisted, the other edges.

The process locks the file for itself, so that no second one can give the same positions. Each
transaction is on disk when it ends (``synchronous = FULL``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from wampush.broker.history.journal import Record, StoredRow, StoredTopic
from wampush.broker.history.stored_audience import audience_text
from wampush.broker.publication import Position
from wampush.edges.storage.stored_values import check_topic, stored_row
from wampush.errors import OperatorError

#: ``PRAGMA user_version`` of the schema below.
SCHEMA_VERSION: Final = 1
#: Seconds that the start waits for another process to give the file up.
LOCK_PATIENCE: Final = 2.0
#: Bytes of the write-ahead log that remain after a checkpoint.
_LOG_BYTES: Final = 64 * 1024 * 1024

#: How many rows one statement may insert; few numbers, so that the statements stay compiled.
_ROW_COUNTS: Final = (128, 16, 4, 1)

_KEY: Final = "history.database"
#: The first bytes of every such file.
_MAGIC: Final = b"SQLite format 3\0"

_SCHEMA: Final = """
CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    newest INTEGER NOT NULL
);
CREATE TABLE publications (
    topic_id INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    time REAL NOT NULL,
    payload BLOB NOT NULL,
    audience BLOB,
    PRIMARY KEY (topic_id, offset)
);
"""


def check_file(path: str) -> None:
    """Check that a database can be opened or created, without doing so.

    :raises OperatorError: its folder is missing or not writable, or it is another kind of file.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise OperatorError(f"{_KEY}: the folder {file.parent} does not exist; create it")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise OperatorError(f"{_KEY}: this account may not write to the folder {file.parent}")
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise OperatorError(f"{_KEY}: cannot read {path}: {error.strerror}") from error
    if begin and begin != _MAGIC:
        raise OperatorError(f"{_KEY}: {path} is not an SQLite database")


class _Topic(NamedTuple):
    """A topic as the database knows it.

    :ivar key: in the table of topics.
    :ivar position: of the newest publication.
    """

    key: int
    position: Position


class SqliteDatabase:
    """A database of publications.

    :param path: of the file; its folder must exist.
    :raises OperatorError: the file cannot be opened, is not such a database, or is in use.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._topics: dict[str, _Topic] = {}
        try:
            # SQLite would create it with the permissions of the umask, and its log likewise.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise OperatorError(f"{_KEY}: cannot open {path}: {error.strerror}") from error
        self._connection = sqlite3.connect(
            path, timeout=LOCK_PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except (sqlite3.Error, ValueError) as error:
            self._connection.close()
            raise self._unusable(error) from error
        except OperatorError:
            self._connection.close()
            raise

    @property
    def topic_count(self) -> int:
        """How many topics are stored."""
        return len(self._topics)

    def load(self) -> Iterator[StoredTopic]:
        """Yield what is stored of each topic.

        :raises OperatorError: the database is corrupt.
        """
        try:
            self._check_pages()
            for topic, known in self._topics.items():
                yield StoredTopic(topic, known.position, self._rows(known))
        except (sqlite3.Error, ValueError) as error:
            raise self._unusable(error) from error

    def begin(self) -> None:
        """Begin a transaction."""
        if self._connection.in_transaction:
            # The roll-back of the last one has failed.
            self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End the transaction; everything since its begin is on disk then."""
        self._connection.execute("COMMIT")

    def roll_back(self, topics: Sequence[str]) -> None:
        """Undo everything since the begin of the transaction.

        :param topics: that were written to or forgotten.
        """
        for topic in topics:
            # Read again when it is needed.
            self._topics.pop(topic, None)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def append(self, records: Sequence[Record]) -> list[Position]:
        """Store publications within the transaction; return their positions."""
        rows = []
        positions = []
        for record in records:
            known = self._find(record.topic) or self._begin_topic(record)
            position = Position(known.position.epoch, known.position.offset + 1)
            self._topics[record.topic] = _Topic(known.key, position)
            positions.append(position)
            audience = audience_text(record.audience)
            rows.append((known.key, position.offset, record.time, record.payload, audience))
        self._insert("INSERT INTO publications VALUES {}", rows)
        newest = {record.topic: self._topics[record.topic] for record in records}
        self._insert(
            "INSERT INTO topics VALUES {} ON CONFLICT (id) DO UPDATE SET newest = excluded.newest",
            [
                (each.key, topic, each.position.epoch, each.position.offset)
                for topic, each in newest.items()
            ],
        )
        return positions

    def trim(self, topic: str, first: int, kept: Sequence[int]) -> None:
        """Remove older publications within the transaction; see ``Journal.trim``."""
        known = self._find(topic)
        if known is not None:
            self._connection.execute(
                "DELETE FROM publications WHERE topic_id = ? AND offset < ?"
                " AND offset NOT IN (SELECT value FROM json_each(?))",
                (known.key, first, orjson.dumps(kept).decode()),
            )

    def forget(self, topic: str) -> None:
        """Remove a topic within the transaction."""
        known = self._find(topic)
        if known is not None:
            del self._topics[topic]
            self._connection.execute("DELETE FROM publications WHERE topic_id = ?", (known.key,))
            self._connection.execute("DELETE FROM topics WHERE id = ?", (known.key,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        mode = execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise OperatorError(f"{_KEY}: {self.path} cannot have a write-ahead log")
        execute("PRAGMA synchronous = FULL")
        execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._create()
        elif version != SCHEMA_VERSION:
            raise OperatorError(
                f"{_KEY}: {self.path} has schema version {version}; this wampush needs "
                f"{SCHEMA_VERSION}"
            )
        # Takes the lock at once, also if nothing is written for a long time.
        execute("BEGIN IMMEDIATE")
        execute("COMMIT")
        with closing(execute("SELECT id, topic, epoch, newest FROM topics")) as found:
            for key, topic, epoch, newest in found:
                check_topic(topic, epoch, newest)
                self._topics[topic] = _Topic(key, Position(epoch, newest))

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert rows, many by one statement.

        A thread that executes one statement for each row waits for the interpreter's lock after
        each of them, up to 5 ms while the reactor is busy.

        :param statement: with a place for the rows.
        """
        begin = 0
        for count in _ROW_COUNTS:
            while len(rows) - begin >= count:
                some = rows[begin : begin + count]
                begin += count
                places = ", ".join([f"({', '.join('?' * len(some[0]))})"] * count)
                values = [value for row in some for value in row]
                self._connection.execute(statement.format(places), values)

    def _create(self) -> None:
        execute = self._connection.execute
        if execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise OperatorError(f"{_KEY}: {self.path} is a database of another program")
        self._connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )

    def _check_pages(self) -> None:
        # A corrupt page of an index looks like the end of the rows, and what is not found is
        # removed as too old. Everything is read anyway.
        (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(" ".join(found.split()))

    def _rows(self, topic: _Topic) -> list[StoredRow]:
        found = self._connection.execute(
            "SELECT offset, time, payload, audience FROM publications WHERE topic_id = ?"
            " ORDER BY offset",
            (topic.key,),
        )
        return [stored_row(row, topic.position.offset) for row in found]

    def _find(self, topic: str) -> _Topic | None:
        known = self._topics.get(topic)
        if known is None:
            found = self._connection.execute(
                "SELECT id, epoch, newest FROM topics WHERE topic = ?", (topic,)
            ).fetchone()
            if found is not None:
                known = self._topics[topic] = _Topic(found[0], Position(found[1], found[2]))
        return known

    def _begin_topic(self, record: Record) -> _Topic:
        cursor = self._connection.execute(
            "INSERT INTO topics (topic, epoch, newest) VALUES (?, ?, 0)",
            (record.topic, record.epoch),
        )
        key = cursor.lastrowid
        if key is None:
            raise sqlite3.InternalError("an insert gave no row")
        return _Topic(key, Position(record.epoch, 0))

    def _unusable(self, error: Exception) -> OperatorError:
        remedy = ""
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            remedy = "; another process uses it: every wampush needs a database of its own"
        elif isinstance(error, sqlite3.DatabaseError | ValueError):
            remedy = "; restore it from a backup, or move it away to begin without history"
        return OperatorError(f"{_KEY}: cannot use {self.path}: {error}{remedy}")
