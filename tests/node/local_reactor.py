"""A reactor in memory whose ports know their interface, and that runs to a point in time."""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock


class LocalPort(tcp.Port):
    """A port that nobody can connect to."""

    connected = True
    socket: Any = None

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.interface or "0.0.0.0", int(self.port or 0))

    def stopListening(self) -> None:  # type: ignore[override]
        self.connected = False

    def startReading(self) -> None:
        pass

    def stopReading(self) -> None:
        pass


class LocalReactor(MemoryReactorClock):
    """A reactor in memory.

    :ivar from_threads: the calls that threads and signals have handed over.
    """

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: list[Callable[[], object]] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        super().listenTCP(port, factory, backlog, interface)
        reactor: Any = self
        return LocalPort(port, factory, backlog, interface, reactor)

    def callFromThread(self, function: Callable[..., object], *arguments: Any) -> None:
        self.from_threads.append(lambda: function(*arguments))

    def begin(self) -> None:
        """Run what waits for the reactor to run."""
        while self.whenRunningHooks:
            function, arguments, keywords = self.whenRunningHooks.pop(0)
            function(*arguments, **keywords)

    def run_calls(self) -> None:
        """Run what threads and signals have handed over."""
        while self.from_threads:
            self.from_threads.pop(0)()
