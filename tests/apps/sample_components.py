"""Components for tests, and the far end of their connections without any wire."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wampush.apps.component import Component, ComponentConnection, ConnectRequest
from wampush.apps.components.connection_runner import ConnectionRunner
from wampush.apps.components.host import ComponentHost
from wampush.apps.incidents import Incidents
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.memory import UNLIMITED, Memory, MemoryLimits
from wampush.errors import CloseReason


class Scripted(Component):
    """Does what a test says, and remembers what was asked of it.

    :param methods: what to do in each method, by name.
    """

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.methods = methods

    def on_open(self, conn: ComponentConnection) -> Any:
        return self._do("on_open", conn)

    def on_message(self, conn: ComponentConnection, data: str | bytes) -> Any:
        return self._do("on_message", conn, data)

    def on_close(self, conn: ComponentConnection) -> Any:
        return self._do("on_close", conn)

    def on_error(self, conn: ComponentConnection, exc: Exception) -> Any:
        if "on_error" in self.methods:
            return self._do("on_error", conn, exc)
        self.calls.append(("on_error", conn.id, exc))
        return super().on_error(conn, exc)

    def _do(self, name: str, conn: ComponentConnection, *arguments: Any) -> Any:
        self.calls.append((name, conn.id, *arguments))
        method = self.methods.get(name)
        return method(conn, *arguments) if method else None


class FakeLine:
    """A connection that remembers what it was told."""

    address_name = "192.0.2.1"

    def __init__(self) -> None:
        self.reason: CloseReason | None = None
        self.written: list[str | bytes] = []
        self.ended: list[tuple[Any, ...]] = []

    def write_text(self, text: bytes) -> None:
        if self.reason is None:
            self.written.append(text.decode())

    def write_binary(self, data: bytes) -> None:
        if self.reason is None:
            self.written.append(data)

    def end(self, reason: CloseReason, detail: str = "", code: int | None = None) -> None:
        if self.reason is None:
            self.reason = reason
            self.ended.append((reason, detail, code))

    def drop(self, reason: CloseReason, detail: str = "") -> None:
        self.end(reason, detail)


class HostWorld:
    """A component with connections that a test opens, speaks on, and loses."""

    def __init__(
        self,
        component: Component,
        pending: int = 100,
        pending_bytes: int = 2**20,
        limits: MemoryLimits = UNLIMITED,
    ) -> None:
        self.clock = Clock()
        self.host = ComponentHost(
            name="shop:Chat",
            component=component,
            max_pending=pending,
            max_pending_bytes=pending_bytes,
            numbers=count(1),
            incidents=Incidents(self.clock.seconds),
            call_later=self.clock.callLater,
            memory=Memory(limits),
        )

    def connect(self, identity: Identity = ANONYMOUS) -> tuple[FakeLine, ConnectionRunner]:
        """One more connection, open."""
        line = FakeLine()
        request = ConnectRequest("/chat?room=1", {"host": "a"}, "192.0.2.1")
        runner = self.host.begin(line, identity, request, None)
        runner.on_open()
        return line, runner

    @staticmethod
    def lose(line: FakeLine, runner: ConnectionRunner) -> None:
        """The connection is gone."""
        if line.reason is None:
            line.reason = CloseReason.PEER_LOST
        runner.on_lost()


class Held:
    """Deferreds that a test fires one by one."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[Any]] = []

    def __call__(self, *_: Any) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        self.waiting.append(deferred)
        return deferred

    def release(self) -> None:
        """The longest waiting one is done."""
        self.waiting.pop(0).callback(None)


def names(component: Scripted) -> list[str]:
    """The methods that were called, in their order."""
    return [call[0] for call in component.calls]
