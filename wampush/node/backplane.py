"""What joins a node to others, put together.

Owns: which part of the backplane gets which other one, and how long messages may be.
Must not import: the edges; the bus, the clock and the timers are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final, Protocol

from twisted.logger import Logger

from wampush import __version__
from wampush.broker.backplane.contract import Bus
from wampush.broker.backplane.control import Control
from wampush.broker.backplane.cut import Cut
from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.node import BackplaneNode
from wampush.broker.backplane.plain_topics import PlainTopics
from wampush.broker.backplane.publishing import NodePublishing
from wampush.broker.delivery.backlog import Timer
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.rule import HistoryRules
from wampush.broker.ledger import Ledger
from wampush.broker.mirrors.contract import SharedStore
from wampush.broker.mirrors.shared_topics import SharedTopics
from wampush.broker.nodes.registry import KINDS, Nodes
from wampush.broker.router import Router
from wampush.clock import Clock
from wampush.config.settings import Settings
from wampush.log_limit import LogLimiter

_log = Logger(namespace="wampush.nodes")

#: Bytes of a message besides what a client or a backend has sent: its header.
HEADER_BYTES: Final = 4096
#: Seconds between two looks for publications that will not come back.
LOOK_SECONDS: Final = 5.0


def new_node_id() -> str:
    """Return the id of a node, which no other process has or has had."""
    return token_hex(8)


def max_message_bytes(settings: Settings) -> int:
    """Return how long a message between nodes may be, in bytes."""
    longest = max(settings.pushes.max_message_bytes, settings.websocket.max_message_bytes)
    return longest + HEADER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """What joins a node to others: Redis, or what stands for it in tests.

    :param node: the id of this process.
    :param bus: carries messages; not started.
    :param open_store: opens the store that keeps topics for all nodes, as rules say; None where
        each node keeps its own.
    """

    node: str
    bus: Bus
    open_store: Callable[[HistoryRules], SharedStore] | None = None


class JoinNodes(Protocol):
    """Makes what joins a node to others."""

    def __call__(self, fanout: Fanout, backpressure: Backpressure) -> Joint:
        """Return what joins it.

        :param fanout: flushed after each share of messages.
        :param backpressure: says when messages may not be read.
        :raises OperatorError: a file cannot be used.
        """


@dataclass(slots=True, kw_only=True)
class NodeBackplane:
    """The parts that join a node to others.

    :param bus: the link.
    :param control: what nodes say to each other.
    :param interest: the topics that this node follows.
    :param plain: publishes to topics without history.
    :param publishing: takes all publications.
    :param listener: takes what the bus brings.
    :param nodes: which other nodes are there, and their people.
    :param clock: for looks at publications that are under way.
    :param kept: has the topics with history; None where no topic has one.
    """

    bus: Bus
    control: Control
    interest: Interest
    plain: PlainTopics
    publishing: NodePublishing
    listener: BackplaneNode
    nodes: Nodes
    clock: Clock
    kept: SharedTopics | None = None
    _timer: Timer | None = field(default=None, init=False)

    @property
    def cut(self) -> Cut:
        """Says which publications another process of this node delivers."""
        return self.listener.cut

    def start(self) -> None:
        """Join the other nodes, unless that was done before.

        They count this one from :meth:`Nodes.start` on.
        """
        if self._timer is None:
            self.bus.start(self.listener)
            self._look()

    @property
    def without_outcome(self) -> int:
        """How many publications of this process have no outcome yet."""
        return len(self.plain) + (0 if self.kept is None else len(self.kept.publishing))

    @property
    def not_propagated(self) -> int:
        """How many publications may have reached the clients of this node only."""
        of_parts = 0 if self.kept is None else self.kept.plain_parts.not_propagated
        return self.plain.not_propagated + of_parts

    def status(self) -> Mapping[str, object]:
        """Return the state, for a health check."""
        return {
            **self.bus.status(),
            "topics": len(self.interest),
            "under_way": len(self.plain),
            "not_propagated": self.not_propagated,
        }

    def problems(self) -> list[tuple[str, str]]:
        """Return why the node is not joined to others, or ""."""
        return [(self.bus.address, self.bus.problem)]

    def stop(self) -> None:
        """Cancel the timers; for the end of the process, after the broker's."""
        self.interest.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.plain.look_for_lost()
        if self.kept is not None:
            self.kept.look()
        self._timer = self.clock.call_later(LOOK_SECONDS, self._look)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the backplane has in common with the broker.

    :param settings: all of them.
    :param router: delivers what comes.
    :param backpressure: pauses the sources while much is under way.
    :param ledger: counts messages and refusals.
    :param clock: for timers.
    """

    settings: Settings
    router: Router
    backpressure: Backpressure
    ledger: Ledger
    clock: Clock


def make_backplane(
    joint: Joint,
    around: Surroundings,
    name: str,
    keep: Callable[[Interest], SharedTopics] | None = None,
) -> NodeBackplane:
    """Return the parts that join a node to others.

    :param joint: what joins it.
    :param around: what it has in common with the broker.
    :param name: of the node, for people.
    :param keep: makes what has the topics with history, which follows them through the interest;
        None where no topic has one.
    """
    bus, clock = joint.bus, around.clock
    max_bytes = max_message_bytes(around.settings)
    control = Control(bus, joint.node)
    interest = Interest(bus, clock)
    kept = None if keep is None else keep(interest)
    plain = PlainTopics(
        bus,
        joint.node,
        interest=interest,
        router=around.router,
        backpressure=around.backpressure,
        clock=clock,
        max_bytes=max_bytes,
    )
    listener = BackplaneNode(
        control,
        interest=interest,
        plain=plain,
        kept=kept,
        router=around.router,
        ledger=around.ledger,
        max_bytes=max_bytes,
    )
    return NodeBackplane(
        bus=bus,
        control=control,
        interest=interest,
        plain=plain,
        publishing=NodePublishing(plain, kept, around.ledger),
        listener=listener,
        nodes=_nodes(control, around.settings, clock, name),
        clock=clock,
        kept=kept,
    )


def _nodes(control: Control, settings: Settings, clock: Clock, name: str) -> Nodes:
    """Return what is known about the other nodes."""
    nodes = Nodes(
        process=control.node,
        name=name,
        version=__version__,
        epoch=token_hex(8),
        grace=settings.presence.grace,
        clock=clock,
        send=control.send,
        report=_Report(clock.seconds),
    )
    for kind in KINDS:
        control.take(kind, lambda each: nodes.on_message(each.node, each.kind, each.payload))
    control.watch(nodes)
    return nodes


class _Report:
    """Logs what happens to nodes; one that comes and goes all the time does not fill the log."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._limiter = LogLimiter(seconds)

    def __call__(self, message: str, **fields: object) -> None:
        suffix = self._limiter.suffix((message, fields.get("id")))
        if suffix is not None:
            _log.info(message + "{suffix}", **fields, suffix=suffix)
