"""Declarations of settings: the check that an annotation gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, get_type_hints

import pytest

from wampush.config.checks.check import TopicPattern, whole
from wampush.config.checks.files import FileKind, PrivateKeyFile
from wampush.config.setting import (
    Seconds,
    Some,
    settings_of,
    table_in,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    """A table within another one."""

    flag: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    :param name: Required.
    :param wait: A wait, as ``count`` shows, which
        goes on in a second line.
    :param count: A count.
    """

    name: TopicPattern
    words: Some[Literal["a", "b"]]
    wait: Seconds = 2.0
    count: Annotated[int, whole(2, 5, "apples")] = 3
    is_on: bool = True
    word: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    colours: tuple[Colour, ...] = (Colour.RED,)
    key: PrivateKeyFile = ""
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()


def test_the_declaration_gives_check_default_and_reason():
    settings = settings_of(Table)
    assert {name: each.check.allowed for name, each in settings.items() if name != "name"} == {
        "words": 'a list of at least one element; each must be "a" or "b"',
        "wait": "a number from 0.01 to 3600",
        "count": "a whole number from 2 to 5",
        "is_on": "true or false",
        "word": '"a" or "b"',
        "colour": '"red" or "blue"',
        "colours": 'a list; each element must be "red" or "blue"',
        "key": 'the path of a file, or "" for none',
    }
    assert settings["wait"].default == 2.0
    assert settings["wait"].reason == "A wait, as `count` shows, which goes on in a second line."
    assert (settings["count"].reason, settings["word"].reason) == ("A count.", "")
    assert [name for name, each in settings.items() if each.is_required] == ["name", "words"]
    assert {name: each.check.unit for name, each in settings.items() if each.check.unit} == {
        "wait": "s",
        "count": "apples",
    }
    assert {name for name, each in settings.items() if each.file is FileKind.PRIVATE_KEY} == {"key"}


def test_a_field_may_hold_a_table_or_a_list_of_tables():
    found = {name: table_in(hint) for name, hint in get_type_hints(Table).items()}
    assert {name for name, table in found.items() if table is Inner} == {"inner", "inners"}


def test_members_of_enumerations_are_kept():
    check = settings_of(Table)["colours"].check
    assert check.check(["blue", "red"]) == (Colour.BLUE, Colour.RED)
    kept: Any = check.check(["blue"])
    assert kept[0] is Colour.BLUE


def test_an_annotation_without_a_check_is_a_defect():
    @dataclass
    class Bare:
        number: int = 1

    with pytest.raises(TypeError, match="implies no check"):
        settings_of(Bare)
