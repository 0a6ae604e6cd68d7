"""The handlers of signals, raised in this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.node.local_reactor import LocalReactor
from wampush.node.signals import Signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of the process are put back."""
    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


class Service:
    """What the handlers call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.stopping = False
        self.reactor = LocalReactor()
        self.signals = Signals(
            self.reactor,
            on_hangup=lambda: self.calls.append("hangup"),
            is_stopping=lambda: self.stopping,
            on_impatience=lambda: self.calls.append("impatience"),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: self.calls.append(signal.Signals(number).name))


@pytest.fixture
def service() -> Service:
    return Service()


def test_a_hangup_waits_for_the_reactor(service: Service) -> None:
    service.signals.handle_hangup()
    signal.raise_signal(signal.SIGHUP)
    assert service.calls == []
    service.reactor.run_calls()
    assert service.calls == ["hangup"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_only_the_first_signal_reaches_twisted(service: Service, second: signal.Signals) -> None:
    service.signals.handle_ends()
    signal.raise_signal(signal.SIGTERM)
    assert service.calls == ["SIGTERM"]
    signal.raise_signal(second)
    assert service.calls == ["SIGTERM"]
    service.reactor.run_calls()
    assert service.calls == ["SIGTERM", "impatience"]


def test_a_signal_after_another_kind_of_end_is_the_second(service: Service) -> None:
    service.signals.handle_ends()
    service.stopping = True
    signal.raise_signal(signal.SIGINT)
    service.reactor.run_calls()
    assert service.calls == ["impatience"]


def test_a_node_that_ends_by_itself_stops_the_reactor_once(service: Service) -> None:
    service.signals.handle_ends()
    service.signals.end()
    assert service.reactor.hasStopped
    service.reactor.hasStopped = False
    service.signals.end()
    signal.raise_signal(signal.SIGTERM)
    service.reactor.run_calls()
    assert service.calls == ["impatience"]
    assert not service.reactor.hasStopped


def test_a_node_does_not_end_by_itself_once_a_signal_has_come(service: Service) -> None:
    service.signals.handle_ends()
    signal.raise_signal(signal.SIGTERM)
    service.signals.end()
    assert service.calls == ["SIGTERM"]
    assert not service.reactor.hasStopped


def test_signals_that_nobody_handles_stay_so(service: Service) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    service.signals.handle_ends()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
