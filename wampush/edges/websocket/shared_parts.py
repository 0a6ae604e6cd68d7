"""What all connections of a node share.

Owns: the list of these parts. Must not import: the connection, the server, any conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.ledger import Ledger
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket.admission import Admission
from wampush.edges.websocket.message_budgets import ClientLimits
from wampush.edges.websocket.opening_handshake import OpeningRules
from wampush.edges.websocket.read_turns import ReadTurns
from wampush.edges.websocket.timer_wheel import TimerWheel

ConnectionT = TypeVar("ConnectionT")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts(Generic[ConnectionT]):
    """What all connections of a node share.

    :param settings: the ``[websocket]`` table.
    :param limits: what one client may use.
    :param rules: what decides whether a connection opens.
    :param admission: counts connections.
    :param timer_wheel: calls connections when something may be late.
    :param fanout: the path to the outboxes.
    :param backpressure: notified of bytes that wait for clients.
    :param read_turns: divides the time for reading between clients.
    :param ledger: counts how connections end.
    :param now: returns the time in seconds since the epoch, for the expiry of identities.
    :param on_made: called when the socket of a connection is accepted.
    :param on_lost: called when the socket of a connection is gone.
    """

    settings: WebSocketSettings
    limits: ClientLimits
    rules: OpeningRules
    admission: Admission
    timer_wheel: TimerWheel
    fanout: Fanout
    backpressure: Backpressure
    read_turns: ReadTurns
    ledger: Ledger
    now: Callable[[], float]
    on_made: Callable[[ConnectionT], None]
    on_lost: Callable[[ConnectionT], None]
