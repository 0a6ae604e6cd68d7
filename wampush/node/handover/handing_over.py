"""The old node: it hands over what it knows and the sessions it has.

Owns: the order of the records, the cut of each session, what happens if the stream breaks.
Must not import: ``node.service``.

The old node goes on as the broker of all sessions until :data:`Kind.END`. A session moves within
one reactor turn: what was published before is in its outbox by then, and what is published after
goes to the other node as a record after that of the session. So the place of a session in the
stream is its cut. A session that has moved stays in all indexes, with a closed outbox; see
``session_transfer``.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush import __version__
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.transfer.session_transfer import snapshot_node
from wampush.node.handover.draining import SILENCE_SECONDS, Draining
from wampush.node.handover.handed_over import HandedOver, HandOverFailed
from wampush.node.handover.known_pushes import KnownPushes
from wampush.node.handover.phases import MOVES, Phase
from wampush.node.handover.publications import history_values, publication_of, publication_values
from wampush.node.handover.records import VERSION, Kind, Record
from wampush.node.handover.slices import SLICE_BYTES, Slices
from wampush.node.handover.stream import Listener, RecordStream
from wampush.state_machine import moved

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from wampush.broker.delivery.chunks import Chunk
    from wampush.broker.ledger import Source
    from wampush.broker.publication import Publication
    from wampush.node.handover.node_parts import Parts

_log = Logger(namespace="wampush.handover")

#: Seconds that handshakes and compressed messages have to be completed.
PATIENCE: Final = 1.0
#: Seconds between two looks at these.
LOOK_SECONDS: Final = 0.02
#: Seconds for which the cut waits for the outcomes of publications under way; the other process
#: holds events back meanwhile.
OUTCOME_SECONDS: Final = 0.5
#: Bytes that may wait for the other node before the sources of pushes pause.
BACKLOG_BYTES: Final = 8 * 1024 * 1024
#: Sessions that are ended in one turn when the other node is gone.
_LOST_PER_TURN: Final = 500


class HandingOver(Listener):
    """Hands a node over to another one.

    The node must not accept WebSocket clients from now on.

    :param stream_socket: leads to the other node; closed at the end.
    :param node: the node.
    :param reactor: for timers, and to watch the stream.
    :param before_end: called before the last message to the other node, which takes all requests
        from then on.
    """

    def __init__(
        self,
        stream_socket: socket.socket,
        node: Parts,
        reactor: Any,
        before_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._node = node
        self._before_end = before_end
        self._broker = node.broker
        self._backpressure = node.backpressure
        self._websocket = node.websocket
        self._backplane = node.backplane
        self._reactor = reactor
        self._stream = RecordStream(stream_socket, reactor, self)
        self._slices = Slices(node, self._send)
        self._known_pushes = KnownPushes(node.acknowledged_pushes)
        self._phase = Phase.NEW
        self._begun = self._deadline = 0.0
        # Topics whose histories the other node does not have yet.
        self._histories: dict[str, None] = {}
        self._publications = 0
        self._ids_follow = False
        self._next_step: Any = None
        self._stop_watching: Callable[[], None] = _nothing
        self._done: Deferred[HandedOver] = Deferred()
        self._draining: Draining | None = None
        # Fires when everything is sent, after the old node has nothing left to do.
        self._drained: Deferred[None] | None = None

    def start(self) -> Deferred[HandedOver]:
        """Begin.

        :returns: fires when the other node has everything and publishes from now on; what is
            published here is forwarded. Fails with HandOverFailed if the stream breaks before.
        """
        self._move(Phase.HISTORIES)
        self._begun = self._reactor.seconds()
        self._stream.start()
        self._stream.send(Kind.HELLO, {"version": VERSION, "wampush": __version__})
        history = self._history
        if history is not None:
            self._histories = dict.fromkeys(history.topics)
        self._stop_watching = self._broker.watch(self._on_publication)
        self._schedule(0)
        return self._done

    def drain(
        self,
        seconds: float,
        silence: float = SILENCE_SECONDS,
        is_needed: Callable[[], bool] = lambda: False,
    ) -> Deferred[None]:
        """End what cannot move; call it when the other node has everything.

        :param seconds: see :class:`Draining`.
        :param silence: likewise.
        :param is_needed: likewise.
        :returns: fires when nothing is left to be done here, and the stream has ended.
        """
        self._draining = Draining(
            self._node,
            self._slices,
            self._reactor,
            seconds=seconds,
            silence=silence,
            is_needed=is_needed,
            on_released=self._on_released,
        )
        return self._draining.start().addCallback(lambda _: self._end_pulling())

    def _on_released(self) -> None:
        self._send_late_ids()
        self._send(Kind.RELEASED, {})

    def _end_pulling(self) -> Deferred[None]:
        # What backends have sent until now is forwarded, too.
        self._node.pull.drain()
        self._send_late_ids()
        return self._close_when_sent()

    def _close_when_sent(self) -> Deferred[None]:
        self._drained = Deferred()
        drained = self._drained
        if not self._stream.backlog:
            self.close()
        return drained

    def close(self) -> None:
        """End the stream: nothing is forwarded any more."""
        if self._phase is Phase.FORWARDING:
            self._move(Phase.CLOSED)
            self._stream.close()
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)

    @property
    def backlog(self) -> int:
        """Bytes that wait for the other node."""
        return self._stream.backlog

    # The stream.

    def on_record(self, record: Record, descriptors: Callable[[int], Sequence[int]]) -> None:  # noqa: ARG002 - none come
        """Take a record of the other node."""
        if record.kind == Kind.PUBLICATION and self._phase is Phase.FORWARDING:
            self._broker.follow(publication_of(record))
        elif record.kind == Kind.TAKEN and self._phase is Phase.ENDING:
            self._move(Phase.FORWARDING)
            self._stop_watching()
            if self._backplane is not None:
                self._backplane.cut.leave()
            seconds = self._reactor.seconds() - self._begun
            _log.info(
                "handed over {sessions} sessions in {seconds:.2f} s, with {publications} "
                "publications meanwhile; {staying} connections stay",
                sessions=len(self._slices),
                seconds=seconds,
                publications=self._publications,
                staying=len(self._websocket.connections),
            )
            self._done.callback(
                HandedOver(
                    sessions=len(self._slices),
                    staying=len(self._websocket.connections),
                    publications=self._publications,
                    seconds=seconds,
                )
            )

    def on_drained(self) -> None:
        """Go on: the other node has got what was sent."""
        self._backpressure.release(Hold.HANDING_OVER)
        if self._phase in (Phase.HISTORIES, Phase.SESSIONS):
            self._schedule(0)
        elif self._drained is not None:
            self.close()

    def on_broken(self, problem: str) -> None:
        """The other node is gone: go on with the sessions that are still here."""
        if self._phase is Phase.FORWARDING:
            _log.warn(
                "the new process takes no pushes any more, those that still come here are lost: "
                "{problem}",
                problem=problem,
            )
            self._move(Phase.CLOSED)
            self.close()
            return
        goes_on = self._phase is not Phase.ENDING
        self._move(Phase.BROKEN)
        self._stop_watching()
        if self._next_step is not None and self._next_step.active():
            self._next_step.cancel()
        self._backpressure.release(Hold.HANDING_OVER)
        self._broker.divert(None)
        failed = HandOverFailed(problem, len(self._slices), goes_on=goes_on)
        _log.error("the hand-over has failed: {problem}", problem=str(failed))
        self._lose_moved()
        self._done.errback(Failure(failed))

    def _lose_moved(self) -> None:
        """End the sessions that had moved, some in each turn."""
        if self._slices.lose(_LOST_PER_TURN):
            self._reactor.callLater(0, self._lose_moved)

    def _send(self, kind: Kind, values: object, parts: Sequence[Chunk] = ()) -> None:
        self._stream.send(kind, values, parts)
        if self._stream.backlog > BACKLOG_BYTES:
            self._backpressure.hold(Hold.HANDING_OVER)

    # Publications.

    def _on_publication(self, publication: Publication) -> None:
        if publication.topic in self._histories:
            # It goes with the history; no session has moved before all histories have.
            return
        if self._phase is Phase.HISTORIES and publication.position is None:
            return
        self._publications += 1
        self._send(Kind.PUBLICATION, publication_values(publication), (publication.payload,))

    def _on_late_push(self, source: Source | None, publication: Publication) -> None:
        if self._draining is not None:
            self._draining.on_push()
        values = publication_values(publication)
        values["source"] = None if source is None else source.value
        self._send(Kind.PUSH, values, (publication.payload,))
        if not self._ids_follow:
            self._ids_follow = True
            self._reactor.callLater(0, self._send_late_ids)

    def _send_late_ids(self) -> None:
        """Send the ids of late pushes, which their senders may send again to the other node."""
        self._ids_follow = False
        is_told = self._phase in (Phase.ENDING, Phase.FORWARDING)
        if is_told and (known := self._known_pushes.take_rest()):
            self._send(Kind.KNOWN_PUSHES, {"pushes": known})

    # Steps.

    def _schedule(self, seconds: float) -> None:
        if self._next_step is None or not self._next_step.active():
            self._next_step = self._reactor.callLater(seconds, self._step)

    def _step(self) -> None:
        self._next_step = None
        if self._stream.backlog:
            # on_drained comes back here, so that only one slice waits in memory.
            return
        try:
            if self._phase is Phase.HISTORIES:
                self._send_histories()
            elif self._phase is Phase.SESSIONS:
                self._send_slice()
        except Exception as error:  # noqa: BLE001 - mistakes of this program
            # Otherwise all clients would wait until the parent has no more patience.
            _log.failure("a step of the hand-over has failed")
            self._stream.close()
            self.on_broken(f"{type(error).__name__}: {error}")

    @property
    def _history(self) -> Any:
        return None if self._broker.replays is None else self._broker.replays.history

    def _send_histories(self) -> None:
        sent = 0
        while self._histories and sent < SLICE_BYTES:
            topic = next(iter(self._histories))
            del self._histories[topic]
            kept = self._history.snapshot(topic)
            if kept is not None:
                values, parts = history_values(kept)
                self._stream.send(Kind.HISTORY, values, parts)
                sent = self._stream.backlog
        if self._histories:
            return
        known = self._known_pushes.take()
        if known:
            self._stream.send(Kind.KNOWN_PUSHES, {"pushes": known})
            return
        self._move(Phase.SESSIONS)
        self._deadline = self._reactor.seconds() + PATIENCE
        if not self._stream.backlog:
            self._schedule(0)

    def _send_slice(self) -> None:
        """Hand over as many sessions as one message takes; end when there are none."""
        taken = self._slices.take()
        if taken is None:
            self._slices.look()
            taken = self._slices.take()
        if taken is None and self._slices.may_come and self._reactor.seconds() < self._deadline:
            self._schedule(LOOK_SECONDS)
        elif taken is None:
            self._end()
        else:
            values = {"sessions": taken.states}
            self._stream.send(Kind.SESSIONS, values, taken.parts, taken.descriptors)

    def _end(self) -> None:
        """Send the rest; the other node publishes from now on."""
        broker = self._broker
        self._before_end()
        self._slices.end_late()
        if broker.presence is not None:
            broker.presence.publish_pending()
        token = self._expect_cut()
        if not token:
            # Closes the database, which the other node opens next.
            broker.stop()
        broker.fanout.end_batch()
        self._stream.send(Kind.KNOWN_PUSHES, {"pushes": self._known_pushes.take_rest()})
        values = {
            "node": snapshot_node(broker, self._slices.is_moved),
            "replacements": self._node.replacements.snapshot(),
            "ledger": broker.ledger.snapshot(),
            "budgets": self._websocket.snapshot_budgets(),
            "sessions": len(self._slices),
            "staying": len(self._websocket.connections),
            "cut": token,
            "releases": True,
        }
        if broker.presence is not None:
            broker.presence.stop()
        if not token:
            self._stop_watching()
        broker.divert(self._on_late_push)
        self._move(Phase.ENDING)
        self._stream.send(Kind.END, values)

    def _expect_cut(self) -> str:
        """Go on forwarding what the bus brings, until the other node gets it as well.

        :returns: names the marker up to which this is so; "" without a bus.
        """
        backplane = self._backplane
        if backplane is None or not backplane.bus.is_joined:
            return ""
        token = token_hex(8)
        backplane.cut.expect(token, self._on_cut)
        return token

    def _on_cut(self) -> None:
        if self._phase is Phase.ENDING:
            self._stop_watching()
            self._send_cut(self._reactor.seconds() + OUTCOME_SECONDS)

    def _send_cut(self, until: float) -> None:
        """Send the cut, once publications that were under way at END have been counted.

        :param until: when it is sent in any case.
        """
        backplane = self._backplane
        if self._phase is not Phase.ENDING or backplane is None:
            return
        if backplane.without_outcome and self._reactor.seconds() < until:
            self._next_step = self._reactor.callLater(LOOK_SECONDS, self._send_cut, until)
            return
        self._send_late_ids()
        self._stream.send(Kind.CUT, {"ledger": self._broker.ledger.snapshot()})

    def _move(self, phase: Phase) -> None:
        self._phase = moved(MOVES, self._phase, phase)


def _nothing() -> None:
    """Do nothing: nothing is watched yet."""
