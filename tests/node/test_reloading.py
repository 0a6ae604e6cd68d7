"""What SIGHUP reads again, and what it says about settings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wampush.config.load import load
from wampush.errors import OperatorError
from wampush.node import reloading


class Part:
    """A part of a node that can read its files again.

    :param name: what it notes.
    """

    def __init__(self, name: str, notes: list[str]) -> None:
        self._name = name
        self._notes = notes

    def reload(self) -> None:
        self._notes.append(self._name)


@pytest.mark.parametrize("webhooks", [True, False])
def test_every_part_is_asked(webhooks: bool) -> None:
    notes: list[str] = []
    node: Any = SimpleNamespace(
        pull=SimpleNamespace(security=Part("zeromq", notes)),
        redis=Part("redis", notes),
        redis_bus=Part("backplane", notes) if webhooks else None,
        authenticator=Part("auth", notes),
        webhooks=Part("webhooks", notes) if webhooks else None,
    )
    sockets: Any = Part("tls", notes)
    reloading.reload_files(node, sockets)
    every = ["zeromq", "redis", "backplane", "auth", "webhooks", "tls"]
    assert notes == (every if webhooks else ["zeromq", "redis", "auth", "tls"])


@pytest.mark.parametrize("problem", ["", "backplane.password_file cannot be read"])
def test_a_reload_of_the_backplane_says_what_it_did(problem: str, log: list[str]) -> None:
    def reload() -> None:
        if problem:
            raise OperatorError(problem)

    bus: Any = SimpleNamespace(reload=reload)
    reloading.reload_backplane(bus)
    (line,) = log
    assert line.endswith(problem or "the next connection uses them")


def compare(path: Path, before: str, after: str) -> None:
    path.write_text(before, encoding="utf-8")
    running = load(path, {}, {})
    path.write_text(after, encoding="utf-8")
    reloading.compare_settings(running, partial(load, path, {}, {}))


def test_settings_as_before_are_no_news(tmp_path: Path, log: list[str]) -> None:
    compare(tmp_path / "a", "", "[limits]\n")
    assert log == []


def test_entries_of_lists_are_named(tmp_path: Path, log: list[str]) -> None:
    compare(
        tmp_path / "a",
        '[[topics]]\nmatch = "a"\n',
        '[[topics]]\nmatch = "b"\n[[topics]]\nmatch = "c"\npresence = true\n',
    )
    (line,) = log
    start, _, keys = line.partition("restart: ")
    assert start == "SIGHUP: these settings have changed and need a "
    assert {"topics[1].match", "topics[2].match"} <= set(keys.split(", "))
    assert "topics[1].presence" not in keys


def test_many_are_not_all_named(tmp_path: Path, log: list[str]) -> None:
    entries = "".join(f'[[topics]]\nmatch = "{letter}"\n' for letter in "abcdefghij")
    compare(tmp_path / "a", "", entries)
    assert log[0].count(",") == 9
    assert log[0].endswith(" more")


def test_a_mistake_is_told_before_the_restart(tmp_path: Path, log: list[str]) -> None:
    path = tmp_path / "a"
    compare(path, "", "[clients]\npublsh = 1\n")
    (line,) = log
    assert line.startswith(f"SIGHUP: a restart would fail: {path}:2: clients.publsh")
