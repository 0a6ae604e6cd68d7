"""The rule of ``[limits]``."""

from __future__ import annotations

from tests.config.refusals import refusal
from wampush.config.load import load


def test_the_queue_of_one_client_must_fit_into_all_queues():
    small = {"pushes.max_message_bytes": 1000}
    queues = {"limits.queued_bytes": 270_000, "clients.queue_bytes": 270_000}
    settings = load(None, {}, small | queues).settings
    assert settings.limits.queued_bytes == settings.clients.queue_bytes
    large = {"clients.queue_bytes": 268_435_457, "limits.queued_bytes_per_address": 2**30}
    error = refusal(overrides=large)
    assert (error.source, error.key) == ("command line", "clients.queue_bytes")


def test_a_limit_on_memory_must_allow_the_smaller_one():
    for small, large in (
        ("kept_bytes_per_session", "kept_bytes_per_address"),
        ("kept_bytes_per_address", "kept_bytes"),
    ):
        few = {f"limits.{name}": 70_000 for name in ("kept_bytes_per_session", small)}
        error = refusal(overrides=few | {f"limits.{large}": 69_999})
        assert f"limits.{large} (69999)" in str(error)


def test_the_queue_of_one_client_must_fit_into_those_of_an_address():
    error = refusal(overrides={"limits.queued_bytes_per_address": 4_194_303})
    assert "limits.queued_bytes_per_address (4194303)" in str(error)
