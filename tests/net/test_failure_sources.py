"""Whose failures are counted together, and how long a client is held back."""

from __future__ import annotations

from wampush.net import failure_sources
from wampush.net.failure_sources import FailureSource, SourceFailures


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.failures = SourceFailures(3, 10.0, lambda: self.now)


def test_a_session_is_held_back_after_failures_in_a_row() -> None:
    time, source, other = Time(), FailureSource("s1"), FailureSource("s2")
    assert [time.failures.on_failed(source) for _ in range(2)] == [False, False]
    assert not time.failures.is_held(source)
    assert time.failures.on_failed(source)
    assert time.failures.is_held(source)
    assert not time.failures.is_held(other)
    assert time.failures.held == 1
    time.now = 10.0
    assert not time.failures.is_held(source)
    assert time.failures.held == 0
    # After the pause, a single failure is enough.
    assert time.failures.on_failed(source)


def test_an_answer_ends_the_row() -> None:
    time, source = Time(), FailureSource("s1", "192.0.2.1")
    for _ in range(2):
        time.failures.on_failed(source)
    time.failures.on_answered(source)
    assert len(time.failures) == 0
    assert not time.failures.on_failed(source)


def test_an_address_is_held_back_for_its_sessions_not_for_their_failures() -> None:
    time = Time()
    first = FailureSource("s1", "192.0.2.1")
    for _ in range(5):
        time.failures.on_failed(first)
    assert not time.failures.is_held(FailureSource("new", "192.0.2.1"))
    time.failures.on_failed(FailureSource("s2", "192.0.2.1"))
    assert time.failures.on_failed(FailureSource("s3", "192.0.2.1"))
    assert time.failures.is_held(FailureSource("new", "192.0.2.1"))
    assert not time.failures.is_held(FailureSource("new", "192.0.2.2"))
    assert not time.failures.is_held(FailureSource("new"))


def test_only_so_many_clients_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(failure_sources, "_CAPACITY", 4)
    time = Time()
    for number in range(50):
        time.failures.on_failed(FailureSource(f"s{number}", "192.0.2.1"))
        assert len(time.failures) <= 4
    assert time.failures.is_held(FailureSource("s", "192.0.2.1"))
