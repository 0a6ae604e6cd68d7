"""The errors of a client: what they carry, and what they say."""

from __future__ import annotations

import pytest

from wampush.client import CallFailed, NotConnected, ServerRefused
from wampush.errors import WampushError


def test_a_call_that_failed() -> None:
    error = CallFailed("http://example.com/error#full", "The room is full", {"limit": 5})
    assert (error.uri, error.description) == ("http://example.com/error#full", "The room is full")
    assert error.details == {"limit": 5}
    assert str(error) == "The room is full (http://example.com/error#full)"
    assert CallFailed("e", "d").details is None


def test_a_server_that_refused() -> None:
    error = ServerRefused(403, "the server refused the WebSocket [403]")
    assert (error.status, error.reason) == (403, "the server refused the WebSocket [403]")
    assert str(error) == error.reason


@pytest.mark.parametrize(
    "error", [CallFailed("e", "d"), NotConnected("no session"), ServerRefused(401, "r")]
)
def test_only_the_server_knows_whose_fault_it_is(error: WampushError) -> None:
    assert isinstance(error, WampushError)
    assert error.fault is None
