"""Our dataclasses behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from types import SimpleNamespace
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from wampush import data_classes

Value = TypeVar("Value")

#: The decorators of wampush and of the standard library.
OURS, THEIRS = data_classes.dataclass, dataclasses.dataclass


@pytest.fixture(params=[OURS, THEIRS], ids=["ours", "the standard library's"])
def dataclass(request: pytest.FixtureRequest) -> Any:
    return request.param


def shapes(dataclass: Any) -> SimpleNamespace:
    """Return classes of each kind that the package has."""

    @dataclass(slots=True)
    class Plain:
        """A plain one."""

        kinds: ClassVar[int] = 3
        name: str
        size: int = 3
        parts: list[int] = field(default_factory=list)
        secret: str = field(default="s", repr=False, compare=False)
        count: int = field(default=7, init=False)
        made: set[int] = field(default_factory=set, init=False)

    @dataclass(frozen=True, slots=True)
    class Frozen:
        name: str
        size: int = 3
        parts: tuple[int, ...] = field(default_factory=tuple)
        note: str = field(default="", kw_only=True)
        weight: int = field(default=0, hash=False, kw_only=True)
        count: int = field(default=7, init=False)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class ByName:
        name: str
        size: int = 3

    @dataclass(frozen=True, slots=True)
    class One:
        name: str

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    @dataclass(slots=True, eq=False)
    class Entry:
        name: str

    @dataclass(slots=True, unsafe_hash=True)
    class Hashed:
        name: str

    @dataclass(frozen=True, slots=True)
    class Derived(One):
        size: int = 1

    @dataclass(frozen=True, slots=True, repr=False)
    class Own:
        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 5

        def __repr__(self) -> str:
            return "own"

    @dataclass(frozen=True, slots=True)
    class Of(Generic[Value]):
        value: Value

    @dataclass(slots=True)
    class Checked:
        name: str

        def __post_init__(self) -> None:
            self.name = self.name.upper()

    @dataclass(frozen=True, slots=True)
    class EqualOnly:  # noqa: PLW1641 - the decorator adds it
        name: str

        def __eq__(self, other: object) -> bool:
            return True

    found = {name: each for name, each in locals().items() if isinstance(each, type)}
    return SimpleNamespace(**found)


MADE: dict[str, Callable[[SimpleNamespace], object]] = {
    "plain": lambda of: of.Plain("a"),
    "all of it": lambda of: of.Plain("a", 4, [1], "x"),
    "frozen": lambda of: of.Frozen("a"),
    "its other values": lambda of: of.Frozen("a", size=4, parts=(1,), note="n", weight=3),
    "by name": lambda of: of.ByName(name="a"),
    "one field": lambda of: of.One("a"),
    "no field": lambda of: of.Empty(),
    "hashed": lambda of: of.Hashed("a"),
    "derived": lambda of: of.Derived("a", 2),
    "methods of its own": lambda of: of.Own("a"),
    "generic": lambda of: of.Of(3),
    "checked": lambda of: of.Checked("a"),
    "equality of its own": lambda of: of.EqualOnly("a"),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_instances_are_alike(make: Callable[[SimpleNamespace], Any]) -> None:
    ours, theirs = make(shapes(OURS)), make(shapes(THEIRS))
    kind = type(ours)
    assert repr(ours) == repr(theirs)
    assert str(inspect.signature(kind)) == str(inspect.signature(type(theirs)))
    assert kind.__match_args__ == type(theirs).__match_args__
    assert kind.__slots__ == type(theirs).__slots__
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert kind.__init__.__qualname__ == type(theirs).__init__.__qualname__
    assert kind.__init__.__annotations__ == type(theirs).__init__.__annotations__
    assert (kind.__hash__ is None) == (type(theirs).__hash__ is None)
    if kind.__hash__ is not None:
        assert hash(ours) == hash(theirs)
    assert ours == copy.copy(ours) == copy.deepcopy(ours) == dataclasses.replace(ours)


def test_equality_is_by_class_and_by_the_fields_that_count(dataclass: Any) -> None:
    of = shapes(dataclass)
    assert of.Plain("a", secret="x") == of.Plain("a", secret="y")
    assert of.Plain("a") != of.Plain("b")
    assert of.One("a") != of.Derived("a")
    assert of.One("a") != ("a",)
    assert of.Entry("a") != of.Entry("a")
    nothing = float("nan")
    assert of.One(nothing) == of.One(nothing)
    assert len({of.One("a"), of.One("a"), of.Derived("a"), of.Empty(), of.Empty()}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(of.Plain("a"))


def test_what_is_frozen_stays_as_it_is(dataclass: Any) -> None:
    of = shapes(dataclass)
    for each in (of.Frozen("a"), of.Derived("a"), of.ByName(name="a")):
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
            each.name = "b"
        with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
            del each.name
        assert each.name == "a"


def test_each_instance_has_its_own_default(dataclass: Any) -> None:
    of = shapes(dataclass)
    one, other = of.Plain("a"), of.Plain("b")
    one.parts.append(1)
    one.made.add(1)
    assert (other.parts, other.made, other.count) == ([], set(), 7)


def test_wrong_arguments_are_mistakes(dataclass: Any) -> None:
    of = shapes(dataclass)
    for make in (
        of.Plain,
        lambda: of.Plain("a", colour="red"),
        lambda: of.ByName("a"),
        lambda: of.Plain("a", 1, [], "s", 8),
    ):
        with pytest.raises(TypeError, match="__init__"):
            make()


def test_an_instance_that_contains_itself_is_shown(dataclass: Any) -> None:
    plain = shapes(dataclass).Plain("a")
    plain.parts.append(plain)
    assert "parts=[...]" in repr(plain)


@data_classes.dataclass(frozen=True, slots=True)
class Pickled:
    name: str
    size: int = 3


def test_frozen_instances_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Pickled("a", 4))) == Pickled("a", 4)


def test_patterns_match() -> None:
    match Pickled("a"):
        case Pickled(name, size=3):
            assert name == "a"
        case _:
            pytest.fail("does not match")
