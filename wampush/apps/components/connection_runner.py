"""The methods of a component, run for one connection.

Owns: their order (each begins when the one before has ended), what waits meanwhile, and what
happens to errors.
Must not import: the edges, the composition root.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure

from wampush.apps.component import Component, ComponentConnection, Line
from wampush.apps.incidents import Incidents
from wampush.broker.memory import Memory
from wampush.broker.memory_costs import component_message_bytes, request_bytes
from wampush.errors import CloseReason, Refusal
from wampush.state_machine import state_after

_OPEN: Final = object()
_CLOSE: Final = object()
#: Registered with IANA as a WebSocket close code.
_TRY_AGAIN_LATER: Final = 1013
#: Ends that the client has chosen; what it had sent before is handled.
_CLIENT_ENDS: Final = frozenset((None, CloseReason.PEER_CLOSED, CloseReason.PEER_LOST))


@unique
class ConnectionState(Enum):
    """Where a connection is, as its component sees it.

    LOST: the connection is gone, and the component has not handled everything.
    GIVEN_UP: it has taken too long; only ``on_close`` still runs.
    """

    OPENING = "opening"
    OPEN = "open"
    LOST = "lost"
    GIVEN_UP = "given up"
    ENDED = "ended"


@unique
class _Event(Enum):
    OPENED = "handshake answered"
    LOST = "connection lost"
    TIME_OVER = "time over"
    HANDLED = "everything handled"


_MOVES: Final[Mapping[tuple[ConnectionState, _Event], ConnectionState]] = MappingProxyType(
    {
        (ConnectionState.OPENING, _Event.OPENED): ConnectionState.OPEN,
        (ConnectionState.OPEN, _Event.LOST): ConnectionState.LOST,
        (ConnectionState.LOST, _Event.TIME_OVER): ConnectionState.GIVEN_UP,
        (ConnectionState.LOST, _Event.HANDLED): ConnectionState.ENDED,
        # on_close has a time limit of its own.
        (ConnectionState.GIVEN_UP, _Event.TIME_OVER): ConnectionState.GIVEN_UP,
        (ConnectionState.GIVEN_UP, _Event.HANDLED): ConnectionState.ENDED,
    }
)
_GONE: Final = frozenset((ConnectionState.LOST, ConnectionState.GIVEN_UP))


class RunnerHost(Protocol):
    """The host of the component, as the runner of a connection uses it."""

    @property
    def name(self) -> str:
        """The name of the component."""

    @property
    def component(self) -> Component:
        """The component."""

    @property
    def max_pending(self) -> int:
        """Messages that may wait."""

    @property
    def max_pending_bytes(self) -> int:
        """Size of these messages together."""

    @property
    def memory(self) -> Memory:
        """Counts what connections make the node keep."""

    @property
    def incidents(self) -> Incidents:
        """Logs errors."""

    def limit_time(self, runner: ConnectionRunner) -> None:
        """Call :meth:`ConnectionRunner.give_up` after a while, unless that is set already."""

    def restart_time(self, runner: ConnectionRunner) -> None:
        """Call :meth:`ConnectionRunner.give_up` after a while from now."""

    def on_ended(self, runner: ConnectionRunner) -> None:
        """Forget the connection: everything is handled."""


class ConnectionRunner:
    """Runs the methods of a component for one connection, one after the other.

    :param line: the connection itself.
    :param conn: the connection as the component sees it.
    """

    __slots__ = (
        "_conn",
        "_host",
        "_is_stepping",
        "_line",
        "_pending_bytes",
        "_running",
        "_state",
        "_steps",
    )

    def __init__(self, host: RunnerHost, line: Line, conn: ComponentConnection) -> None:
        self._host = host
        self._line = line
        self._conn = conn
        self._state = ConnectionState.OPENING
        # Steps that wait: messages, the beginning, the end. None while there are none.
        self._steps: deque[object] | None = None
        self._pending_bytes = 0
        # The method that has not ended.
        self._running: Deferred[object] | None = None
        # Set while steps are taken, so that a method that ends at once does not begin the next one
        # from inside, and so on until the stack overflows.
        self._is_stepping = False

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""
        return self._line.address_name

    def on_open(self) -> None:
        """Notify the component of the client: the handshake is answered."""
        self._move(_Event.OPENED)
        # The component has it as long as the connection lasts.
        refusal = self._host.memory.keep(self, request_bytes(self._conn.request.headers))
        self._add(_OPEN)
        if refusal is not None:
            self._end_for(refusal)

    def on_message(self, data: str | bytes) -> None:
        """Give the component a message of the client; too many end the connection."""
        host = self._host
        if self._steps is not None:
            if len(self._steps) >= host.max_pending:
                self._end_flood(f"limits.pending_per_session = {host.max_pending} messages")
                return
            if self._pending_bytes + len(data) > host.max_pending_bytes:
                self._end_flood(
                    f"limits.pending_bytes_per_session = {host.max_pending_bytes} bytes"
                )
                return
        refusal = host.memory.keep(self, component_message_bytes(data))
        if refusal is None:
            self._add(data)
        else:
            self._end_for(refusal)

    def on_lost(self) -> None:
        """Notify the component of the end, after what the client had sent before."""
        self._move(_Event.LOST)
        self._add(_CLOSE)

    def give_up(self) -> None:
        """Cancel what runs for a connection that was lost a while ago, and drop its messages."""
        self._move(_Event.TIME_OVER)
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        if self._steps is None:
            self._end()
        else:
            # The component is notified of the end all the same.
            self._steps = deque((_CLOSE,))
            self._drop_messages()
            self._go_on()

    def _end_flood(self, pending: str) -> None:
        self._steps = None
        self._drop_messages()
        self._line.drop(
            CloseReason.FLOODING, f"{pending} are already waiting for {self._host.name}."
        )

    def _end_for(self, refusal: Refusal) -> None:
        """End the connection because a limit on memory is met."""
        if self._line.reason is None:
            self._line.end(CloseReason.MEMORY_LIMIT, refusal.code, _TRY_AGAIN_LATER)

    def _drop_messages(self) -> None:
        self._pending_bytes = 0
        self._host.memory.forget(self)

    def _move(self, event: _Event) -> None:
        self._state = state_after(_MOVES, self._state, event)

    def _end(self) -> None:
        self._move(_Event.HANDLED)
        self._host.memory.forget(self)
        self._host.on_ended(self)

    # Steps in order.

    def _add(self, step: object) -> None:
        if self._is_stepping or self._running is not None:
            if self._steps is None:
                self._steps = deque()
            self._steps.append(step)
            self._pending_bytes += _size(step)
        else:
            self._is_stepping = True
            self._take(step)
            self._is_stepping = False
        self._go_on()

    def _go_on(self) -> None:
        if self._is_stepping:
            return
        self._is_stepping = True
        while self._running is None and self._steps:
            step = self._steps.popleft()
            self._pending_bytes -= _size(step)
            if not self._steps:
                self._steps = None
            self._take(step)
        self._is_stepping = False
        if self._state in _GONE and self._running is not None:
            self._host.limit_time(self)

    def _take(self, step: object) -> None:
        component, conn = self._host.component, self._conn
        if step is _OPEN:
            self._run("on_open", 0, component.on_open, conn)
        elif step is _CLOSE:
            self._run("on_close", 0, component.on_close, conn)
            if self._running is None:
                self._end()
            else:
                self._host.restart_time(self)
        elif isinstance(step, str | bytes) and self._line.reason in _CLIENT_ENDS:
            self._run("on_message", component_message_bytes(step), component.on_message, conn, step)

    def _run(self, name: str, kept: int, method: Callable[..., Any], *arguments: object) -> None:
        """Run a method.

        :param kept: what its message takes in memory until it has ended, in bytes.
        """
        self._running = running = maybeDeferred(method, *arguments)
        running.addErrback(self._on_failure, name)
        running.addCallback(self._on_done, running, kept)

    def _on_done(self, _: object, running: Deferred[Any], kept: int) -> None:
        self._host.memory.release(self, kept)
        # What was given up may end at any time; nothing waits for it.
        if self._running is running:
            self._running = None
            if self._state in _GONE and self._steps is None and not self._is_stepping:
                self._end()
            self._go_on()

    # Errors.

    def _on_failure(self, failure: Failure, name: str) -> object:
        error = failure.value
        if self._is_given_up or not isinstance(error, Exception):
            # The component has been notified of the end by then, and nothing follows that.
            if not failure.check(CancelledError):
                self._close_for(failure, name)
            return None
        handled = maybeDeferred(self._host.component.on_error, self._conn, error)
        return handled.addErrback(self._on_error_failed, failure, name)

    def _on_error_failed(self, second: Failure, first: Failure, name: str) -> None:
        if self._is_given_up and second.check(CancelledError):
            return
        if second.value is not first.value:
            self._close_for(first, name)
            name = "on_error"
        self._close_for(second, name)

    @property
    def _is_given_up(self) -> bool:
        # After that it can only have ended by being given up: nothing else runs any more.
        return self._state in (ConnectionState.GIVEN_UP, ConnectionState.ENDED)

    def _close_for(self, failure: Failure, name: str) -> None:
        conn = self._conn
        code = f"{self._host.name}.{name}"
        action = f"{code} for client {conn.id} from {conn.request.address}"
        address = conn.request.address
        incident = self._host.incidents.report(action, failure, code, address=address)
        if self._line.reason is None:
            self._line.end(CloseReason.COMPONENT_FAILED, f"incident {incident}")


def _size(step: object) -> int:
    """Return the size of a step: bytes of binary messages, characters of texts."""
    return len(step) if isinstance(step, str | bytes) else 0
