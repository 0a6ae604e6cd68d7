"""The rules of ``[websocket]``: how long clients and applications may take."""

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


CALLBACK = '[auth]\norder = ["callback"]\n[callback]\nurl = "http://a/"\n'
WEBHOOKS = '[webhooks]\nurl = "http://a/"\nsecret_file = "s"\n'


@pytest.mark.parametrize(
    ("text", "key", "line", "words"),
    [
        (
            f"{CALLBACK}timeout = 5",
            "callback.timeout",
            5,
            "callback.timeout (5 s) must be less than websocket.handshake_timeout (5 s)",
        ),
        (
            'apps = ["a:app"]\n[application]\nconnect_timeout = 5',
            "application.connect_timeout",
            3,
            "(5 s) must be less than websocket.handshake_timeout (5 s)",
        ),
        (
            f'apps = ["a:app"]\n{CALLBACK}timeout = 4',
            "callback.timeout",
            6,
            "connect_timeout (1.5 s) and callback.timeout (4 s) together must be less than",
        ),
        (
            f'{WEBHOOKS}events = ["connect"]\nconnect_timeout = 5',
            "webhooks.connect_timeout",
            5,
            "must be less than websocket.handshake_timeout (5 s)",
        ),
        (
            f'{WEBHOOKS}events = ["connect"]\nconnect_timeout = 2\n{CALLBACK}',
            "webhooks.connect_timeout",
            5,
            "(2 s) and callback.timeout (3 s) together must be less than",
        ),
    ],
)
def test_applications_answer_within_the_handshake(toml, text, key, line, words):
    error = refusal(toml(text))
    assert (error.key, error.line) == (key, line)
    assert words in error.expected


def test_limits_of_applications_that_are_not_asked_do_not_matter(toml):
    unused = "[application]\nconnect_timeout = 5\n[callback]\ntimeout = 5\n"
    events = f'{WEBHOOKS}events = ["disconnect"]\nconnect_timeout = 5'
    assert load(toml(unused + events), {}, {}).settings.callback.timeout == 5
