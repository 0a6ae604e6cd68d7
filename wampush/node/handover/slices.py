"""The sessions that move: which one is next, and what becomes of those that have.

Owns: slices, the sessions that have moved, and what is done for them here afterwards.
Must not import: ``node.service``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from wampush.edges.websocket.lifecycle import State
from wampush.edges.websocket.opening_handshake import OpeningHandshake
from wampush.edges.websocket.transfer.connection_state import Readiness, depart, readiness
from wampush.errors import CloseReason
from wampush.node.handover.moved_peer import MovedPeer
from wampush.node.handover.records import Kind
from wampush.wamp.uris import ERROR_UNAVAILABLE

if TYPE_CHECKING:
    from wampush.broker.delivery.chunks import Chunk
    from wampush.broker.subscriber import Subscriber
    from wampush.edges.websocket.connection import Connection
    from wampush.node.handover.node_parts import Parts

#: Sessions in one slice; fewer than descriptors in a message, because events for sessions that have
#: moved wait until both processes have dealt with two or three slices.
SLICE_SESSIONS: Final = 128
#: Bytes that wait for the clients of a slice, about.
SLICE_BYTES: Final = 1024 * 1024

Send = Callable[[Kind, object, "Sequence[Chunk]"], None]
"""Sends a record with this header and body."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Sessions that have left in one turn.

    :param states: the values of a :class:`.ConnectionState` for each.
    :param parts: the bytes that belong to the states.
    :param descriptors: one for each.
    """

    states: list[Mapping[str, Any]]
    parts: list[Chunk]
    descriptors: list[int]


class Slices:
    """Takes the sessions out of a node.

    :param node: the node.
    :param send: sends records about sessions that have moved.
    :param most: sessions in one slice.
    """

    def __init__(self, node: Parts, send: Send, most: int = SLICE_SESSIONS) -> None:
        self._broker = node.broker
        self._requests = node.requests
        self._websocket = node.websocket
        self._send = send
        self._most = most
        self._waiting: list[Connection] = []
        self._late: list[Connection] = []
        self._moved: dict[str, Connection] = {}

    def __len__(self) -> int:
        return len(self._moved)

    def is_moved(self, subscriber: Subscriber) -> bool:
        """Return whether the other node has a session."""
        return subscriber.session_id in self._moved

    def look(self) -> None:
        """Let all connections have a turn in :meth:`take`, which finds out which can move."""
        self._waiting, self._late = list(self._websocket.connections), []

    @property
    def may_come(self) -> bool:
        """Whether sessions that could not move in their turn may be able to later."""
        return bool(self._late)

    def take(self) -> Slice | None:
        """Take out the next sessions that can move; None if there are none."""
        # What was published before is in the outboxes of all sessions from here on.
        self._broker.fanout.end_batch()
        taken = Slice([], [], [])
        size = 0
        while len(taken.states) < self._most and size < SLICE_BYTES:
            connection = self._next()
            if connection is None:
                break
            departure = depart(connection)
            self._note(connection)
            taken.states.append(departure.values)
            taken.descriptors.append(departure.descriptor)
            if departure.parts:
                taken.parts.extend(departure.parts)
                size += sum(map(len, departure.parts))
        return taken if taken.states else None

    def end_late(self) -> None:
        """End the connections that were not able to move in time."""
        for connection in self._late:
            stage = connection.stage
            if connection.lifecycle is State.CONNECTING and isinstance(stage, OpeningHandshake):
                stage.refuse(CloseReason.SHUTTING_DOWN)
            else:
                connection.drop(CloseReason.NOT_MOVED, "a message was not complete in time")
        self._late = []

    def lose(self, most: int) -> bool:
        """End sessions that have moved here as well: the other node is gone.

        :param most: how many at once.
        :returns: whether there are more.
        """
        self._broker.fanout.forget_moved()
        for session_id in list(self._moved)[:most]:
            connection = self._moved.pop(session_id)
            self._broker.ledger.end(CloseReason.MOVE_FAILED, connection.address)
            if connection.ticket is not None:
                connection.ticket.give_back(self._websocket.timer_wheel.seconds)
            subscriber = self._broker.sessions.get(session_id)
            if subscriber is not None:
                self._requests.on_lost(subscriber)
        return bool(self._moved)

    def end_calls(self) -> None:
        """Answer the calls of moved sessions that the application has not answered."""
        for session_id in self._moved:
            subscriber = self._broker.sessions.get(session_id)
            pending = None if subscriber is None else subscriber.pending
            if subscriber is None or pending is None:
                continue
            for call_id in pending.open_calls:
                text = "the server was replaced before the application answered"
                error = subscriber.session.error(call_id, ERROR_UNAVAILABLE, text)
                self._broker.fanout.reply(subscriber.outbox, error)
            pending.open_calls.clear()

    def _next(self) -> Connection | None:
        while self._waiting:
            connection = self._waiting.pop()
            ready = readiness(connection)
            if ready is Readiness.READY and (outbox := connection.outbox) is not None:
                self._broker.fanout.flush_one(outbox)
                if not outbox.closed:
                    return connection
            elif ready is Readiness.LATER:
                self._late.append(connection)
        return None

    def _note(self, connection: Connection) -> None:
        conversation, outbox = connection.conversation, connection.outbox
        subscriber = None if conversation is None else conversation.subscriber
        if subscriber is None or outbox is None:
            return
        session_id = subscriber.session_id
        self._moved[session_id] = connection
        subscriber.peer = MovedPeer(subscriber.peer, session_id, self._tell)
        self._broker.fanout.forward(outbox, partial(self._forward, session_id))

    def _tell(self, kind: Kind, values: object) -> None:
        self._send(kind, values, ())

    def _forward(self, session_id: str, frame: bytes) -> None:
        self._send(Kind.FRAME, {"session": session_id}, (frame,))
