"""The error tree, the tables of reasons, and how values are shown in messages."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import wampush
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import (
    AuthenticationRefused,
    BackendError,
    ClientError,
    CloseReason,
    ConfigError,
    ConnectionRefused,
    Defect,
    Fault,
    InputRefused,
    ListenError,
    MessageRefused,
    OperatorError,
    PushRefused,
    Refusal,
    WampushError,
    shown,
    shown_json,
)


def test_codes_are_words_of_their_own():
    codes = [each.code for each in (*Refusal, *CloseReason)]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes)


def test_every_row_says_something_to_somebody():
    for each in (*Refusal, *CloseReason):
        assert each.sentence.endswith(".")
        assert "|" not in each.sentence
    assert {each.fault for each in Refusal} == set(Fault) - {Fault.WAMPUSH}
    assert {each.fault for each in CloseReason} == {*Fault, None}


def test_an_end_has_a_status_or_a_close_code_or_neither():
    for each in CloseReason:
        assert each.value.http_status is None or each.value.close_code is None


@pytest.mark.parametrize("kind", [PushRefused, MessageRefused])
def test_refused_inputs(kind):
    error = kind(Refusal.EMPTY, "Nothing there.")
    assert isinstance(error, InputRefused)
    assert (error.refusal, error.detail) == (Refusal.EMPTY, "Nothing there.")
    assert error.fault is Fault.BACKEND
    assert str(error) == "The message is empty; send a JSON object. Nothing there."
    assert str(kind(Refusal.EMPTY)) == Refusal.EMPTY.sentence


@pytest.mark.parametrize("kind", [AuthenticationRefused, HandshakeRefused])
def test_refused_connections(kind):
    error = kind(CloseReason.BAD_HANDSHAKE, "No key.")
    assert isinstance(error, ConnectionRefused)
    assert (error.reason, error.detail) == (CloseReason.BAD_HANDSHAKE, "No key.")
    assert str(error) == f"{CloseReason.BAD_HANDSHAKE.sentence} No key."
    assert error.fault is Fault.CLIENT
    assert kind(CloseReason.CONNECT_UNDECIDED).fault is Fault.OPERATOR


def errors() -> set[type[BaseException]]:
    """All exceptions that modules of wampush define."""
    return {
        each
        for module in pkgutil.walk_packages(wampush.__path__, "wampush.")
        if not module.name.endswith(".__main__")
        for each in vars(importlib.import_module(module.name)).values()
        if isinstance(each, type)
        and issubclass(each, BaseException)
        and each.__module__ == module.name
    }


def test_errors_form_one_tree():
    assert {each for each in errors() if not issubclass(each, WampushError)} == set()


def test_every_error_says_whose_fault_it_is():
    from_table = (InputRefused, ConnectionRefused)
    # A client cannot know; its own errors are in the package of the client.
    unknown = {
        each
        for each in errors()
        if issubclass(each, WampushError)
        and each.fault is None
        and not issubclass(each, from_table)
        and not each.__module__.startswith("wampush.client.")
    }
    assert unknown == {WampushError}
    assert OperatorError.fault is Fault.OPERATOR
    assert BackendError.fault is Fault.BACKEND
    assert ClientError.fault is Fault.CLIENT
    assert Defect.fault is Fault.WAMPUSH


def test_config_error():
    error = ConfigError("a.toml", "zmq.pul", "x", "an unknown key", "pull")
    assert isinstance(error, OperatorError)
    assert str(error) == "a.toml: zmq.pul = 'x': an unknown key; did you mean \"pull\"?"
    assert str(ConfigError("a.toml", "", None, "cannot be read")) == "a.toml: cannot be read"


def test_listen_error():
    error = ListenError("tcp:80", "Permission denied", "choose a port above 1023")
    assert isinstance(error, OperatorError)
    assert str(error) == "cannot listen on tcp:80: Permission denied; choose a port above 1023"


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        nested(5000),
        {"a": nested(5000)},
        list(range(100_000)),
        {str(number): number for number in range(1000)},
        "x" * 100_000,
        "\x00" * 1000,
        b"\xff" * 100_000,
        pytest.param(10**5000, id="endless"),
        [-(10**5000)],
        1.5,
        None,
    ],
)
def test_any_value_can_be_shown(value):
    assert 0 < len(shown(value)) <= 81
    assert shown(value).isprintable()


@pytest.mark.parametrize("value", ["text", b"bytes\n", 5, [1, "a"], {"a": None}, True])
def test_short_values_are_shown_as_they_are(value):
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("M\xfcller", '"M\xfcller"'),
        ('say "no" \\', r'"say \"no\" \\"'),
        ("a\nb\x1b\u202e", r'"a\nb\u001b\u202e"'),
        ("\U000e0001", r'"\udb40\udc01"'),
        ([1, None, "a"], '[1, null, "a"]'),
        ({"a": {"b": False}}, '{"a": {"b": false}}'),
        ("x" * 81, '"' + "x" * 79 + "…"),
        (frozenset({1}), "frozenset({1})"),
    ],
)
def test_json_is_shown_as_json(value, text):
    assert shown_json(value) == text


@pytest.mark.parametrize("value", [nested(5000), {"a": nested(5000)}, "\n" * 1000, [10**5000]])
def test_any_json_can_be_shown(value):
    assert 0 < len(shown_json(value)) <= 81
    assert shown_json(value).isprintable()
