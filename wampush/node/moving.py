"""A node that replaces another one, or is replaced.

Owns: what stops and begins with a hand-over: listeners, what ``/readyz`` says, the end of the old
node. What moves, and how, is decided in ``handover``.
Must not import: ``node.service``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.node.handover import HandedOver, HandingOver, HandOverFailed, TakenOver, TakingOver
from wampush.node.under_parent.link import Handlers

if TYPE_CHECKING:
    import socket

    from wampush.node.garbage_collection import GarbageCollection
    from wampush.node.handover.node_parts import Parts
    from wampush.node.listening import ListeningSockets
    from wampush.node.monitoring.serving import Serving
    from wampush.node.under_parent.link import ParentLink

_log = Logger(namespace="wampush.node")

#: Seconds for late answers where no connection stays in the old node.
SHORT_DRAIN: Final = 1.0


class Moving:
    """Carries out a hand-over for a node.

    :param node: the node.
    :param sockets: what it listens on.
    :param link: to the parent.
    :param reactor: for timers.
    :param serving: what ``/readyz`` says.
    :param garbage_collection: is paused meanwhile, until the new node serves.
    :param drain: seconds for connections that cannot move.
    """

    def __init__(
        self,
        node: Parts,
        sockets: ListeningSockets,
        link: ParentLink,
        reactor: Any,
        *,
        serving: Serving,
        garbage_collection: GarbageCollection,
        drain: float,
    ) -> None:
        self._node = node
        self._sockets = sockets
        self._link = link
        self._reactor = reactor
        self._serving = serving
        self._garbage_collection = garbage_collection
        self._drain = drain
        self._taking: TakingOver | None = None

    def handlers(
        self,
        serve: Callable[..., object],
        reload: Callable[[], object],
        stop: Callable[[], object],
    ) -> Handlers:
        """Return what the node does when its parent says so.

        :param serve: begins to serve; takes what was taken over, for people to read.
        :param reload: see :class:`Handlers`.
        :param stop: ends the node; may be called when it is ending.
        """
        return Handlers(
            serve=serve,
            hand_over=lambda stream: self.hand_over(stream, stop),
            take_over=lambda stream: self.take_over(stream, serve),
            reload=reload,
            note_outcome=self._note_outcome,
            stop=stop,
        )

    def _note_outcome(self, kind: str, is_done: bool) -> None:
        self._node.replacements.note(kind, is_done=is_done)

    def hand_over(self, stream: socket.socket, on_end: Callable[[], object]) -> None:
        """Hand the sessions over.

        :param stream: leads to the other node.
        :param on_end: ends this node, when nothing is left for it to do.
        """
        _log.info("handing over to another process")
        self._sockets.pause_websocket()
        self._garbage_collection.pause()

        def before_end() -> None:
            # Until then, pushes over HTTP are published here; they need not wait for sessions.
            self._serving.drain()
            self._sockets.pause_http()

        handing = HandingOver(stream, self._node, self._reactor, before_end)

        def on_handed_over(result: HandedOver) -> None:
            seconds = self._drain if result.staying else min(self._drain, SHORT_DRAIN)
            _log.info(
                "handed over: {sessions} sessions and {publications} publications in "
                "{seconds:.2f} s; {staying} connections cannot move and end within {drain:g} s",
                sessions=result.sessions,
                publications=result.publications,
                seconds=result.seconds,
                staying=result.staying,
                drain=seconds,
            )
            self._link.handed_over(seconds)
            drained = handing.drain(seconds, is_needed=self._is_needed)
            drained.addBoth(lambda _: on_end())

        def on_failed(failure: Failure) -> None:
            error = failure.value
            goes_on = isinstance(error, HandOverFailed) and error.goes_on
            if isinstance(error, HandOverFailed):
                self._node.replacements.note_sessions(moved=0, not_moved=error.lost)
            _log.error("the hand-over failed: {error}", error=str(error))
            self._link.hand_over_failed(str(error), goes_on=goes_on)
            if goes_on:
                self._garbage_collection.resume()
                if not self._serving.takes_more():
                    self._serving.resume()
                self._sockets.accept()
            else:
                on_end()

        handing.start().addCallbacks(on_handed_over, on_failed)

    def take_over(self, stream: socket.socket, on_taken: Callable[[str], object]) -> None:
        """Take the sessions of another node over.

        :param stream: leads to the other node.
        :param on_taken: takes what was taken over, for people to read, and begins to serve.
        """

        def on_taken_over(result: TakenOver) -> None:
            on_taken(
                f"{result.sessions} sessions and {result.publications} publications taken over in "
                f"{result.seconds:.2f} s, {result.lost} sessions lost"
            )

        def on_failed(failure: Failure) -> None:
            self._link.failed(str(failure.value))

        self._garbage_collection.pause()
        self._taking = TakingOver(stream, self._node, self._reactor)
        self._taking.start().addCallbacks(on_taken_over, on_failed)

    def _is_needed(self) -> bool:
        """Return whether requests are on their way, or the node before this one still forwards."""
        is_fed = self._taking is not None and self._taking.is_fed
        return is_fed or self._sockets.has_requests()
