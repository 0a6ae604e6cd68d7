"""Failures to accept connections are logged once per second and kind."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, globalLogPublisher

from wampush.log_limit import LogLimiter
from wampush.net.accepting import accept_errors
from wampush.net.accepting.accept_errors import AcceptErrors, limit_accept_errors


@pytest.fixture(autouse=True)
def limiter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept_errors, "_limiter", LogLimiter(lambda: 0.0))


@pytest.fixture
def lines() -> Any:
    seen: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == "wampush.net":
            seen.append(str(event["log_format"]).format(**event))

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield seen
    globalLogPublisher.removeObserver(observer)


def test_one_line_per_second_counts_the_others(lines: list[str]) -> None:
    passed: list[LogEvent] = []
    times = [0.0] * 4 + [1.0]
    observer = AcceptErrors(passed.append, LogLimiter(lambda: times.pop(0)))
    observer({"log_format": "EMFILE encountered; releasing reserved file descriptor."})
    observer({"log_format": "EMFILE recovery: Closed socket from {address}", "address": "a"})
    observer({"log_format": "Re-reserving EMFILE recovery file descriptor."})
    observer({"log_format": "Could not accept new connection ({acceptError})", "acceptError": "X"})
    observer({"log_format": "Could not accept new connection ({acceptError})", "acceptError": "X"})
    assert lines == [
        "could not accept connections: EMFILE",
        "could not accept connections: X",
        "could not accept connections: X",
    ]
    assert not passed


def test_other_events_pass() -> None:
    passed: list[LogEvent] = []
    AcceptErrors(passed.append)({"log_format": "something else"})
    assert passed == [{"log_format": "something else"}]


def test_ports_without_descriptors_log_one_line_together(lines: list[str]) -> None:
    factory: Any = Factory()
    ports: list[Any] = []
    for _ in range(2):
        port: Any = tcp.Port(0, factory, interface="127.0.0.1", reactor=MemoryReactorClock())
        port.startListening()
        limit_accept_errors(port)
        ports.append(port)

    class Exhausted:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    for port in ports:
        port.socket.close()
        port.socket = Exhausted()
        for _ in range(50):
            port.doRead()
    assert lines == ["could not accept connections: EMFILE"]


def test_a_reserve_that_is_lost_is_one_line_without_a_traceback(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_is_free() -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    reservation: Any = tcp._FileDescriptorReservation(nothing_is_free)
    monkeypatch.setattr(tcp, "_reservedFD", reservation)
    events: list[LogEvent] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    try:
        limit_accept_errors(object())
        for _ in range(3):
            reservation.reserve()
    finally:
        globalLogPublisher.removeObserver(observer)
    assert lines == ["could not accept connections: EMFILE"]
    assert not [event for event in events if "log_failure" in event]


def test_a_port_of_another_kind_is_left_alone() -> None:
    port = type("OtherPort", (), {})()
    limit_accept_errors(port)
    assert not vars(port)
