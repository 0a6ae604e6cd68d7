"""Permissions objects are made once per identity, and only so many are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wampush.broker.access.permissions_object_cache import PermissionsKey, PermissionsObjects


def key(user: str) -> PermissionsKey:
    return user, frozenset(), None


class Maker:
    """Makes objects of three patterns and counts them."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Mapping[str, Any]:
        self.made += 1
        return {"pubsub": [{}, {}], "rpc": [{}]}


def test_an_object_is_made_once_per_key():
    kept, make = PermissionsObjects(), Maker()
    assert kept.get(key("a"), make) is kept.get(key("a"), make)
    assert make.made == 1
    assert kept.get(key("b"), make) is not kept.get(key("a"), make)
    assert make.made == 2


def test_the_object_that_was_not_asked_for_the_longest_is_dropped():
    kept, make = PermissionsObjects(max_patterns=8), Maker()
    for user in "abac":
        kept.get(key(user), make)
    assert len(kept) == 2
    assert make.made == 3
    kept.get(key("a"), make)
    assert make.made == 3
    kept.get(key("b"), make)
    assert make.made == 4


def test_an_object_larger_than_the_limit_is_kept_alone():
    kept, make = PermissionsObjects(max_patterns=2), Maker()
    assert kept.get(key("a"), make) is kept.get(key("a"), make)
    kept.get(key("b"), make)
    assert len(kept) == 1
