"""Declarations of settings: the check that an annotation gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import pytest

from wampush.config.checks.common import Choice, Flag, ListOf, Number, TopicPattern
from wampush.config.setting import (
    Conflict,
    Count,
    EntryRule,
    Rule,
    Seconds,
    entry_rule,
    required,
    rule,
    setting,
    settings_of,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Table:
    name: TopicPattern = required("Required.")
    wait: Seconds = setting(2.0, "A wait.")
    count: Count = setting(3, "A count.", unit="apples", least=2, most=5)
    is_on: bool = setting(True, "A flag.")
    word: Literal["a", "b"] = setting("a", "A word.")
    colour: Colour = setting(Colour.RED, "A colour.")
    colours: tuple[Colour, ...] = setting((Colour.RED,), "Colours.", at_least=1)
    other: int = field(default=5)


def test_the_declaration_gives_check_default_and_reason():
    settings = settings_of(Table)
    assert list(settings) == ["name", "wait", "count", "is_on", "word", "colour", "colours"]
    assert {name: each.check for name, each in settings.items() if name != "name"} == {
        "wait": Number(0.01, 3600, "s"),
        "count": Number(2, 5, "apples", whole=True),
        "is_on": Flag(),
        "word": Choice(("a", "b")),
        "colour": Choice(tuple(Colour)),
        "colours": ListOf(Choice(tuple(Colour)), at_least=1),
    }
    assert settings["wait"].default == 2.0
    assert settings["wait"].reason == "A wait."
    assert [name for name, each in settings.items() if each.is_required] == ["name"]
    assert [each.unit for each in settings.values()] == ["", "s", "apples", "", "", "", ""]


def test_members_of_enumerations_are_kept():
    check = settings_of(Table)["colours"].check
    assert check.check(["blue", "red"]) == (Colour.BLUE, Colour.RED)
    kept: Any = check.check(["blue"])
    assert kept[0] is Colour.BLUE


def test_an_annotation_without_a_check_is_a_defect():
    @dataclass
    class Bare:
        number: int = setting(1, "A number.")

    Bare.__annotations__["number"] = int
    with pytest.raises(TypeError, match="implies no check"):
        settings_of(Bare)


def test_rules_keep_their_operands():
    @rule("a.b", "c.d")
    def differ(first: int, second: int) -> str:
        return "" if first != second else "a.b and c.d must differ"

    @entry_rule("topics", "a.b")
    def are_few(entries, most):
        yield from (
            Conflict(number, "match", "is one too many") for number in entries if number > most
        )

    assert isinstance(differ, Rule)
    assert (differ.keys, differ.judge(1, 2), bool(differ.judge(1, 1))) == (("a.b", "c.d"), "", True)
    assert isinstance(are_few, EntryRule)
    assert (are_few.table, are_few.keys) == ("topics", ("a.b",))
    assert [each.number for each in are_few.judge({1: None, 3: None}, 2)] == [3]
