"""The scripts: their names are those that Redis gives them, and Lua can read them."""

from __future__ import annotations

import hashlib

import pytest
from lupa import lua51  # type: ignore[import-untyped]

from wampush.edges.storage.history_scripts import PUBLISH, READ, RENEW, Script, _script

SCRIPTS = [PUBLISH, READ, RENEW]


@pytest.mark.parametrize("script", SCRIPTS, ids=["publish", "read", "renew"])
def test_a_script_is_found_by_its_digest_and_is_lua(script: Script) -> None:
    digest = hashlib.sha1(script.text, usedforsecurity=False).hexdigest()
    assert script.sha == digest.encode()
    lua51.LuaRuntime(encoding=None).execute(
        b"return function(KEYS, ARGV, redis) %b end" % script.text
    )


def test_redis_names_a_script_by_its_digest() -> None:
    assert _script("return 1") == (b"return 1", b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db")


def test_no_two_scripts_are_the_same() -> None:
    assert len({each.sha for each in SCRIPTS}) == len(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS, ids=["publish", "read", "renew"])
def test_no_name_of_the_sources_is_left_in_a_script(script: Script) -> None:
    for name in (b"MOST_RUNS", b"MOST_REMOVED", b"NODE_KEPT"):
        assert name not in script.text
