"""Rules between settings: their operands, and what several tables share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from wampush.config.rules import Conflict, Rule, never_reached, rule, too_long


class Entry(NamedTuple):
    match: str


def test_rules_keep_their_operands():
    @rule("topics", "a.b")
    def are_few(entries: Mapping[int, Entry], most: int) -> Iterator[Conflict]:
        yield from (Conflict(each, "match", "is one too many") for each in entries if each > most)

    assert isinstance(are_few, Rule)
    assert are_few.keys == ("topics", "a.b")
    assert list(are_few.judge({1: Entry("a"), 3: Entry("b")}, 2)) == [
        Conflict(3, "match", "is one too many")
    ]


def test_the_first_entry_that_shadows_a_later_one_is_named():
    entries = {2: Entry("x"), 3: Entry("ab"), 5: Entry("a"), 6: Entry("abc"), 7: Entry("abd")}
    found = list(
        never_reached("topics", entries, lambda a, b: b.match.startswith(a.match), "has all of it")
    )
    assert [(each.number, each.name) for each in found] == [(6, "match"), (7, "match")]
    assert found[0].problem == (
        "is never reached: topics[3] ('ab') has all of it; the first match wins, so put the "
        "narrower entry first"
    )


@pytest.mark.parametrize(
    ("text", "is_long"), [("é" * 5, False), ("é" * 5 + "a", True), ("", False)]
)
def test_topics_are_measured_in_bytes(text, is_long):
    assert bool(too_long(text, 10)) is is_long
    assert too_long("12", 1) == "is too long: limits.topic_bytes allows 1 bytes"
