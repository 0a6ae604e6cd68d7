"""A node of a simulation: everything that a real one has, without sockets of its own.

Owns: how it is put together. Must not import: the reactor, ZeroMQ.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from tests.simulation.client import SimulatedClient
from tests.simulation.network import Network, SimulatedReactor
from tests.simulation.truth import Breach, Truth
from wampush.broker.backplane.contract import Accepted
from wampush.broker.ledger import Source
from wampush.broker.publication import Position, Publication
from wampush.config.load import load
from wampush.edges.auth.authenticator import Authenticator
from wampush.errors import PublicationRefused
from wampush.node.core import make_core, make_requests
from wampush.node.default_publishing import decide_publishing
from wampush.node.sources import join_over_redis

_SETTINGS = load(
    None,
    {},
    {
        "backplane.url": "unix:///simulation",
        "clients.publish": "always",
        "topics": [
            {"match": "h/*", "history": 40},
            {"match": "v/*", "history": 30, "last_by": "id"},
        ],
    },
).settings

#: Seconds after a subscription in which a loss of the link makes the order of events unclear.
_UNSURE: Final = 15.0

Outcome = Callable[[int | Accepted | PublicationRefused], None]


class _Losses:
    """When a node has lost its link; a ``LinkWatcher``."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.times: list[float] = []

    def on_joined(self) -> None:
        """Do nothing."""

    def on_left(self, problem: str) -> None:  # noqa: ARG002 - of the interface
        """Note it."""
        self.times.append(self._seconds())


class SimulatedNode:
    """One node.

    :param index: its number.
    :param network: leads to Redis.
    :param now: when it starts, in seconds.
    :param start: the time of day at 0 seconds, in seconds since 1970.
    """

    def __init__(self, index: int, network: Network, now: float, start: float) -> None:
        self.reactor = SimulatedReactor(network)
        self.reactor.rightNow = now
        reactor: Any = self.reactor
        self.name = f"{index}@{now:.0f}"
        self._pushes = self._accepted = 0
        self._followed: dict[str, float] = {}
        self.unanswered: dict[int, None] = {}
        self._core = make_core(
            _SETTINGS,
            reactor,
            now=lambda: start + reactor.seconds(),
            elapsed=reactor.seconds,
            join=partial(join_over_redis, _SETTINGS, reactor),
        )
        self._authenticator = Authenticator(_SETTINGS, reactor, lambda: start + reactor.seconds())
        self._apps, self._requests = make_requests(self._core, {}, (), self._authenticator)
        decision = decide_publishing(_SETTINGS.clients.publish, only_loopback=True)
        broker = self._core.broker
        broker.policy = broker.policy.with_publishing(decision.publishing)
        assert self._core.backplane is not None
        self._losses = _Losses(reactor.seconds)
        self._core.backplane.control.watch(self._losses)
        self._core.backplane.start()
        self._core.backplane.nodes.start()

    def advance_to(self, now: float) -> None:
        """Let time pass."""
        self.reactor.advance(max(now - self.reactor.seconds(), 0.0))

    def connect(
        self, truth: Truth, user: str, now: Callable[[], float], since: dict[str, Position]
    ) -> SimulatedClient:
        """Open a session."""
        client = SimulatedClient(truth, self._requests, self._core.backpressure, user, now, since)
        client.judges_order = self.keeps_order
        client.followed_since = self.followed_since
        return client

    def followed_since(self, topic: str) -> float:
        """When it has begun to follow a topic; now, if it does not follow that yet.

        It goes on for a while after the last subscriber.
        """
        assert self._core.backplane is not None
        if not self._core.backplane.interest.wanted(topic):
            self._followed[topic] = self.reactor.seconds()
        return self._followed[topic]

    def keeps_order(self, begun: float) -> bool:
        """Whether it knows the place of each event that Redis has sent.

        What was in doubt when the link was lost may have two places if it was sent before its topic
        was followed. What has waited for too long comes late, and the node counts that.

        :param begun: when it has begun to follow their topic.
        """
        assert self._core.backplane is not None
        kept = self._core.backplane.kept
        if kept is not None and kept.plain_parts.unordered:
            return False
        losses = self._losses.times
        return bisect_left(losses, begun) == bisect_right(losses, begun + _UNSURE)

    def has_subscribed(self, client: SimulatedClient, topic: str) -> bool:
        """Return whether a subscription has taken effect; it waits for requests before it."""
        return client.subscriber in self._core.broker.subscriptions.subscribers(topic)

    def push(self, number: int, publication: Publication, on_done: Outcome) -> None:
        """Push as a backend does."""
        self._pushes += 1
        self.unanswered[number] = None

        def done(outcome: int | Accepted | PublicationRefused) -> None:
            self.unanswered.pop(number, None)
            on_done(outcome)

        try:
            receivers = self._core.broker.push(Source.ZEROMQ, publication, done)
        except PublicationRefused as error:
            self._core.broker.ledger.refuse(Source.ZEROMQ, "simulation", error, b"")
            done(error)
            return
        if receivers is not None:
            done(receivers)
        self._core.broker.fanout.flush()

    def stop(self) -> None:
        """End as a process does that is asked to."""
        self._core.broker.stop()
        self._core.presence.stop()
        if self._core.broker.occupancy is not None:
            self._core.broker.occupancy.stop()
        if self._core.backplane is not None:
            self._core.backplane.nodes.stop()
            self._core.backplane.stop()

    def check_rest(self, clients: Sequence[SimulatedClient]) -> None:
        """Check what must be so when everything has come to rest.

        :raises Breach: it is not so.
        """
        received = self._core.broker.ledger.received[Source.ZEROMQ]
        if received != self._pushes:
            raise Breach(f"node {self.name} was sent {self._pushes} pushes and counts {received}")
        if self._core.presence.num_clients != len(clients):
            raise Breach(
                f"node {self.name} knows {self._core.presence.num_clients} of "
                f"{len(clients)} clients"
            )
        users = {each.user for each in clients if each.user}
        if self._core.presence.num_online != len(users):
            raise Breach(
                f"node {self.name} knows {self._core.presence.num_online} of {len(users)} users"
            )
