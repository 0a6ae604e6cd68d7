"""The host of one component: its connections, and what waits for connections that are lost.

Owns: the time that a component gets to handle what a client has left.
Must not import: the edges, the composition root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed

from wampush.apps.component import Component, ComponentConnection, Line
from wampush.apps.components.connection_runner import ConnectionRunner
from wampush.apps.incidents import Incidents
from wampush.broker.identity import Identity
from wampush.broker.memory import Memory
from wampush.broker.requests.connect_request import ConnectRequest

#: Seconds that methods may take for what a client has left; then they are cancelled.
PATIENCE: Final = 5.0


class ComponentHost:
    """One component and its connections.

    :param name: of the component, for the log.
    :param component: the object.
    :param max_pending: messages of one connection that may wait for the component.
    :param max_pending_bytes: size of these messages together; a single one may be longer.
    :param memory: counts what connections make the node keep.
    :param numbers: gives connections their numbers.
    :param incidents: logs errors.
    :param call_later: ``IReactorTime.callLater``.
    """

    def __init__(
        self,
        *,
        name: str,
        component: Component,
        max_pending: int,
        max_pending_bytes: int,
        memory: Memory,
        numbers: Iterator[int],
        incidents: Incidents,
        call_later: Callable[..., Any],
    ) -> None:
        self.name: Final = name
        self.component: Final = component
        self.max_pending: Final = max_pending
        self.max_pending_bytes: Final = max_pending_bytes
        self.memory: Final = memory
        self.incidents: Final = incidents
        self._numbers = numbers
        self._call_later = call_later
        # Connections that are lost and not handled to the end, with the timers that limit this.
        self._leaving: dict[ConnectionRunner, Any] = {}
        self._stopped: Deferred[None] | None = None

    def begin(
        self, line: Line, identity: Identity, request: ConnectRequest, subprotocol: str | None
    ) -> ConnectionRunner:
        """Return what runs the component for one more connection."""
        conn = ComponentConnection(line, next(self._numbers), identity, request, subprotocol)
        return ConnectionRunner(self, line, conn)

    def stop(self) -> Deferred[None]:
        """Wait until what clients have left is handled; all connections are lost by now.

        :returns: fires when everything is handled or given up.
        """
        if not self._leaving:
            return succeed(None)
        self._stopped = Deferred()
        return self._stopped

    def limit_time(self, runner: ConnectionRunner) -> None:
        """Give a lost connection up after :data:`PATIENCE`, unless it is limited already."""
        if runner not in self._leaving:
            self._leaving[runner] = self._call_later(PATIENCE, runner.give_up)

    def restart_time(self, runner: ConnectionRunner) -> None:
        """Give a lost connection up :data:`PATIENCE` from now."""
        self._cancel_timer(runner)
        self.limit_time(runner)

    def on_ended(self, runner: ConnectionRunner) -> None:
        """Forget a lost connection that is handled to the end."""
        self._cancel_timer(runner)
        stopped = self._stopped
        if stopped is not None and not self._leaving:
            self._stopped = None
            stopped.callback(None)

    def _cancel_timer(self, runner: ConnectionRunner) -> None:
        timer = self._leaving.pop(runner, None)
        if timer is not None and timer.active():
            timer.cancel()
