"""All settings: what is derived from the tables."""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import get_args

import pytest

from wampush.config.settings import (
    FIELDS,
    LIST_FIELDS,
    LISTS,
    RULES,
    SECTIONS,
    Settings,
    assemble,
)
from wampush.config.tables.websocket import Dialect
from wampush.wamp.uris import DIALECTS


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Settings().websocket, "dialect", "ratchet")  # noqa: B010


def test_every_default_is_usable():
    for key, each in FIELDS.items():
        assert attrgetter(key)(Settings()) == each.default
        assert each.check.check(each.default) == each.default
        assert each.reason.endswith((".", "`)"))
    for known in LIST_FIELDS.values():
        for each in known.values():
            assert each.is_required or each.check.check(each.default) == each.default


def test_values_make_settings():
    values = {key: each.default for key, each in FIELDS.items()}
    lists: dict[str, object] = {table: {} for table in LIST_FIELDS}
    assert assemble(values | lists) == Settings()
    changed = assemble(values | lists | {"limits.topics": 5, "apps": ("a:b",)})
    assert (changed.limits.topics, changed.apps) == (5, ("a:b",))


def test_keys_are_those_of_the_class():
    assert list(FIELDS)[:2] == ["apps", "websocket.listen"]
    assert list(LIST_FIELDS) == ["topics", "permissions", "redis_source", "routes"]
    assert {key.partition(".")[0] for key in FIELDS} | set(LIST_FIELDS) == {
        each.name for each in dataclasses.fields(Settings)
    }


def test_the_operands_of_rules_exist():
    assert len(RULES) > 10
    for rule in RULES:
        assert set(rule.keys) <= {*FIELDS, *LISTS}


def test_choices_are_those_that_the_code_knows():
    assert set(get_args(Dialect)) == set(DIALECTS)


def test_tables_and_lists_come_from_the_class():
    sections = {key.partition(".")[0] for key in FIELDS if "." in key}
    assert (set(SECTIONS), list(LISTS)) == (sections, list(LIST_FIELDS))
    assert SECTIONS["websocket"] is type(Settings().websocket)
