"""A reactor in memory whose ports know their interface, and that runs to a point in time."""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock


class LocalReactor(MemoryReactorClock):
    """A reactor in memory.

    :ivar from_threads: the calls that threads and signals have handed over.
    """

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: list[Callable[[], object]] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        opened: Any = super().listenTCP(port, factory, backlog, interface)
        opened._hostAddress = IPv4Address("TCP", interface or "0.0.0.0", port)
        return opened

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
