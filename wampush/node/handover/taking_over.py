"""The new node: it takes over what another one knows, and the sessions that it has.

Owns: what each record does here, and the begin of this node's own work.
Must not import: ``node.service``.

Until :data:`Kind.END` this node publishes nothing, assigns no positions and reads no client; it
only delivers what the other one has published to the sessions that have arrived.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.broker.identity import identity_from_json
from wampush.broker.ledger import LedgerState, Source
from wampush.broker.transfer.session_transfer import node_state, resume_node
from wampush.edges.websocket.transfer.connection_state import (
    Arrival,
    ConnectionState,
    connection_state,
)
from wampush.errors import CloseReason, OperatorError, PublicationRefused
from wampush.known_fields import known_fields
from wampush.node.handover.held_sources import HeldSources
from wampush.node.handover.publications import history_of, publication_of, publication_values
from wampush.node.handover.records import VERSION, Kind, Record, StreamBroken
from wampush.node.handover.stream import Listener, RecordStream
from wampush.node.monitoring.replacements import ReplacementCounts

if TYPE_CHECKING:
    import socket

    from wampush.broker.publication import Publication
    from wampush.node.handover.node_parts import Parts

_log = Logger(namespace="wampush.handover")

#: Seconds for both nodes to agree on what is whose business at the bus. The link is there by then,
#: or nearly; the parent has more patience than that.
CUT_SECONDS: Final = 3.0
#: What has to come before this node may begin.
_MARKER: Final = "the marker at the bus"
_OLD_PROCESS: Final = "the old process's record about it"
#: Connections that begin to be read in one reactor turn.
BEGIN_PER_TURN: Final = 500


class TakeOverFailed(StreamBroken):
    """The other node has not sent everything; what it had handed over is lost.

    :param problem: why.
    :param lost: sessions that had moved.
    """

    def __init__(self, problem: str, lost: int) -> None:
        self.lost = lost
        super().__init__(f"{problem}; {lost} sessions had moved and are lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """What this node has got.

    :param sessions: that go on here.
    :param lost: sessions whose clients had gone meanwhile.
    :param publications: that were published meanwhile.
    :param seconds: that it took.
    """

    sessions: int
    lost: int
    publications: int
    seconds: float


class TakingOver(Listener):
    """Takes a node over.

    Neither this node's listeners nor its sources may be open before it has everything.

    :param stream_socket: leads to the other node.
    :param node: this node, without sessions.
    :param reactor: for turns, and to watch the stream and the sessions.
    """

    def __init__(self, stream_socket: socket.socket, node: Parts, reactor: Any) -> None:
        self._broker = node.broker
        self._backplane = node.backplane
        self._requests = node.requests
        self._websocket = node.websocket
        self._open_journal = node.open_journal
        self._replacements = node.replacements
        self._pushes = node.acknowledged_pushes
        self._reactor = reactor
        self._stream = RecordStream(stream_socket, reactor, self)
        self._backpressure = node.backpressure
        self._backpressure.call_when_ready(self._on_ready)
        self._arrivals: deque[Arrival] = deque()
        # What this node has wanted to publish before it may.
        self._own: list[tuple[Source | None, Publication]] = []
        self._sessions = self._lost = self._publications = 0
        self._begun = 0.0
        self._is_greeted = self._has_everything = self._is_over = False
        self._done: Deferred[TakenOver] = Deferred()
        self._stop_watching: Callable[[], None] = _nothing
        # What the other one knows, once it has sent it.
        self._end: Record | None = None
        self._patience: Any = None
        self._sources = HeldSources(node.backpressure, reactor)
        # What is missing before it can begin.
        self._awaited: set[str] = set()
        self._handlers: Final[Mapping[int, Callable[[Record], None]]] = {
            Kind.HELLO: self._on_hello,
            Kind.HISTORY: self._on_history,
            Kind.PUBLICATION: self._on_publication,
            Kind.FRAME: self._on_frame,
            Kind.IDENTITY: self._on_identity,
            Kind.END_SESSION: self._on_end_session,
            Kind.END: self._on_end,
            Kind.CUT: self._on_cut,
            Kind.RELEASED: lambda _: self._sources.release(),
            Kind.PUSH: self._on_push,
            Kind.KNOWN_PUSHES: self._on_known_pushes,
        }

    def start(self) -> Deferred[TakenOver]:
        """Begin.

        :returns: fires when this node has everything and may accept clients and read its sources.
            Fails with TakeOverFailed if the stream breaks before.
        """
        self._begun = self._reactor.seconds()
        self._broker.divert(self._keep_own)
        if self._broker.presence is not None:
            self._broker.presence.hold()
        if self._backplane is not None:
            # It follows the topics of the sessions as these arrive.
            self._backplane.cut.begin()
            self._backplane.start()
        self._stream.start()
        return self._done

    @property
    def is_fed(self) -> bool:
        """Whether the other node, which has sent everything, still forwards what comes to it."""
        return self._has_everything and not self._is_over

    def close(self) -> None:
        """End the stream: nothing more is taken."""
        self._stream.close()

    # The stream.

    def on_record(self, record: Record, descriptors: Callable[[int], Sequence[int]]) -> None:
        """Take a record; one of an unknown kind is ignored."""
        if not self._is_greeted and record.kind != Kind.HELLO:
            raise StreamBroken("the first record is not HELLO")
        if record.kind == Kind.SESSIONS:
            self._on_sessions(record, descriptors)
            return
        handler = self._handlers.get(record.kind)
        if handler is not None:
            handler(record)
        if self._backpressure.clients_behind:
            # As any source of pushes: the other node notices when much waits for this one.
            self._stream.pause()

    def _on_ready(self) -> None:
        if not self._backpressure.clients_behind:
            self._stream.resume()

    def on_drained(self) -> None:
        """Do nothing: little is sent."""

    def on_broken(self, problem: str) -> None:
        """The other node is gone."""
        self._is_over = True
        if self._has_everything:
            self._stop_watching()
            self._sources.release()
            _log.info("the old process forwards nothing any more: {problem}", problem=problem)
            return
        for arrival in self._arrivals:
            arrival.connection.drop(CloseReason.MOVE_FAILED)
        self._end = None
        self._stop_waiting()
        self._arrivals.clear()
        self._done.errback(Failure(TakeOverFailed(problem, self._sessions)))

    def _on_hello(self, record: Record) -> None:
        version = record.values.get("version")
        if version != VERSION:
            raise StreamBroken(f"it writes records of version {version}; this one reads {VERSION}")
        self._is_greeted = True

    def _on_history(self, record: Record) -> None:
        history = self._history
        if history is not None:
            history.take(history_of(record))

    @property
    def _history(self) -> Any:
        return None if self._broker.replays is None else self._broker.replays.history

    def _on_known_pushes(self, record: Record) -> None:
        for values in record.values.get("pushes") or ():
            self._pushes.restore_known(values)

    def _on_publication(self, record: Record) -> None:
        self._publications += 1
        self._broker.follow(publication_of(record))

    def _on_sessions(self, record: Record, descriptors: Callable[[int], Sequence[int]]) -> None:
        """Take sessions; the batch of what was published before must not reach them."""
        states = record.values.get("sessions") or []
        found = deque(descriptors(len(states)))
        body, begin = record.body, 0
        self._broker.fanout.end_batch()
        try:
            for values in states:
                state = connection_state(values)
                end = begin + state.unread + sum(state.chunks)
                self._arrive(found.popleft(), state, body[begin:end])
                begin = end
        finally:
            for each in found:
                os.close(each)

    def _arrive(self, descriptor: int, state: ConnectionState, body: memoryview) -> None:
        try:
            arrival = self._websocket.arrive(descriptor, state, body)
        except OSError:
            # The client has gone while it was on its way.
            self._lost += 1
            address = "" if state.ticket is None else state.ticket.address
            self._broker.ledger.end(CloseReason.PEER_LOST, address)
            return
        self._sessions += arrival.connection.conversation is not None
        self._arrivals.append(arrival)

    def _on_frame(self, record: Record) -> None:
        subscriber = self._broker.sessions.get(record.values.get("session", ""))
        if subscriber is not None:
            self._broker.fanout.send(subscriber.outbox, bytes(record.body))

    def _on_identity(self, record: Record) -> None:
        subscriber = self._broker.sessions.get(record.values.get("session", ""))
        if subscriber is not None:
            self._requests.become(subscriber, identity_from_json(record.values.get("identity")))

    def _on_end_session(self, record: Record) -> None:
        subscriber = self._broker.sessions.get(record.values.get("session", ""))
        if subscriber is not None and subscriber.peer is not None:
            code = record.values.get("reason")
            known = {each.code: each for each in CloseReason}
            reason = known.get(str(code), CloseReason.ENDED_BY_OPERATOR)
            subscriber.peer.end(reason, str(record.values.get("detail", "")))

    # The begin of this node's own work.

    def _on_end(self, record: Record) -> None:
        """Begin; but first, both nodes have to agree on what is whose business at the bus."""
        try:
            self._open_journal()
        except OperatorError as error:
            raise StreamBroken(str(error)) from error
        self._end = record
        token = str(record.values.get("cut") or "")
        if self._backplane is None or not token:
            self._go_on()
            return
        self._awaited = {_MARKER, _OLD_PROCESS}
        self._patience = self._reactor.callLater(CUT_SECONDS, self._on_no_cut, "in time")
        self._backplane.cut.mark(
            token,
            on_reached=lambda: self._on_cut_at(_MARKER),
            on_full=lambda: self._on_no_cut("before too much waited"),
        )

    def _on_cut(self, record: Record) -> None:
        if self._end is not None and "ledger" in record.values:
            values = {**self._end.values, "ledger": record.values["ledger"]}
            self._end = self._end._replace(values=values)
        self._on_cut_at(_OLD_PROCESS)

    def _on_cut_at(self, place: str) -> None:
        self._awaited.discard(place)
        if not self._awaited:
            self._go_on()

    def _on_no_cut(self, when: str) -> None:
        _log.warn(
            "{missing} has not come {when}; events of topics without history may be lost, double "
            "or in another order at this moment",
            missing=" and ".join(sorted(self._awaited)),
            when=when,
        )
        self._go_on()

    def _stop_waiting(self) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()

    def _go_on(self) -> None:
        record, self._end = self._end, None
        if record is None:
            return
        self._stop_waiting()
        values, broker = record.values, self._broker
        self._has_everything = True
        broker.ledger.resume(LedgerState(**known_fields(LedgerState, values.get("ledger") or {})))
        counts = known_fields(ReplacementCounts, values.get("replacements") or {})
        self._replacements.resume(ReplacementCounts(**counts))
        not_moved = self._lost + int(values.get("staying") or 0)
        self._replacements.note_sessions(moved=self._sessions, not_moved=not_moved)
        self._websocket.restore_budgets(values.get("budgets") or ())
        resume_node(broker, node_state(values.get("node") or {}))
        broker.divert(None)
        if values.get("releases"):
            self._sources.hold()
        self._stream.send(Kind.TAKEN, {"sessions": self._sessions, "lost": self._lost})
        if values.get("staying"):
            self._stop_watching = broker.watch(self._tell)
        if self._backplane is not None:
            self._backplane.cut.open()
        own, self._own = self._own, []
        for source, publication in own:
            self._publish(source, publication)
        self._begin_some()
        _log.info(
            "took over {sessions} sessions; {lost} had lost their clients on the way",
            sessions=self._sessions,
            lost=self._lost,
        )
        self._done.callback(
            TakenOver(
                sessions=self._sessions,
                lost=self._lost,
                publications=self._publications,
                seconds=self._reactor.seconds() - self._begun,
            )
        )

    def _tell(self, publication: Publication) -> None:
        """Have the other node deliver a publication to the sessions that stay there."""
        values = publication_values(publication)
        self._stream.send(Kind.PUBLICATION, values, (publication.payload,))

    def _begin_some(self) -> None:
        for _ in range(min(BEGIN_PER_TURN, len(self._arrivals))):
            arrival = self._arrivals.popleft()
            if arrival.connection.transport.connected:
                _begin(arrival)
        if self._arrivals:
            self._reactor.callLater(0, self._begin_some)

    def _keep_own(self, source: Source | None, publication: Publication) -> None:
        self._own.append((source, publication))

    def _on_push(self, record: Record) -> None:
        known = {source.value: source for source in Source}
        source = known.get(str(record.values.get("source")))
        self._publish(source, publication_of(record))

    def _publish(self, source: Source | None, publication: Publication) -> None:
        try:
            if source is None:
                self._broker.publish(publication)
            else:
                self._broker.push(source, publication)
        except PublicationRefused as error:
            origin = f"topic {publication.topic}"
            self._broker.ledger.refuse(source or Source.CLIENT, origin, error, publication.payload)


def _begin(arrival: Arrival) -> None:
    try:
        arrival.begin()
    except Exception:  # noqa: BLE001 - mistakes of this program
        # As Twisted does with its connections; the others must not wait for ever.
        _log.failure("a session that has moved cannot go on")
        arrival.connection.transport.abortConnection()


def _nothing() -> None:
    """Do nothing: nothing is watched yet."""
