"""The end of the old node: what cannot move ends, and what still comes is forwarded.

Owns: the pace, and when nothing is left to be done. Must not import: ``node.service``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from wampush.errors import CloseReason

if TYPE_CHECKING:
    from wampush.edges.websocket.connection import Connection
    from wampush.node.handover.node_parts import Parts
    from wampush.node.handover.slices import Slices

#: Seconds without a push after which no backend is taken to push here any more.
SILENCE_SECONDS: Final = 0.5
#: Seconds between two looks at the backends that are still connected. ZeroMQ's connect again after
#: 100 ms, by when only the new node should accept them.
LOOK_SECONDS: Final = 0.005
#: Seconds longer that backends over ZeroMQ have to connect anew, because pushes are lost otherwise;
#: on a machine that is very busy they need some. The parent has more patience than that.
BACKEND_SECONDS: Final = 4.0


class Draining:
    """Ends what has stayed in the old node.

    Connections that stay get events until it is their turn, so that their clients do not all come
    back at once. Backends over ZeroMQ are made to connect anew, to the new node; then those that
    push over other ways have time to fall silent, and requests to be answered.

    :param node: the node.
    :param slices: the sessions that have moved.
    :param reactor: for timers.
    :param seconds: in which connections end, and calls are answered.
    :param silence: see :data:`SILENCE_SECONDS`; at most ``seconds`` more are waited for it, and
        :data:`BACKEND_SECONDS` for backends that are still connected.
    :param is_needed: returns whether something may come that no silence of backends rules out, such
        as requests over HTTP that are on their way.
    :param on_released: called once no backend can be connected over ZeroMQ any more, and everything
        of them is published.
    """

    def __init__(
        self,
        node: Parts,
        slices: Slices,
        reactor: Any,
        *,
        seconds: float,
        silence: float = SILENCE_SECONDS,
        is_needed: Callable[[], bool] = lambda: False,
        on_released: Callable[[], object] = lambda: None,
    ) -> None:
        self._websocket = node.websocket
        self._pull = node.pull
        self._slices = slices
        self._reactor = reactor
        self._seconds = seconds
        self._silence = silence
        self._is_needed = is_needed
        self._on_released = on_released
        self._last_push = self._give_up_at = 0.0
        #: Whether no backend can be connected over ZeroMQ any more.
        self._is_released = False
        self._done: Deferred[None] = Deferred()

    def start(self) -> Deferred[None]:
        """Begin; the result fires when nothing is left but what the stream has not sent."""
        self._last_push = now = self._reactor.seconds()
        self._give_up_at = now + self._seconds + max(self._seconds, self._silence)
        staying = list(self._websocket.connections)
        step = self._seconds / max(1, len(staying))
        for number, connection in enumerate(staying):
            self._reactor.callLater(number * step, _end, connection)
        self._release_backends()
        self._reactor.callLater(self._seconds, self._look)
        return self._done

    def _release_backends(self) -> None:
        """Stop listening to backends once none is connected and everything of them is read."""
        self._pull.dismiss_peers()
        self._is_released = self._pull.stop_listening()
        if self._is_released:
            self._on_released()
        elif self._seconds_left() > 0:
            self._reactor.callLater(LOOK_SECONDS, self._release_backends)

    def _seconds_left(self) -> float:
        more = 0.0 if self._is_released else BACKEND_SECONDS
        left: float = self._give_up_at + more - self._reactor.seconds()
        return left

    def on_push(self) -> None:
        """Note that a backend still pushes here."""
        self._last_push = self._reactor.seconds()

    def _look(self) -> None:
        now = self._reactor.seconds()
        quiet = self._silence - (now - self._last_push)
        if not self._is_released or self._is_needed():
            quiet = max(quiet, self._silence / 10)
        left = min(quiet, self._seconds_left())
        if left > 0:
            self._reactor.callLater(left, self._look)
            return
        self._slices.end_calls()
        self._done.callback(None)


def _end(connection: Connection) -> None:
    """End a connection that cannot move, once everything queued for it is sent."""
    connection.end(CloseReason.NOT_MOVED)
