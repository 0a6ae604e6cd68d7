"""The database of durable topics: its file, its schema, and files that are no such database."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from wampush.broker.history.journal import Record
from wampush.broker.publication import EVERYONE, Position
from wampush.edges.storage.sqlite_database import SCHEMA_VERSION, SqliteDatabase, check_file
from wampush.errors import OperatorError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def record(topic: str, epoch: str = "e") -> Record:
    return Record(topic, epoch, 7.0, b'{"a":1}', EVERYONE)


def test_only_its_account_may_read_the_file_and_its_log(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        database.begin()
        database.append([record("t")])
        database.commit()
        for each in path.parent.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600, each


def test_positions_go_on_and_roll_back(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        database.begin()
        assert database.append([record("t"), record("t"), record("u", "f")]) == [
            Position("e", 1),
            Position("e", 2),
            Position("f", 1),
        ]
        database.commit()
        database.begin()
        database.append([record("t"), record("new")])
        database.forget("u")
        database.roll_back(["t", "new", "u"])
        database.begin()
        positions = database.append([record("t"), record("u", "g"), record("new", "h")])
        assert positions == [Position("e", 3), Position("f", 2), Position("h", 1)]
        database.commit()
    with closing(SqliteDatabase(path)) as database:
        assert database.topic_count == 3
        assert {each.topic: each.position for each in database.load()} == {
            "t": Position("e", 3),
            "u": Position("f", 2),
            "new": Position("h", 1),
        }


def test_a_transaction_that_was_left_open_is_undone_by_the_next(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        database.begin()
        database.append([record("t")])
        database._topics.clear()
        database.begin()
        assert database.append([record("t")]) == [Position("e", 1)]
        database.commit()


def test_trimming_keeps_what_it_is_told(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        database.begin()
        database.append([record("t")] * 6)
        database.trim("t", 5, [2])
        database.trim("unknown", 5, [])
        database.commit()
        (stored,) = database.load()
        assert [each.offset for each in stored.rows] == [2, 5, 6]
        assert stored.position == Position("e", 6)


def unusable(path: Path) -> str:
    with pytest.raises(OperatorError) as refused:
        SqliteDatabase(path)
    return str(refused.value)


def test_files_that_are_no_such_database(path: Path) -> None:
    assert "No such file" in unusable(path.parent / "missing" / "file")
    path.write_bytes(b"nonsense" * 1000)
    assert "file is not a database; restore it from a backup" in unusable(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.commit()
    assert "is a database of another program" in unusable(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert f"has schema version {SCHEMA_VERSION + 1}" in unusable(path)


def test_a_corrupt_row_is_an_error_at_the_start(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        database.begin()
        database.append([record("t")])
        database._connection.execute("UPDATE publications SET audience = 'nonsense'")
        database.commit()
        with pytest.raises(OperatorError, match="restore it from a backup"):
            list(database.load())


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE publications SET payload = 'x'", "are float, str, NoneType"),
        ("UPDATE publications SET payload = CAST('{' AS BLOB)", "is not JSON"),
        ("UPDATE publications SET offset = 5", "has the offset 5; the newest is 1"),
        ("UPDATE topics SET newest = 'many'", "has the position 'e':'many'"),
        ("UPDATE topics SET newest = 9223372036854775807", "has the offset 9223372036854775807"),
    ],
)
def test_values_that_cannot_be_are_an_error_at_the_start(
    path: Path, statement: str, problem: str
) -> None:
    with closing(SqliteDatabase(path)) as database:
        database.begin()
        database.append([record("t")])
        database._connection.execute(statement)
        database.commit()
    with pytest.raises(OperatorError, match=problem), closing(SqliteDatabase(path)) as database:
        list(database.load())


def test_corrupt_pages_are_an_error_and_not_the_end_of_the_rows(path: Path) -> None:
    with closing(SqliteDatabase(path)) as database:
        database.begin()
        database.append([record("t")] * 5000)
        database.commit()
        (root, size) = database._connection.execute(
            "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size"
            " WHERE name = 'sqlite_autoindex_publications_1'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    # An empty leaf, see "B-tree Pages" in the file format of SQLite.
    begin = (root - 1) * size
    content[begin : begin + 8] = b"\x0a\0\0\0\0" + size.to_bytes(2) + b"\0"
    path.write_bytes(content)
    with (
        closing(SqliteDatabase(path)) as database,
        pytest.raises(OperatorError, match="restore it from a backup"),
    ):
        list(database.load())


def test_the_check_of_the_path(path: Path) -> None:
    check_file(str(path))
    path.touch()
    check_file(str(path))
    SqliteDatabase(path).close()
    check_file(str(path))
    path.write_text("nonsense")
    with pytest.raises(OperatorError, match="is not an SQLite database"):
        check_file(str(path))
    with pytest.raises(OperatorError, match=r"the folder .* does not exist"):
        check_file(str(path.parent / "missing" / "file"))
    path.unlink()
    path.mkdir()
    with pytest.raises(OperatorError, match="cannot read"):
        check_file(str(path))
