"""The rule of ``[limits]``."""

from __future__ import annotations

from tests.config.refusals import refusal
from wampush.config.load import load


def test_the_queue_of_one_client_must_fit_into_all_queues():
    small = {"pushes.max_message_bytes": 1000}
    queues = {"limits.queued_bytes": 270_000, "clients.queue_bytes": 270_000}
    settings = load(None, {}, small | queues).settings
    assert settings.limits.queued_bytes == settings.clients.queue_bytes
    error = refusal(overrides={"clients.queue_bytes": 268_435_457})
    assert (error.source, error.key) == ("command line", "clients.queue_bytes")
