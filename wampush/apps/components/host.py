"""Runs a component: its methods in order, one connection independent of the others.

Owns: what waits for a method to be done, what happens to errors, and how long what a client left
behind is dealt with.
Must not import: the edges, the composition root.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from wampush.apps.component import Component, ComponentConnection, Line
from wampush.apps.incidents import Incidents
from wampush.broker.identity import Identity
from wampush.broker.requests.connect import ConnectRequest
from wampush.errors import CloseReason

#: Seconds that methods may take for what a client has left behind; then they are cancelled.
PATIENCE: Final = 5.0

_OPEN: Final = object()
_CLOSE: Final = object()
#: Ends of the client's own choice; what it had sent before is dealt with.
_LEFT: Final = frozenset((None, CloseReason.PEER_CLOSED, CloseReason.PEER_LOST))


class ComponentHost:
    """One component and its connections.

    :param name: of the component, for the log.
    :param component: the object.
    :param pending: messages of one connection that may wait for its methods.
    :param pending_bytes: of these messages together; one alone may be longer.
    :param numbers: gives connections their numbers.
    :param incidents: where errors are logged.
    :param call_later: ``IReactorTime.callLater``.
    """

    def __init__(
        self,
        name: str,
        component: Component,
        pending: int,
        pending_bytes: int,
        numbers: Iterator[int],
        incidents: Incidents,
        call_later: Callable[..., Any],
    ) -> None:
        self.name: Final = name
        self.component: Final = component
        self.pending: Final = pending
        self.pending_bytes: Final = pending_bytes
        self.incidents: Final = incidents
        self._numbers = numbers
        self._call_later = call_later
        # Connections that are lost and not done with, and when they are given up.
        self._leaving: dict[ComponentTalk, Any] = {}
        self._stopped: Deferred[None] | None = None

    def begin(
        self, line: Line, identity: Identity, request: ConnectRequest, subprotocol: str | None
    ) -> ComponentTalk:
        """What is said over one more connection."""
        number = next(self._numbers)
        conn = ComponentConnection(line, number, identity, request, subprotocol)
        return ComponentTalk(self, line, conn)

    def stop(self) -> Deferred[None]:
        """Wait for what clients have left behind; all connections are lost by now.

        :returns: fires when everything is dealt with or given up.
        """
        if not self._leaving:
            return succeed(None)
        self._stopped = Deferred()
        return self._stopped

    def wait_for(self, talk: ComponentTalk) -> None:
        """A connection is lost, and a method is not done with it; it has :data:`PATIENCE` left."""
        if talk not in self._leaving:
            self._leaving[talk] = self._call_later(PATIENCE, talk.give_up)

    def wait_afresh(self, talk: ComponentTalk) -> None:
        """The same, and what was waited for until now does not count."""
        self._forget_timer(talk)
        self.wait_for(talk)

    def done_with(self, talk: ComponentTalk) -> None:
        """Nothing of a lost connection is left to be done."""
        self._forget_timer(talk)
        stopped = self._stopped
        if stopped is not None and not self._leaving:
            self._stopped = None
            stopped.callback(None)

    def _forget_timer(self, talk: ComponentTalk) -> None:
        timer = self._leaving.pop(talk, None)
        if timer is not None and timer.active():
            timer.cancel()


class ComponentTalk:
    """What is said over one connection: each method begins when the one before is done.

    :param line: the connection itself.
    :param conn: what the component sees of it.
    """

    __slots__ = (
        "_busy",
        "_conn",
        "_given_up",
        "_host",
        "_line",
        "_lost",
        "_running",
        "_steps",
        "_waiting_bytes",
    )

    def __init__(self, host: ComponentHost, line: Line, conn: ComponentConnection) -> None:
        self._host = host
        self._line = line
        self._conn = conn
        # What waits: messages, and how the connection begins and ends. None while there is nothing.
        self._steps: deque[object] | None = None
        self._waiting_bytes = 0
        # The method that is not done.
        self._running: Deferred[object] | None = None
        # Set while steps are taken, so that a method that is done at once does not begin the next
        # one from inside, and so on until the stack is full.
        self._busy = False
        self._lost = False
        self._given_up = False

    def on_open(self) -> None:
        """The handshake is answered."""
        self._add(_OPEN)

    def message(self, data: str | bytes) -> None:
        """The client has sent a message."""
        host = self._host
        if self._steps is not None:
            if len(self._steps) >= host.pending:
                self._too_many(f"limits.pending_per_session = {host.pending} messages wait")
                return
            if self._waiting_bytes + len(data) > host.pending_bytes:
                self._too_many(f"limits.pending_bytes_per_session = {host.pending_bytes} wait")
                return
        self._add(data)

    def on_lost(self) -> None:
        """The connection is gone; the component hears of it after what was sent before."""
        self._lost = True
        self._add(_CLOSE)

    def give_up(self) -> None:
        """The connection was lost a while ago: do not wait for what is not done."""
        self._given_up = True
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        if self._steps is None:
            self._host.done_with(self)
        else:
            # The component hears of the end all the same.
            self._steps = deque((_CLOSE,))
            self._waiting_bytes = 0
            self._go_on()

    def _too_many(self, what: str) -> None:
        self._steps = None
        self._waiting_bytes = 0
        self._line.drop(CloseReason.FLOODING, f"{what} for {self._host.name} already.")

    # In order.

    def _add(self, step: object) -> None:
        if self._busy or self._running is not None:
            if self._steps is None:
                self._steps = deque()
            self._steps.append(step)
            self._waiting_bytes += _size(step)
        else:
            self._busy = True
            self._take(step)
            self._busy = False
        self._go_on()

    def _go_on(self) -> None:
        if self._busy:
            return
        self._busy = True
        while self._running is None and self._steps:
            step = self._steps.popleft()
            self._waiting_bytes -= _size(step)
            if not self._steps:
                self._steps = None
            self._take(step)
        self._busy = False
        if self._lost and self._running is not None:
            self._host.wait_for(self)

    def _take(self, step: object) -> None:
        component, conn = self._host.component, self._conn
        if step is _OPEN:
            self._run("on_open", component.on_open, conn)
        elif step is _CLOSE:
            self._run("on_close", component.on_close, conn)
            if self._running is None:
                self._host.done_with(self)
            else:
                self._host.wait_afresh(self)
        elif self._line.reason in _LEFT:
            self._run("on_message", component.on_message, conn, step)

    def _run(self, name: str, method: Callable[..., Any], *arguments: object) -> None:
        self._running = running = maybeDeferred(method, *arguments)
        running.addErrback(self._failed, name)
        running.addCallback(self._done, running)

    def _done(self, _: object, running: Deferred[Any]) -> None:
        # What was given up may end at any time; nothing waits for it.
        if self._running is running:
            self._running = None
            if self._lost and self._steps is None:
                self._host.done_with(self)
            self._go_on()

    # Errors.

    def _failed(self, failure: Failure, name: str) -> object:
        error = failure.value
        if self._given_up or not isinstance(error, Exception):
            # The component has heard of the end by then, and nothing comes behind that.
            if not failure.check(CancelledError):
                self._close_for(failure, name)
            return None
        answered = maybeDeferred(self._host.component.on_error, self._conn, error)
        return answered.addErrback(self._on_error_failed, failure, name)

    def _on_error_failed(self, second: Failure, first: Failure, name: str) -> None:
        if self._given_up and second.check(CancelledError):
            return
        if second.value is not first.value:
            self._close_for(first, name)
            name = "on_error"
        self._close_for(second, name)

    def _close_for(self, failure: Failure, name: str) -> None:
        conn = self._conn
        code = f"{self._host.name}.{name}"
        doing = f"{code} for client {conn.id} from {conn.request.address}"
        incident = self._host.incidents.report(doing, failure, code)
        if self._line.reason is None:
            self._line.end(CloseReason.COMPONENT_FAILED, f"incident {incident}")


def _size(step: object) -> int:
    """What a step that waits costs: bytes of binary messages, characters of texts."""
    return len(step) if isinstance(step, str | bytes) else 0
