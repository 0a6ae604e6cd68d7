"""Records of other versions: unknown fields are left out, missing ones keep their defaults."""

from __future__ import annotations

from dataclasses import dataclass

from wampush.known_fields import known_fields


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    size: int = 3


def test_unknown_fields_are_left_out() -> None:
    found = known_fields(Thing, {"name": "a", "colour": "red"})
    assert Thing(**found) == Thing("a", 3)
    assert known_fields(Thing, {"size": 4, "name": "b"}) == {"size": 4, "name": "b"}
