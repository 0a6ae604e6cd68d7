"""Rules between settings: relations that the check of a single value cannot see.

Owns: how a module of tables declares a rule, and what the rules of several tables share.
Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


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

    :param keys: the dotted keys of the operands, in the order of the parameters of ``judge``. The
        operand for a list of tables is a mapping of its entries by number.
    :param judge: yields what is wrong: sentences that name the settings and say what would be
        right, or entries of the list of tables that ``keys`` begins with. A sentence is reported
        where the last of the operands was set; of two in the same source, the first counts.
    """

    keys: tuple[str, ...]
    judge: Callable[..., Iterator[str | Conflict]]


def rule(*keys: str) -> Callable[[Callable[..., Iterator[str | Conflict]]], Rule]:
    """Make a function the rule of these settings."""
    return lambda judge: Rule(keys, judge)


def never_reached(
    table: str, entries: Mapping[int, Any], shadows: Callable[[Any, Any], bool], effect: str
) -> Iterator[Conflict]:
    """Find entries of a list of tables that have no effect, because the first match wins.

    :param shadows: returns whether an entry leaves nothing to a later one.
    :param effect: what an entry that shadows another one does.
    """
    for number, entry in entries.items():
        earlier = (each for each in entries if each < number and shadows(entries[each], entry))
        first = next(earlier, None)
        if first is not None:
            problem = (
                f"is never reached: {table}[{first}] ({entries[first].match!r}) {effect}; the "
                "first match wins, so put the narrower entry first"
            )
            yield Conflict(number, "match", problem)


def too_long(text: str, most: int) -> str:
    """Return what is wrong with a topic of a table, or "".

    :param most: ``limits.topic_bytes``.
    """
    is_short = len(text.encode()) <= most
    return "" if is_short else f"is too long: limits.topic_bytes allows {most} bytes"
