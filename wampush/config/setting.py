"""The description of a setting: type with unit and range, default and reason.

Owns: how tables declare settings and the rules between them, and how a declaration is read.
Must not import: anything of wampush but the checks.

A table is a frozen dataclass. The annotation of a field gives its check: an ``Annotated`` alias
carries one, ``bool``, ``Literal`` and enumerations imply one, and ``tuple[X, ...]`` is a list of X.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

from wampush.config.checks.common import Check, Choice, Flag, ListOf, Number

GIB: Final = 2**30
DAY: Final = 86_400

Seconds = Annotated[float, Number(0.01, 3600, "s")]
Rate = Annotated[float, Number(0, 1_000_000, "1/s")]
Bytes = Annotated[int, Number(64, GIB, "bytes", whole=True)]
Count = Annotated[int, Number(1, 10_000_000, whole=True)]


def setting(default: object, reason: str, **narrower: object) -> Any:
    """Declare a setting.

    :param default: the value where no source gives another one.
    :param reason: why this default, or what the setting is for; one or two sentences in Markdown.
    :param narrower: attributes of the check that differ from those of the annotation, such as
        ``least``, ``most`` and ``unit`` of a number, or ``at_least`` of a list.
    """
    return field(default=default, metadata={"reason": reason, "narrower": narrower})


def required(reason: str, **narrower: object) -> Any:
    """Declare a setting of a list of tables that every entry must give."""
    return field(metadata={"reason": reason, "narrower": narrower})


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as its table declares it.

    :param name: the name within its table.
    :param default: ``MISSING`` for a required setting.
    """

    name: str
    check: Check
    default: object
    reason: str

    @property
    def unit(self) -> str:
        """The unit of a number, or ""."""
        return self.check.unit if isinstance(self.check, Number) else ""

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING


def settings_of(table: type[Any]) -> Mapping[str, Setting]:
    """Return the settings that a table declares, by name."""
    hints = get_type_hints(table, include_extras=True)
    return MappingProxyType(
        {
            each.name: Setting(
                each.name,
                _check(hints[each.name], each.metadata["narrower"]),
                each.default,
                each.metadata["reason"],
            )
            for each in fields(table)
            if "reason" in each.metadata
        }
    )


def _check(annotation: Any, narrower: Mapping[str, Any]) -> Check:
    found: Any = None
    if get_origin(annotation) is Annotated:
        found = annotation.__metadata__[-1]
    elif get_origin(annotation) is Literal:
        found = Choice(get_args(annotation))
    elif get_origin(annotation) is tuple:
        found = ListOf(_check(get_args(annotation)[0], {}))
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        found = Choice(tuple(annotation))
    elif annotation is bool:
        found = Flag()
    else:
        raise TypeError(f"{annotation} implies no check; use an Annotated alias")
    check: Check = replace(found, **narrower)
    return check


class Conflict(NamedTuple):
    """An entry of a list of tables that does not fit the others or another setting.

    :param number: the number of the entry, counted from 1.
    :param name: the setting at fault.
    :param problem: what is wrong, as the end of a sentence that begins with the setting.
    """

    number: int
    name: str
    problem: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A relation that values of several settings must satisfy.

    :param keys: the dotted keys of the operands, in the order of the parameters of ``judge``; of
        two that were set by the same source, the first is reported.
    :param judge: returns a sentence that names the settings and says what would be right, or "".
    """

    keys: tuple[str, ...]
    judge: Callable[..., str]


@dataclass(frozen=True, slots=True)
class EntryRule:
    """A relation that the entries of a list of tables must satisfy.

    :param table: the list of tables.
    :param keys: the dotted keys of further operands.
    :param judge: takes the entries by number, and the further operands.
    """

    table: str
    keys: tuple[str, ...]
    judge: Callable[..., Iterator[Conflict]]


def rule(*keys: str) -> Callable[[Callable[..., str]], Rule]:
    """Make a function the rule of these settings."""
    return lambda judge: Rule(keys, judge)


def entry_rule(table: str, *keys: str) -> Callable[[Callable[..., Iterator[Conflict]]], EntryRule]:
    """Make a function the rule of the entries of a list of tables."""
    return lambda judge: EntryRule(table, keys, judge)
