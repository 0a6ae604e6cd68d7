"""The rule of ``[websocket]``."""

from __future__ import annotations

import pytest

from tests.config.refusals import refusal
from wampush.config.load import load


@pytest.mark.parametrize("timeout", ["30", "29.5"])
def test_silence_must_outlast_the_ping_interval(timeout):
    error = refusal(environ={"WAMPUSH_WEBSOCKET_SILENCE_TIMEOUT": timeout})
    assert (error.source, error.key) == ("environment", "websocket.silence_timeout")
    assert "longer than websocket.ping_interval (30 s)" in error.expected


def test_silence_may_be_longer():
    assert load(None, {"WAMPUSH_WEBSOCKET_SILENCE_TIMEOUT": "30.5"}, {})
