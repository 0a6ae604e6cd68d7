"""The rules of ``[[permissions]]``."""

from __future__ import annotations

import pytest

from tests.config.refusals import mistakes
from wampush.choices import Action
from wampush.config.load import load
from wampush.config.tables.permissions import PermissionSettings

RULE = {"match": "a", "actions": ["subscribe"], "to": ["anyone"]}


@pytest.mark.parametrize(
    ("entries", "key", "expected"),
    [
        ({}, "permissions", "a list of tables"),
        ([1], "permissions[1]", "a table"),
        ([{}], "permissions[1].match", "is missing"),
        ([{"match": "a"}], "permissions[1].actions", "is missing; it must be a list"),
        ([{"match": "a", "actions": ["call"]}], "permissions[1].to", '"anyone"'),
        ([{**RULE, "mach": "b"}], "permissions[1].mach", 'did you mean "permissions[1].match"'),
        ([{**RULE, "match": ""}], "permissions[1].match", "a topic, or a prefix"),
        ([{**RULE, "match": "a*b"}], "permissions[1].match", "a topic, or a prefix"),
        ([{**RULE, "match": "ö" * 513}], "permissions[1].match", "allows 1024 bytes"),
        ([{**RULE, "match": "u.{usr}.x"}], "permissions[1].match", "no other braces"),
        ([{**RULE, "match": "u.{user}*"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "match": "u.{user}{group}"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "match": "u{user}"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "match": "{user}s.x"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "actions": []}], "permissions[1].actions", "at least one element"),
        ([{**RULE, "actions": "call"}], "permissions[1].actions", "a list of"),
        ([{**RULE, "actions": ["read"]}], "permissions[1].actions", '"subscribe"'),
        (
            [{**RULE, "actions": ["call", "call"]}],
            "permissions[1].actions",
            "in the list only once",
        ),
        ([{**RULE, "to": ["alice"]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "to": ["user:"]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "to": ["role:x"]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "to": [7]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "allow": "no"}], "permissions[1].allow", "true or false"),
        ([{**RULE, "max_bytes": 9}], "permissions[1].max_bytes", "has no payload"),
        ([{**RULE, "max_bytes": -1}], "permissions[1].max_bytes", "whole number"),
        (
            [{**RULE, "allow": False, "per_second": 1}],
            "permissions[1].per_second",
            "nothing to limit",
        ),
        ([RULE, RULE], "permissions[2].match", "permissions[1] ('a') decides the same"),
        ([{**RULE, "match": "*"}, {**RULE, "match": "a.{user}"}], "permissions[2].match", "never"),
        (
            [{**RULE, "to": ["authenticated"]}, {**RULE, "to": ["user:7"]}],
            "permissions[2].match",
            "never reached",
        ),
    ],
)
def test_unusable_permissions(entries, key, expected):
    error = mistakes(overrides={"permissions": entries})[0]
    assert error.key == key
    assert expected in str(error)


def test_permissions_that_only_look_alike():
    entries = [
        RULE,
        {**RULE, "actions": ["subscribe", "call"]},
        {**RULE, "match": "b.{user}.*", "to": ["user:7", "group:staff"]},
        {**RULE, "match": "b.{user}.x", "to": ["authenticated"], "allow": False},
        {**RULE, "match": "c*", "to": ["authenticated"]},
        {**RULE, "match": "cd", "to": ["user:7", "group:staff"]},
    ]
    kept = load(None, {}, {"permissions": entries}).settings.permissions
    assert len(kept) == len(entries)
    assert kept[2] == PermissionSettings(
        "b.{user}.*", (Action.SUBSCRIBE,), ("user:7", "group:staff")
    )
    assert (kept[0].allow, kept[0].max_bytes, kept[0].per_second) == (True, 0, 0.0)
