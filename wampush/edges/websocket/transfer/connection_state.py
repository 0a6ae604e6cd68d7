"""Connections that go on in another process: what of them travels, and how they go on there.

Owns: which connections can move, the form of a connection, the order of the steps on both sides.
Must not import: the composition root.

A connection moves with what the client has sent and nobody has read, and with what waits for the
client, from the byte on that the kernel has not taken. There is no state of compression between
two messages, because neither side keeps its context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Any, NamedTuple

from wampush.broker.delivery.catch_up import FOR_NEWCOMERS
from wampush.broker.delivery.chunks import Chunk
from wampush.broker.delivery.waiting import NOTHING_WAITS, Waiting
from wampush.broker.publication import Position
from wampush.broker.transfer.session_transfer import SessionState, session_state
from wampush.edges.websocket.admission import TicketState
from wampush.edges.websocket.compression import Agreement, agreement_of
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.conversation import movable
from wampush.edges.websocket.lifecycle import State
from wampush.edges.websocket.opening_handshake import OpeningHandshake
from wampush.edges.websocket.outboxes import SocketOutbox
from wampush.known_fields import known_fields
from wampush.net import moving_sockets


@unique
class Readiness(Enum):
    """Whether a connection can move."""

    READY = "now"
    #: The client is in the middle of a compressed message, or its handshake is being decided.
    LATER = "later"
    #: It is TLS, an event stream or a component's, or it is ending.
    NEVER = "never"


# Not frozen, which would take a tenth of the time of a move.
@dataclass(slots=True, kw_only=True)
class ConnectionState:
    """One connection, as JSON values. The bytes travel beside it: what is unread, then the chunks.

    :param session: of the client; None while the handshake is not answered.
    :param is_local: whether the client is on this machine, and not a page of another host.
    :param ticket: what the connection counts for.
    :param window_bits: of the compression that was agreed; None for none.
    :param silent: seconds for which the client has not been heard.
    :param unread: bytes of the client.
    :param chunks: bytes of each chunk that waits for the client.
    :param latest: see :class:`~wampush.broker.delivery.waiting.Waiting`.
    :param behind: likewise; epochs and offsets by topic.
    :param stalled: likewise.
    :param shared: likewise.
    """

    session: SessionState | None = None
    is_local: bool = False
    ticket: TicketState | None = None
    window_bits: int | None = None
    silent: float = 0.0
    unread: int = 0
    chunks: Sequence[int] = ()
    latest: Mapping[str, int] = field(default_factory=dict)
    behind: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    stalled: bool = False
    shared: Sequence[int] = ()


class Departure(NamedTuple):
    """A connection on its way.

    :ivar descriptor: to be closed only, once the other process has it.
    :ivar values: of a :class:`ConnectionState`, without those that are its defaults.
    :ivar parts: the bytes that belong to the state.
    """

    descriptor: int
    values: Mapping[str, Any]
    parts: Sequence[Chunk]


def connection_state(values: Mapping[str, Any]) -> ConnectionState:
    """Return the state of a connection as its JSON values say; unknown fields are ignored."""
    found = known_fields(ConnectionState, values)
    if found.get("session") is not None:
        found["session"] = session_state(found["session"])
    if found.get("ticket") is not None:
        found["ticket"] = TicketState(**known_fields(TicketState, found["ticket"]))
    return ConnectionState(**found)


def readiness(connection: Connection) -> Readiness:
    """Return whether a connection can move now."""
    if connection.lifecycle not in (State.CONNECTING, State.OPEN):
        return Readiness.NEVER
    carrier = moving_sockets.carrier_of(connection.transport)
    if carrier is None or connection.outbox is None or connection.outbox.closed:
        return Readiness.NEVER
    if connection.lifecycle is State.CONNECTING:
        stage = connection.stage
        # The address that the PROXY protocol has given would be lost.
        is_whole = carrier is connection.transport
        is_unread = isinstance(stage, OpeningHandshake) and stage.unread() is not None
        return Readiness.READY if is_whole and is_unread else Readiness.LATER
    if movable(connection.conversation) is None:
        return Readiness.NEVER
    return Readiness.LATER if connection.unread() is None else Readiness.READY


def depart(connection: Connection) -> Departure:
    """Take a connection that is ready out of this process; its indexes keep the session.

    Everything that was published before has to be in its outbox.
    """
    outbox, ticket, stage = connection.outbox, connection.ticket, connection.stage
    if connection.lifecycle is State.CONNECTING and isinstance(stage, OpeningHandshake):
        unread = stage.unread() or b""
        descriptor, _ = _detach(connection)
        if outbox is not None:
            outbox.close()
        if ticket is not None:
            ticket.give_back(connection.shared.timer_wheel.seconds)
        connection.leave()
        return Departure(descriptor, {"unread": len(unread)}, [unread])
    conversation = movable(connection.conversation)
    if outbox is None or ticket is None or conversation is None or outbox.closed:
        raise ValueError("this connection is not ready to move")
    unread = connection.unread() or b""
    if ticket.record is not None:
        # They are counted there.
        ticket.record.received -= len(unread)
    values: dict[str, Any] = {
        "session": conversation.snapshot(),
        "ticket": ticket.snapshot(connection.shared.timer_wheel.seconds),
    }
    if conversation.subscriber is not None and conversation.subscriber.is_local:
        values["is_local"] = True
    if (agreement := agreement_of(connection.inflater)) is not None:
        values["window_bits"] = agreement.window_bits
    if silent := connection.silent_seconds():
        values["silent"] = silent
    descriptor, unsent = _detach(connection)
    waiting = outbox.detach(unsent)
    connection.leave()
    if waiting is not NOTHING_WAITS:
        values.update(_values_of(waiting))
    if unread:
        values["unread"] = len(unread)
        return Departure(descriptor, values, [unread, *waiting.chunks])
    return Departure(descriptor, values, waiting.chunks)


def _values_of(waiting: Waiting) -> Mapping[str, Any]:
    return {
        "chunks": [len(each) for each in waiting.chunks],
        "latest": waiting.latest,
        "behind": {
            topic: [(position.epoch, position.offset) for position in positions]
            for topic, positions in waiting.behind.items()
        },
        "stalled": waiting.stalled,
        "shared": waiting.shared,
    }


def _detach(connection: Connection) -> tuple[int, bytes]:
    return moving_sockets.detach(moving_sockets.carrier_of(connection.transport))


class Arrival(NamedTuple):
    """A connection that has come from another process, and does not read yet.

    :ivar connection: the connection.
    :ivar unread: what the client has sent there and nobody has read.
    :ivar requests: messages that have been read and have not taken effect.
    """

    connection: Connection
    unread: bytes
    requests: Sequence[str]

    def begin(self) -> None:
        """Read what the client has sent and sends."""
        connection = self.connection
        if connection.lifecycle is State.CONNECTING:
            connection.makeConnection(connection.transport)
        for text in self.requests:
            if connection.conversation is not None:
                connection.conversation.on_text(text.encode())
        if self.unread:
            connection.dataReceived(self.unread)
        if connection not in connection.shared.read_turns:
            connection.transport.resumeProducing()


def arrive(
    connection: Connection,
    descriptor: int,
    state: ConnectionState,
    body: memoryview,
    reactor: Any,
) -> Arrival:
    """Go on with a connection of another process; it gets events from now on.

    :param connection: a new one.
    :param descriptor: of the socket.
    :param body: the bytes that belong to the state.
    :param reactor: watches the socket.
    :raises OSError: the client is gone; the descriptor is closed.
    """
    shared = connection.shared
    transport = moving_sockets.attach(descriptor, connection, reactor)
    unread = bytes(body[: state.unread]) if state.unread else b""
    session, ticket = state.session, state.ticket
    if session is None or ticket is None:
        return Arrival(connection, unread, ())
    limits, wheel, slow_clients = shared.limits, shared.timer_wheel, shared.fanout.slow_clients
    outbox = SocketOutbox(transport, limits.queue_bytes, shared.backpressure, connection)
    connection.ticket = shared.admission.resume(ticket, wheel.seconds)
    connection.outbox = outbox
    if state.window_bits is not None:
        agreement = Agreement(state.window_bits)
        connection.inflater = agreement.inflater(shared.settings.max_message_bytes)
        outbox.format = agreement.format(shared.settings.compression_min_bytes)
    waiting = _waiting_of(state, body)
    waits = waiting is not NOTHING_WAITS and outbox.restore(waiting)
    shared.on_made(connection)
    route = shared.rules.routes.resuming
    conversation = route.resume(connection, outbox, session, is_local=state.is_local)
    if conversation.subscriber is not None:
        for topic, positions in waiting.behind.items():
            for position in positions:
                slow_clients.read_later(conversation.subscriber, topic, position)
    connection.resume(conversation, state.silent)
    if waits:
        outbox.resume()
    return Arrival(connection, unread, session.requests)


def _waiting_of(state: ConnectionState, body: memoryview) -> Waiting:
    if not (state.chunks or state.behind):
        return NOTHING_WAITS
    chunks: list[Chunk] = []
    begin = state.unread
    for size in state.chunks:
        chunks.append(bytes(body[begin : begin + size]))
        begin += size
    behind = {topic: [*map(_position, each)] for topic, each in state.behind.items()}
    return Waiting(chunks, state.latest, behind, state.stalled, state.shared)


def _position(values: Sequence[Any]) -> Position:
    position = Position(*values)
    return FOR_NEWCOMERS if position == FOR_NEWCOMERS else position
