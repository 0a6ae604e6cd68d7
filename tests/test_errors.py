"""The tree of errors, and whose fault each is."""

from __future__ import annotations

import importlib
import pkgutil

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
)
from wampush.testing.memory_client import NotAnswered


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
    found = {
        each
        for module in pkgutil.walk_packages(wampush.__path__, "wampush.")
        if not module.name.endswith(".__main__")
        for each in vars(importlib.import_module(module.name)).values()
        if isinstance(each, type)
        and issubclass(each, BaseException)
        and each.__module__ == module.name
    }
    # For pytest and unittest, a call without a reply is a failed test.
    return found - {NotAnswered}


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
