"""The states of a Redis source, of its connection, and of reading from it.

Owns: the states and the tables of legal moves. Pure.
Must not import: Twisted, txredisapi, the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final


@unique
class ConnectionState(Enum):
    """How far one connection to Redis is."""

    #: Created; the transport is not connected.
    NEW = "new"
    #: Login and subscriptions are sent, and not all of them are confirmed.
    LOGGING_IN = "logging in"
    #: Redis has confirmed all subscriptions.
    SUBSCRIBED = "subscribed"
    #: The process ends: subscriptions are being ended, and what Redis sends until then is handed
    #: over.
    CLOSING = "closing"
    #: Something is wrong with what Redis sent, or did not send; the connection was aborted.
    FAILED = "failed"
    #: The transport is gone.
    LOST = "lost"


CONNECTION_MOVES: Final[Mapping[ConnectionState, frozenset[ConnectionState]]] = MappingProxyType(
    {
        ConnectionState.NEW: frozenset({ConnectionState.LOGGING_IN}),
        ConnectionState.LOGGING_IN: frozenset(
            {
                ConnectionState.SUBSCRIBED,
                ConnectionState.CLOSING,
                ConnectionState.FAILED,
                ConnectionState.LOST,
            }
        ),
        ConnectionState.SUBSCRIBED: frozenset(
            {ConnectionState.CLOSING, ConnectionState.FAILED, ConnectionState.LOST}
        ),
        ConnectionState.CLOSING: frozenset({ConnectionState.FAILED, ConnectionState.LOST}),
        ConnectionState.FAILED: frozenset({ConnectionState.LOST}),
        ConnectionState.LOST: frozenset(),
    }
)
"""The legal moves of a connection."""


@unique
class ReadState(Enum):
    """Whether a connection is read."""

    #: The transport hands over what arrives.
    FLOWING = "flowing"
    #: The transport is paused until :meth:`~.connection.RedisConnection.wake`.
    PAUSED = "paused"
    #: The transport is paused, and the next turn reads on.
    SCHEDULED = "scheduled"


READ_MOVES: Final[Mapping[ReadState, frozenset[ReadState]]] = MappingProxyType(
    {
        ReadState.FLOWING: frozenset({ReadState.PAUSED}),
        ReadState.PAUSED: frozenset({ReadState.SCHEDULED, ReadState.FLOWING}),
        ReadState.SCHEDULED: frozenset({ReadState.PAUSED, ReadState.FLOWING}),
    }
)
"""The legal moves of reading."""


@unique
class Liveness(Enum):
    """What was heard from Redis since the last check."""

    #: Something arrived.
    HEARD = "heard"
    #: Nothing arrived.
    SILENT = "silent"
    #: Nothing arrived, and a PING is not answered.
    ASKED = "asked"


@unique
class SourceState(Enum):
    """How far one entry of ``[[redis_source]]`` is."""

    #: Not started.
    NEW = "new"
    #: A connection attempt is under way.
    CONNECTING = "connecting"
    #: There is a connection; login and subscriptions are not confirmed.
    CONNECTED = "connected"
    #: Redis sends what is published.
    SUBSCRIBED = "subscribed"
    #: The next attempt is scheduled.
    WAITING = "waiting"
    #: The process ends: the connection is being closed.
    STOPPING = "stopping"
    #: There is no connection, and there will be none.
    STOPPED = "stopped"


SOURCE_MOVES: Final[Mapping[SourceState, frozenset[SourceState]]] = MappingProxyType(
    {
        SourceState.NEW: frozenset({SourceState.CONNECTING, SourceState.STOPPED}),
        SourceState.CONNECTING: frozenset(
            {SourceState.CONNECTED, SourceState.WAITING, SourceState.STOPPED}
        ),
        SourceState.CONNECTED: frozenset(
            {SourceState.SUBSCRIBED, SourceState.WAITING, SourceState.STOPPING}
        ),
        SourceState.SUBSCRIBED: frozenset({SourceState.WAITING, SourceState.STOPPING}),
        SourceState.WAITING: frozenset({SourceState.CONNECTING, SourceState.STOPPED}),
        SourceState.STOPPING: frozenset({SourceState.STOPPED}),
        SourceState.STOPPED: frozenset(),
    }
)
"""The legal moves of a source."""
