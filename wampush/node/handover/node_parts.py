"""The parts of a node that a hand-over uses.

Owns: the list of these parts. Must not import: ``node.build``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wampush.broker.broker import Broker
    from wampush.broker.delivery.backpressure import Backpressure
    from wampush.broker.requests.handler import RequestHandler
    from wampush.edges.acknowledged_pushes import AcknowledgedPushes
    from wampush.edges.websocket.server import WebSocketEdge
    from wampush.edges.zeromq.pull_sockets import PullSockets
    from wampush.node.backplane import NodeBackplane
    from wampush.node.monitoring.replacements import Replacements


class Parts(Protocol):
    """The parts of a node that matter here."""

    @property
    def broker(self) -> Broker:
        """Has the sessions."""

    @property
    def requests(self) -> RequestHandler:
        """Learns of sessions that are lost."""

    @property
    def backpressure(self) -> Backpressure:
        """Pauses sources while much waits for the other node."""

    @property
    def pull(self) -> PullSockets:
        """Has the backends over ZeroMQ."""

    @property
    def websocket(self) -> WebSocketEdge:
        """Has the connections."""

    @property
    def acknowledged_pushes(self) -> AcknowledgedPushes:
        """Knows the ids of pushes."""

    @property
    def replacements(self) -> Replacements:
        """Counts what has become of sessions."""

    @property
    def backplane(self) -> NodeBackplane | None:
        """Joins the node to others; None for a single node."""

    def open_journal(self) -> None:
        """Open the store of durable topics, which the other node has closed.

        :raises OperatorError: it cannot be used.
        """
