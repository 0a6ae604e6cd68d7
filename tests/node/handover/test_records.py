"""Records: their form, records of other versions, and streams that carry none."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.node.handover.records import MAX_BYTES, Kind, RecordReader, StreamBroken, encode

RECORDS = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3),
        st.lists(st.binary(max_size=20), max_size=3),
    ),
    max_size=5,
)


@given(RECORDS, st.integers(1, 30))
def test_records_arrive_however_the_stream_is_cut(
    records: list[tuple[Kind, dict[str, int], list[bytes]]], size: int
) -> None:
    data = b"".join(encode(*each) for each in records)
    reader = RecordReader()
    found = []
    for begin in range(0, len(data), size):
        found += list(reader.feed(data[begin : begin + size]))
    assert [(each.kind, each.values, bytes(each.body)) for each in found] == [
        (kind, values, b"".join(parts)) for kind, values, parts in records
    ]


@dataclass(frozen=True, slots=True)
class State:
    """A part of a header."""

    data: object


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["\ud83d", 2**70, nested(300)], ids=["emoji", "long", "deep"])
def test_values_that_orjson_refuses_arrive_as_they_are(value: object) -> None:
    data = encode(Kind.SESSIONS, {"sessions": [State({"name": value})]}, [b"body"])
    (record,) = RecordReader().feed(data)
    assert record.values == {"sessions": [{"data": {"name": value}}]}
    assert bytes(record.body) == b"body"


def test_a_kind_of_another_version_is_a_number() -> None:
    (record,) = RecordReader().feed(struct.pack("!IIB", 2, 2, 200) + b"{}")
    assert record.kind == 200


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (struct.pack("!IIB", MAX_BYTES + 1, 2, 1), "a record of"),
        (struct.pack("!IIB", 2, 3, 1), "with a header of 3 bytes"),
        (struct.pack("!IIB", 2, 2, 1) + b"{x", "not JSON"),
        (struct.pack("!IIB", 2, 2, 1) + b"[]", "not an object"),
        (struct.pack("!IIB", 3, 3, 1) + b" {x", "not JSON"),
    ],
)
def test_anything_else_breaks_the_stream(data: bytes, problem: str) -> None:
    with pytest.raises(StreamBroken, match=problem):
        list(RecordReader().feed(data))
