"""Positions of all topics as one id, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.publication import Position
from wampush.edges.sse.stream_ids import UNKNOWN, read_id, write_id

EPOCHS = st.text("abcXYZ019_-", min_size=1, max_size=12)
POSITIONS = st.none() | st.builds(Position, EPOCHS, st.integers(0, 2**53))


@pytest.mark.parametrize(
    ("positions", "written"),
    [
        ([Position("e", 7)], b"e:7"),
        ([None], b"-"),
        ([Position("e", 7), Position("e", 8)], b"e:7,8"),
        ([Position("e", 7), None, Position("f", 0), Position("e", 1)], b"e:7,-,f:0,e:1"),
    ],
)
def test_ids(positions: list[Position | None], written: bytes) -> None:
    assert write_id(positions) == written


@given(st.lists(POSITIONS, min_size=1, max_size=5))
def test_an_id_is_read_as_it_was_written(positions: list[Position | None]) -> None:
    read = read_id(write_id(positions).decode(), len(positions))
    assert read == [UNKNOWN if each is None else each for each in positions]


@pytest.mark.parametrize(
    "text", ["", "7", "e:", "e:7,8", "e:x", "-7", "e:7:8", "ë:7", "e:12345678901234567", "e: 7"]
)
def test_with_any_other_id_nothing_is_known(text: str) -> None:
    assert read_id(text, 1) == [UNKNOWN]


@given(st.text(max_size=30), st.integers(1, 4))
def test_arbitrary_ids_have_as_many_positions_as_topics(text: str, count: int) -> None:
    assert len(read_id(text, count)) == count
