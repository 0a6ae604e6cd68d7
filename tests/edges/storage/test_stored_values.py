"""What a database must contain."""

from __future__ import annotations

import pytest

from wampush.broker.publication import EVERYONE, Audience
from wampush.edges.storage.stored_values import MAX_OFFSET, check_topic, stored_row


def test_a_row() -> None:
    assert stored_row((2, 1.5, b"[1]", None), 2) == (2, 1.5, b"[1]", EVERYONE)
    audience = stored_row((1, 1.5, b"[1]", b'{"exclude": ["a"]}'), 2).audience
    assert audience == Audience(frozenset(["a"]))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ((0, 1.5, b"1", None), "has the offset 0"),
        ((3, 1.5, b"1", None), "has the offset 3; the newest is 2"),
        (("1", 1.5, b"1", None), "has the offset '1'"),
        ((1, None, b"1", None), "are NoneType, bytes, NoneType"),
        ((1, 1.5, "1", None), "are float, str, NoneType"),
        ((1, 1.5, b"{", None), "is not JSON"),
        ((1, 1.5, b"\xff" * 10_000, None), "is not JSON"),
        ((1, 1.5, b"1", 7), "are float, bytes, int"),
        ((1, 1.5, b"1", b"{}"), "is not a stored audience"),
    ],
)
def test_rows_that_cannot_be(row: tuple[object, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        stored_row(row, 2)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("topic", "epoch", "newest", "problem"),
    [
        (b"t", "e", 1, "name b't'"),
        ("", "e", 1, "name ''"),
        ("t", None, 1, '"t" has the position None:1'),
        ("t", "e", "x", "position 'e':'x'"),
        ("t", "e", -1, "offset -1"),
        ("t", "e", MAX_OFFSET, f"offset {MAX_OFFSET}"),
    ],
)
def test_topics_that_cannot_be(topic: object, epoch: object, newest: object, problem: str) -> None:
    check_topic("t", "e", 0)
    with pytest.raises(ValueError, match=problem):
        check_topic(topic, epoch, newest)
