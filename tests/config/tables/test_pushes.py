"""The rule of ``[pushes]``."""

from __future__ import annotations

import pytest

from tests.config.refusals import refusal
from wampush.config.load import load
from wampush.config.settings import Settings


def test_the_defaults_leave_room_for_bursts_of_the_largest_pushes():
    settings = Settings()
    assert settings.clients.queue_bytes >= 4 * settings.pushes.max_message_bytes


def test_a_queue_of_four_times_the_largest_message_is_enough():
    overrides = {
        "clients.queue_bytes": 4000,
        "pushes.max_message_bytes": 1000,
        "websocket.max_message_bytes": 1000,
    }
    assert load(None, {}, overrides).settings.clients.queue_bytes == 4000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clients.queue_bytes", 4_194_303),
        ("pushes.max_message_bytes", 1_048_577),
        ("websocket.max_message_bytes", 1_048_577),
    ],
)
def test_a_queue_that_a_burst_of_large_messages_overflows_is_refused(key, value):
    error = refusal(overrides={key: value})
    assert error.key == key
    assert str(value) in str(error)
    assert "4 times" in str(error)
    if key != "clients.queue_bytes":
        assert f"4 times {key}" in str(error)
