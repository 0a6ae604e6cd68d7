"""The contract of durable topics, on each variant; and what only a database can do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.edges.storage import publish_until_killed
from tests.edges.storage.durable_world import TOPICS, DurableWorld
from wampush.broker.durable_publishing import SPARE_ROWS, SWEEP_INTERVAL
from wampush.broker.publication import Audience, Position, Targets
from wampush.edges.storage.sqlite_database import SqliteDatabase
from wampush.errors import OperatorError, PublicationRefused, Refusal
from wampush.testing.clock import ThreadedClock

#: Each start takes a third of a second.
KILLS = 4

Open = Callable[..., DurableWorld]


@pytest.fixture
def clock() -> ThreadedClock:
    return ThreadedClock()


@pytest.fixture
def worlds() -> Iterator[list[DurableWorld]]:
    opened: list[DurableWorld] = []
    yield opened
    for each in opened:
        each.stop()


@pytest.fixture
def open_database(tmp_path: Path, clock: ThreadedClock, worlds: list[DurableWorld]) -> Open:
    def opened(**options: object) -> DurableWorld:
        if worlds:
            worlds.pop().stop()
        world = DurableWorld(tmp_path / "history.sqlite", clock, **options)  # type: ignore[arg-type]
        worlds.append(world)
        return world

    return opened


@pytest.fixture(params=["memory", "sqlite"])
def world(
    request: pytest.FixtureRequest,
    clock: ThreadedClock,
    open_database: Open,
    worlds: list[DurableWorld],
) -> DurableWorld:
    if request.param == "sqlite":
        return open_database()
    memory = DurableWorld(None, clock)
    worlds.append(memory)
    return memory


# The contract.


def test_events_become_visible_in_order_once_they_are_stored(world: DurableWorld) -> None:
    for number in range(7):
        world.push("log.a", b"%d" % number)
    assert world.seen == []
    assert world.kept("log.a") == []
    world.settle()
    assert [each.payload for each in world.seen] == [b"%d" % number for number in range(7)]
    assert [each.position.offset for each in world.seen if each.position] == [*range(1, 8)]
    assert world.kept("log.a") == [(number + 1, b"%d" % number) for number in range(2, 7)]
    assert world.outcomes == [0] * 7


def test_a_topic_keeps_its_epoch_and_knows_what_was_missed(world: DurableWorld) -> None:
    before = world.history.position("log.a")
    assert before is not None
    world.published("log.a", b"1", b"2")
    missed = world.history.missed("log.a", before)
    assert missed is not None
    assert (missed.is_complete, len(missed.events)) == (True, 2)
    assert world.published("log.b", b"1") == [Position(before.epoch, 1)]


def test_stale_versions_are_refused_also_while_newer_ones_are_in_flight(
    world: DurableWorld,
) -> None:
    world.push("table", b'{"id":1,"rev":5}')
    with pytest.raises(PublicationRefused) as refused:
        world.push("table", b'{"id":1,"rev":4}')
    assert refused.value.refusal is Refusal.STALE
    world.push("table", b'{"id":2,"rev":4}')
    world.settle()
    with pytest.raises(PublicationRefused):
        world.push("table", b'{"id":1,"rev":4}')
    assert world.published("table", b'{"id":1,"rev":6}')[0] is not None
    assert world.values("table") == [b'{"id":2,"rev":4}', b'{"id":1,"rev":6}']


def test_a_push_to_several_topics_is_stored_and_delivered_as_a_whole(world: DurableWorld) -> None:
    world.push("plain.a", b"1", Audience(), "log.a", "none")
    assert world.seen == []
    world.settle()
    assert [each.topic for each in world.seen] == ["plain.a", "log.a", "none"]
    assert [each.position and each.position.offset for each in world.seen] == [1, 1, None]
    assert world.outcomes == [0]


def test_other_topics_do_not_wait(world: DurableWorld) -> None:
    world.push("log.a", b"1")
    world.push("plain.a", b"2")
    assert [each.topic for each in world.seen] == ["plain.a"]


def test_a_part_that_became_stale_meanwhile_is_left_out(world: DurableWorld) -> None:
    world.push("log.a", b'{"rev":4}', Audience(), "plain.a")
    world.push("plain.a", b'{"rev":5}')
    world.settle()
    assert [each.topic for each in world.seen] == ["plain.a", "log.a"]


def test_an_evicted_topic_begins_another_epoch(world: DurableWorld) -> None:
    before = world.published("log.a", b"1")[0]
    world.history._max_bytes = 1
    world.published("log.b", b"1")
    world.history._max_bytes = 1_000_000
    after = world.published("log.a", b"2")[0]
    assert before is not None
    assert after is not None
    assert before.epoch != after.epoch
    assert after.offset == 1


def test_the_end_stores_what_is_in_flight_and_takes_no_more(world: DurableWorld) -> None:
    world.push("log.a", b"1")
    world.broker.flush()
    assert world.outcomes == [0]
    world.push("log.a", b"2")
    world.stop()
    assert world.outcomes == [0, 0]
    with pytest.raises(PublicationRefused) as refused:
        world.push("log.a", b"3")
    assert refused.value.refusal is Refusal.NOT_STORED


@pytest.mark.parametrize("name", ["\ud800", 2**70])
def test_an_audience_that_cannot_be_stored_is_refused_alone(world: DurableWorld, name: Any) -> None:
    with pytest.raises(PublicationRefused) as refused:
        world.push("log.a", b"1", Audience(frozenset([name])))
    assert refused.value.refusal is Refusal.NOT_STORED
    world.push("log.a", b"2")
    world.settle()
    assert world.kept("log.a") == [(1, b"2")]


# A restart.


def test_offsets_epoch_events_values_and_audiences_survive(open_database: Open) -> None:
    world = open_database()
    audience = Audience(frozenset("s"), frozenset(("e",)), Targets(frozenset(("7",))))
    for number in range(7):
        world.push("log.a", b"%d" % number, audience if number == 6 else Audience())
    position = world.published("table", b'{"id":1,"rev":5}', b'{"id":2}', b'{"id":1,"rev":6}')[-1]
    kept, values = world.kept("log.a"), world.values("table")
    world = open_database()
    assert (world.kept("log.a"), world.values("table")) == (kept, values)
    assert world.history.position("table") == position
    log = world.history.log("log.a")
    assert log is not None
    assert log.events[-1].audience == audience
    (after,) = world.published("log.a", b"7")
    assert after == Position(log.epoch, 8)
    with pytest.raises(PublicationRefused):
        world.push("table", b'{"id":1,"rev":5}')


def test_rows_that_are_not_kept_are_removed(open_database: Open, tmp_path: Path) -> None:
    world = open_database()
    for number in range(3 * SPARE_ROWS):
        world.push("table", b'{"id":%d,"n":%d}' % (number % 3, number))
        world.push("log.a", b"%d" % number)
    world.settle()
    world.published("log.b", b"1")
    values, kept = world.values("table"), world.kept("log.a")
    world = open_database()
    assert (world.values("table"), world.kept("log.a")) == (values, kept)
    world.stop()
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        (rows,) = connection.execute("SELECT count(*) FROM publications").fetchone()
    connection.close()
    assert rows <= 2 * (SPARE_ROWS + 20)


def test_what_is_too_old_is_removed_also_without_publications(
    open_database: Open, clock: ThreadedClock, tmp_path: Path
) -> None:
    world = open_database()
    world.published("aged", b"1", b"2")
    clock.advance(101)
    clock.advance(SWEEP_INTERVAL)
    assert world.kept("aged") == []
    world.stop()
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM publications").fetchone() == (0,)
    connection.close()
    world = open_database()
    assert [each and each.offset for each in world.published("aged", b"3")] == [3]


def test_ages_go_on_after_a_restart_and_a_clock_that_is_set_back_expires_nothing(
    open_database: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_database()
    world.published("aged", b"1")
    monkeypatch.setattr(DurableWorld, "now", 1e9 - 5000)
    world = open_database()
    assert world.kept("aged") == [(1, b"1")]
    assert [each and each.offset for each in world.published("aged", b"2")] == [2]
    monkeypatch.setattr(DurableWorld, "now", 1e9 + 101)
    world = open_database()
    assert world.kept("aged") == []
    assert [each and each.offset for each in world.published("aged", b"3")] == [3]


def test_a_topic_that_is_no_longer_durable_is_forgotten(open_database: Open) -> None:
    before = open_database().published("log.a", b"1")[0]
    world = open_database(topics=TOPICS[1:])
    world.published("table", b'{"id":1}')
    world = open_database()
    after = world.published("log.a", b"2")[0]
    assert before is not None
    assert after is not None
    assert (after.offset, after.epoch == before.epoch) == (1, False)


def test_kill_9_under_load_takes_nothing_back_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    acknowledged: dict[int, bytes] = {}
    epochs = set()
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, publish_until_killed.__file__, str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1000)]
        process.kill()
        # The last line may be torn.
        lines += process.stdout.read().splitlines(keepends=True)
        process.stdout.close()
        process.wait()
        for line in lines:
            if line.endswith(b"\n"):
                offset, payload = line.split()
                assert acknowledged.setdefault(int(offset), payload) == payload
        database = SqliteDatabase(path)
        (stored,) = database.load()
        database.close()
        epochs.add(stored.position.epoch)
        payloads = {row.offset: row.payload for row in stored.rows}
        assert sorted(payloads) == [*range(1, stored.position.offset + 1)]
        assert acknowledged.items() <= payloads.items()
        assert len(set(payloads.values())) == len(payloads)
    assert len(epochs) == 1


# What can go wrong.


def test_a_full_disk_refuses_with_a_reason_and_leaves_no_gap(open_database: Open) -> None:
    world = open_database()
    lines: list[str] = []
    world.broker.ledger._report = lambda message, **fields: lines.append(message.format(**fields))
    world.published("log.a", b"1")
    assert world.database is not None
    connection = world.database._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    world.push("log.a", b'"%s"' % (b"x" * 100_000))
    world.push("plain.a", b"2")
    world.settle()
    refused = world.outcomes[-1]
    assert isinstance(refused, PublicationRefused)
    assert refused.refusal is Refusal.NOT_STORED
    assert "disk is full" in refused.detail
    assert [each.topic for each in world.seen] == ["log.a", "plain.a"]
    assert world.broker.ledger.refusals() == {"not-stored": 1}
    assert "could not store publications of durable topics (1)" in lines[0]
    connection.execute("PRAGMA max_page_count = 1000000")
    assert [each and each.offset for each in world.published("log.a", b"3")] == [2]
    assert open_database().kept("log.a") == [(1, b"1"), (2, b"3")]


def test_a_second_process_cannot_use_the_database(
    open_database: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_database()
    monkeypatch.setattr("wampush.edges.storage.sqlite_database.LOCK_PATIENCE", 0.01)
    with pytest.raises(OperatorError, match=r"history\.database: .*another process uses it"):
        DurableWorld(tmp_path / "history.sqlite", ThreadedClock())


def test_a_database_that_becomes_corrupt_refuses_and_other_topics_go_on(
    open_database: Open, tmp_path: Path
) -> None:
    world = open_database()
    world.published("log.a", b"1")
    assert world.database is not None
    connection = world.database._connection
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA cache_size = 0")
    connection.execute("PRAGMA shrink_memory")
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"x" * path.stat().st_size)
    world.push("log.new", b"1")
    world.push("plain.a", b"2")
    world.settle()
    refused = world.outcomes[-1]
    assert isinstance(refused, PublicationRefused)
    assert refused.refusal is Refusal.NOT_STORED
    assert [each.topic for each in world.seen] == ["log.a", "plain.a"]


def test_a_disk_that_hangs_does_not_keep_the_process(
    open_database: Open, clock: ThreadedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wampush.broker.durable_publishing.STOP_PATIENCE", 0.01)
    world = open_database()
    assert world.database is not None
    answers = Event()
    begin = world.database.begin
    monkeypatch.setattr(world.database, "begin", lambda: (answers.wait(), begin()))
    world.push("log.a", b"1")
    world.stop()
    (refused,) = world.outcomes
    assert isinstance(refused, PublicationRefused)
    answers.set()
    assert clock.run_one()
    assert world.outcomes == [refused]
    assert world.seen == []
