"""The description of a setting: type with unit and range, default and reason.

Owns: how tables declare settings, and how a declaration is read.
Must not import: anything of wampush but the checks.

A table is a frozen dataclass. The annotation of a field gives its check: an ``Annotated`` alias
carries one, ``bool``, ``Literal`` and enumerations imply one, and ``tuple[X, ...]`` is a list of X.
A field without a default has to be given. The docstring of the table gives the reason for each
default, or what the setting is for, in one or two sentences.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from wampush.config.checks.check import FLAG, Check, choice, list_of, number, whole
from wampush.config.checks.files import FileKind

GIB: Final = 2**30
DAY: Final = 86_400
_REASON: Final = re.compile(r"^:param (\w+): (.*(?:\n .*)*)", re.MULTILINE)
_NOT_EMPTY: Final = object()

Element = TypeVar("Element")
Some = Annotated[tuple[Element, ...], _NOT_EMPTY]
Seconds = Annotated[float, number(0.01, 3600, "s")]
#: 0 is usable, too.
OptionalSeconds = Annotated[float, number(0, 3600, "s")]
Rate = Annotated[float, number(0, 1_000_000, "1/s")]
Bytes = Annotated[int, whole(64, GIB, "bytes")]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as its table declares it.

    :param default: ``MISSING`` for a required setting.
    :param reason: in Markdown; "" where Python runs without docstrings.
    :param file: the content of the file that the value names; None for other settings.
    """

    check: Check
    default: object
    reason: str
    file: FileKind | None = None

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING


def settings_of(table: type[Any]) -> Mapping[str, Setting]:
    """Return the settings that a table declares, by name; tables within it are left out."""
    hints = get_type_hints(table, include_extras=True)
    own = inspect.get_annotations(table)
    reasons = {
        name: " ".join(text.replace("``", "`").split())
        # Those of a table before those that it has in common with others.
        for each in reversed(table.__mro__)
        for name, text in _REASON.findall(inspect.cleandoc(each.__doc__ or ""))
    }
    return MappingProxyType(
        {
            each.name: Setting(
                _check(hints[each.name]),
                each.default,
                reasons.get(each.name, ""),
                _file(hints[each.name]),
            )
            # What is special to a table comes first.
            for each in sorted(fields(table), key=lambda each: each.name not in own)
            if table_in(hints[each.name]) is None
        }
    )


def table_in(annotation: Any) -> type[Any] | None:
    """Return the table that a field holds one or several of; None if it holds a setting."""
    found = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    return found if isinstance(found, type) and is_dataclass(found) else None


def _file(annotation: Any) -> FileKind | None:
    metadata = getattr(annotation, "__metadata__", ())
    return next((each for each in metadata if isinstance(each, FileKind)), None)


def _check(annotation: Any) -> Check:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated and arguments[1] is _NOT_EMPTY:
        return list_of(_check(get_args(arguments[0])[0]), at_least=1)
    if origin is Annotated:
        check: Check = arguments[1]
        return check
    if origin is Literal:
        return choice(arguments)
    if origin is tuple:
        return list_of(_check(arguments[0]))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return choice(tuple(annotation))
    if annotation is bool:
        return FLAG
    raise TypeError(f"{annotation} implies no check; use an Annotated alias")
