"""Browsers without a user, and the cookie by which they are known."""

from __future__ import annotations

import re

import pytest

from tests.broker.world import FakeClock, World
from wampush.broker.history.kept_positions import KeptPositions
from wampush.broker.history.visitors import (
    COOKIE,
    MOST_SESSIONS,
    MOST_TOGETHER,
    TOGETHER_SECONDS,
    Visitors,
)


def visitors(clock: FakeClock | None = None) -> Visitors:
    now = clock or FakeClock()
    return Visitors(KeptPositions(1.0, 1000, lambda: now.now), lambda: now.now)


def value_of(cookie: str) -> str:
    return cookie.partition("=")[2].partition(";")[0]


def test_a_browser_gets_a_cookie_once() -> None:
    known = visitors()
    first = known.arrive({}, "x", is_secure=False)
    pattern = rf"{COOKIE}=[\w-]{{22}}\.[\w-]{{22}}; Path=/; HttpOnly; SameSite=Lax"
    assert re.fullmatch(pattern, first.cookie)
    again = known.arrive({COOKIE: value_of(first.cookie), "other": "x"}, "x", is_secure=False)
    assert again == (first.name, "")
    other = known.arrive({}, "y", is_secure=True)
    assert other.name != first.name
    assert other.cookie.endswith("; Secure")


@pytest.mark.parametrize(
    "change", ["x{}", "{}x", "{0}.{0}", "", ".", "abc", "abc.\xe9", "\xe9.\xe9"]
)
def test_a_cookie_that_is_made_up_is_replaced(change: str) -> None:
    known = visitors()
    first = known.arrive({}, "x", is_secure=False)
    value = change.format(value_of(first.cookie))
    second = known.arrive({COOKIE: value}, "y", is_secure=False)
    assert second.cookie
    assert second.name not in (first.name, value.partition(".")[0])


def test_a_cookie_of_another_process_is_replaced() -> None:
    first = visitors().arrive({}, "x", is_secure=False)
    assert visitors().arrive({COOKIE: value_of(first.cookie)}, "x", is_secure=False).cookie


def test_open_sessions() -> None:
    known, world = visitors(), World()
    sessions = [world.client().subscriber for _ in range(MOST_SESSIONS + 1)]
    for each in sessions[:-1]:
        assert known.add("x", each)
    assert not known.add("x", sessions[-1])
    known.discard("x", sessions[0])
    known.discard("y", sessions[0])
    assert known.add("x", sessions[-1])
    assert known.sessions("x") == set(sessions[1:])
    for each in sessions:
        known.discard("x", each)
    assert known.sessions("x") == set()
    assert not known._open


def test_tabs_that_are_opened_at_once_get_the_same_name() -> None:
    clock = FakeClock()
    known = visitors(clock)

    def name(looks: str = "x") -> str:
        arrival = known.arrive({}, looks, is_secure=False)
        assert arrival.cookie
        return arrival.name

    first = name()
    assert name("y") not in ("", first)
    assert {name() for _ in range(MOST_TOGETHER - 1)} == {first}
    second = name()
    assert second != first
    clock.now += TOGETHER_SECONDS
    assert name() == second
    clock.now += 0.1
    assert name() != second


def test_names_that_were_given_are_not_kept_for_long() -> None:
    known = visitors()
    first = known.arrive({}, "0", is_secure=False)
    for number in range(1, 1001):
        known.arrive({}, str(number), is_secure=False)
    assert len(known._recent) == 1000
    assert known.arrive({}, "0", is_secure=False).name != first.name
