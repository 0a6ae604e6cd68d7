"""Keys of settings: how they are written, and which one was meant."""

from __future__ import annotations

import pytest

from wampush.config.keys import (
    MOVED,
    PATHS,
    VARIABLES,
    closest,
    dotted,
    nearest,
    nearest_variable,
    problem_of,
    quoted,
    variable_of,
)
from wampush.config.line_numbers import KeyPath
from wampush.config.settings import FIELDS


def test_keys_paths_and_variables() -> None:
    assert PATHS[("websocket", "listen")] == "websocket.listen"
    assert VARIABLES["WAMPUSH_WEBSOCKET_LISTEN"] == "websocket.listen"
    assert VARIABLES["WAMPUSH_APPS"] == "apps"
    assert len(VARIABLES) == len(PATHS) == len(FIELDS)
    assert variable_of("redis_source.url") == "WAMPUSH_REDIS_SOURCE_URL"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("websocket", "listen"), "websocket.listen"),
        (("topics", 0, "match"), "topics[1].match"),
        (("a b", 'c"\n'), '"a b"."c\\"\\n"'),
        ((), ""),
    ],
)
def test_paths_in_words(path: KeyPath, text: str) -> None:
    assert dotted(path) == text


def test_endless_keys_are_cut() -> None:
    assert quoted("x" * 101) == "x" * 100 + "…"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("websocket", "lisen"), "websocket.listen"),
        (("websokcet",), "websocket"),
        (("topic",), "topics"),
        (("dialect",), "websocket.dialect"),
        (("http", "high_water_mark"), "zmq.high_water_mark"),
        (("websokcet", "dialect"), "websocket.dialect"),
        (("zmq", "topic_key"), "pushes.topic_key"),
        (("zmq", "apps"), ""),
        (("zmq", "qqqqqqqq"), ""),
        (("a", "b", "c"), ""),
    ],
)
def test_the_key_that_was_meant(path: tuple[str, ...], key: str) -> None:
    assert nearest(path) == key


def test_a_key_that_has_moved_names_its_new_place() -> None:
    assert nearest(("zmq", "max_message_bytes")) == "pushes.max_message_bytes"
    for path, key in MOVED.items():
        assert path not in PATHS
        assert nearest(tuple(map(str, path))) == key
        assert key in FIELDS
        # The environment has no table of its own: there the nearest name is the right one.
        assert nearest_variable(variable_of(dotted(path))) == variable_of(key)


def test_the_variable_that_was_meant() -> None:
    assert nearest_variable("WAMPUSH_CONFG") == "WAMPUSH_CONFIG"
    assert nearest_variable("WAMPUSH_ZMQ_PUL") == "WAMPUSH_ZMQ_PULL"
    assert nearest_variable("WAMPUSH_X") == ""


def test_closest_names() -> None:
    assert closest("actoins", ["match", "actions"]) == "actions"
    assert closest("actoins", ["match"]) == ""
    assert closest("a" * 10**6, ["a" * 100]) == "a" * 100


def test_what_is_wrong_with_an_unknown_key() -> None:
    assert problem_of(("x",)) == "no setting has this name"
    assert problem_of(("topics", 0, "apps")).endswith('; put "apps" before the first [table]')
