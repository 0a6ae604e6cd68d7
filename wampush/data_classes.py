"""Dataclasses that are made quickly, because a node makes 170 of them when it starts.

Owns: the decorator :func:`dataclass`, which the whole package uses instead of that of the standard
library. Must not import: anything of wampush.

The standard library writes up to six methods of each class as text and compiles each of them. Here
that is ``__init__`` alone; the classes share the code of the other methods. A class takes a fourth
of the time, which is an eighth of the imports of a node, and instances of frozen classes are made
in less time, too. Fields, slots and what belongs to them come from the standard library, so
``fields()``, ``replace()``, ``asdict()`` and patterns work as usual.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from reprlib import recursive_repr
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]


class _NotGiven:
    """Stands for an argument whose field has a factory."""

    def __repr__(self) -> str:
        """Return what signatures show."""
        return "<factory>"


_NOT_GIVEN: Final = _NotGiven()


def _finished(
    cls: type, *, frozen: bool, with_repr: bool, with_eq: bool, unsafe_hash: bool
) -> type:
    """Add the methods to a class that has its fields and slots."""
    fields = dataclasses.fields(cls)
    own = cls.__dict__
    methods: dict[str, Any] = {"__init__": _initialiser(cls, fields, frozen=frozen)}
    if with_repr and "__repr__" not in own:
        methods["__repr__"] = _repr
    if with_eq and "__eq__" not in own:
        methods["__eq__"] = _equality(_values_of([each.name for each in fields if each.compare]))
    if unsafe_hash or (with_eq and frozen):
        # A class that defines __eq__ alone has None here.
        if own.get("__hash__") is None:
            methods["__hash__"] = _hashing(
                _values_of([each.name for each in fields if _counts(each)])
            )
    elif with_eq and "__hash__" not in own:
        methods["__hash__"] = None
    if frozen:
        methods["__setattr__"] = _refuse_to_assign
        methods["__delattr__"] = _refuse_to_delete
        methods["__getstate__"] = _state
        methods["__setstate__"] = _set_state
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _counts(field: Field[Any]) -> bool:
    """Return whether a field is part of the hash."""
    return field.compare if field.hash is None else field.hash


def _values_of(names: Sequence[str]) -> Callable[[Any], object]:
    """Return a function that returns the values of some fields in a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple([getattr(self, name) for name in names])


def _equality(values: Callable[[Any], object]) -> Callable[[Any, Any], bool]:
    def __eq__(self: Any, other: Any) -> bool:  # noqa: N807 - becomes a method
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return __eq__


def _hashing(values: Callable[[Any], object]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:  # noqa: N807 - becomes a method
        return hash(values(self))

    return __hash__


@recursive_repr()
def _repr(self: Any) -> str:
    shown = [
        f"{each.name}={getattr(self, each.name)!r}"
        for each in dataclasses.fields(self)
        if each.repr
    ]
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _refuse_to_assign(self: object, name: str, value: object) -> None:  # noqa: ARG001 - a method
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> None:  # noqa: ARG001 - a method
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> Sequence[object]:
    """Return what a copy of a frozen instance needs, because it cannot be assigned to."""
    return [getattr(self, each.name) for each in dataclasses.fields(self)]


def _set_state(self: Any, state: Sequence[object]) -> None:
    for each, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


def _initialiser(cls: type, fields: Sequence[Field[Any]], *, frozen: bool) -> Callable[..., None]:
    """Return ``__init__``: written as text and compiled, because it is called often."""
    names: dict[str, Any] = {"_NOT_GIVEN": _NOT_GIVEN}
    positional: list[str] = []
    by_name: list[str] = []
    steps: list[str] = []
    for each in fields:
        name = each.name
        value = name
        if each.default_factory is not MISSING:
            names[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}()"
            if each.init:
                value = f"{value} if {name} is _NOT_GIVEN else {name}"
        elif each.default is not MISSING:
            names[f"_default_{name}"] = each.default
            value = name if each.init else f"_default_{name}"
        elif not each.init:
            continue
        if each.init:
            (by_name if each.kw_only else positional).append(name + _default_of(each))
        if frozen:
            # What the slot's descriptor does, without looking for it.
            names[f"_set_{name}"] = getattr(cls, name).__set__
            steps.append(f"_set_{name}(self, {value})")
        else:
            steps.append(f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        steps.append("self.__post_init__()")
    parameters = ", ".join(["self", *positional, *(["*", *by_name] if by_name else ())])
    body = "\n ".join(steps or ["pass"])
    exec(f"def __init__({parameters}):\n {body}", names)  # noqa: S102 - as the standard library
    made: FunctionType = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    made.__annotations__ = {each.name: each.type for each in fields if each.init} | {"return": None}
    return made


def _default_of(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return "=_NOT_GIVEN"
    return "" if field.default is MISSING else f"=_default_{field.name}"


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *,
        frozen: bool = False,
        slots: bool,
        kw_only: bool = False,
        repr: bool = True,  # noqa: A002 - as in the standard library
        eq: bool = True,
        unsafe_hash: bool = False,
    ) -> Callable[[type], type]:
        """Return a decorator that makes a dataclass; see ``dataclasses.dataclass``."""

        def made(cls: type) -> type:
            with_fields = dataclasses.dataclass(
                init=False, repr=False, eq=False, slots=slots, kw_only=kw_only
            )(cls)
            return _finished(
                with_fields, frozen=frozen, with_repr=repr, with_eq=eq, unsafe_hash=unsafe_hash
            )

        return made
