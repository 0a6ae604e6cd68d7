"""A process that publishes to a durable topic as fast as it can, and prints what is acknowledged.

Arguments: the path of the database. Each line is an offset and the payload that has it.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.settings import Settings
from wampush.config.tables.topics import TopicSettings
from wampush.edges.storage.sqlite_database import SqliteDatabase
from wampush.edges.storage.sqlite_journal import SqliteJournal
from wampush.node.core import make_core

#: Keeps everything, so that the test can compare all of it.
TOPICS = (TopicSettings("log", history=10_000_000, durable=True),)
IN_FLIGHT = 200


def main(path: Path) -> None:
    turns: Any = reactor
    journal = SqliteJournal(SqliteDatabase(path), turns.callFromThread)
    broker = make_core(Settings(topics=TOPICS), turns, journal=journal).broker
    replays = broker.replays
    assert replays is not None
    numbers = count()

    def push() -> None:
        payload = b'"%d-%d"' % (os.getpid(), next(numbers))
        publication = Publication("log", payload)
        assert broker.push(Source.HTTP, publication, partial(on_done, payload)) is None

    def on_done(payload: bytes, outcome: object) -> None:
        assert outcome == 0, outcome
        log = replays.history.log("log")
        assert log is not None
        os.write(1, b"%d %s\n" % (log.offset, payload))
        turns.callLater(0, push)

    for _ in range(IN_FLIGHT):
        turns.callLater(0, push)
    turns.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
