"""The beginning of a push is kept, however long it is."""

from __future__ import annotations

import pytest

from wampush.edges.push_excerpts import excerpt


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        ([], b""),
        ([b"{}"], b"{}"),
        ([b"topic", b"1", b"{}"], b"topic|1|{}"),
        ([b"x" * 1000, b"1"], b"x" * 200 + b"|1"),
        ([b"a"] * 1000, b"a|a|a|a"),
    ],
)
def test_each_part_is_cut_and_so_is_their_number(parts: list[bytes], kept: bytes) -> None:
    assert excerpt(parts) == kept
