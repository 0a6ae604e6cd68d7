"""Apps on a broker whose clock, turns and clients a test moves by hand; threads are real."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from tests.broker.world import Client, DirectOutbox, FakePeer, Wire, World
from tests.support.limits import PREFIX_LIMITS
from wampush.apps import App
from wampush.apps.chain import ChainLink
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.presence.presence import Presence
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.broker.session_ends import SessionEnds
from wampush.broker.subscriber import Subscriber
from wampush.clock import Clock as PresenceClock
from wampush.config.settings import Settings
from wampush.config.tables.apps import ApplicationSettings
from wampush.edges.auth.authenticator import Authenticator
from wampush.errors import CloseReason
from wampush.node.apps import NodeApps
from wampush.testing.clock import ThreadedClock
from wampush.wamp.session import WampSession
from wampush.wamp.uris import WAMP1

TIMEOUT = 10.0
CONNECT_TIMEOUT = 1.5


class AppWorld:
    """Apps with everything around them.

    :param apps: in their order.
    :param settings: of the node; the test's limits are those of ``[application]``.
    :param others: what is asked behind the apps.
    """

    #: All that were not closed.
    made: ClassVar[list[AppWorld]] = []

    def __init__(
        self, *apps: App, settings: Settings | None = None, others: Sequence[ChainLink] = ()
    ) -> None:
        #: A reactor, as far as apps use one.
        self.clock: Any = ThreadedClock()
        clock = PresenceClock(self.clock.seconds, self.clock.callLater)
        self.world = World(topic_bytes=100, presence=lambda router: Presence(router, 0.0, clock))
        presence = self.world.broker.presence
        assert presence is not None
        self.settings = settings or Settings(application=ApplicationSettings(threads=2))
        named = {f"shop{number or ''}:app": app for number, app in enumerate(apps)}
        self.authenticator = Authenticator(self.settings, self.clock, self.clock.seconds)
        self.node = NodeApps(
            settings=self.settings,
            apps=named,
            others=others,
            broker=self.world.broker,
            presence=presence,
            ends=SessionEnds(self.world.broker, None),
            authenticator=self.authenticator,
            become=self.world.change,
            reactor=self.clock,
        )
        self.made.append(self)
        joined = self.node.application
        assert joined is not None
        self.joined = joined
        self.world.serve(self.node.procedures, joined, self.node.reserved)

    @classmethod
    def close_all(cls) -> None:
        """End the threads of all worlds; none of them may be busy."""
        while cls.made:
            world = cls.made.pop()
            assert world.node._threads._running == 0
            world.node.stop(0)

    def client(self, *topics: str, identity: Identity = ANONYMOUS, **named: Any) -> Client:
        """A client that has got its WELCOME."""
        return self.world.client(*topics, identity=identity, limit=100_000, **named)

    def says(self, client: Client, *messages: object) -> None:
        """A client sends messages, each in a turn of its own."""
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            self.world.says(client, text)
            self.world.end_turn()

    def got(self, client: Client) -> list[Any]:
        """What a client has got since the last time."""
        self.world.end_turn()
        texts = [json.loads(text) for text in client.texts]
        client.wire.received.clear()
        return texts

    def call(self, client: Client, procedure: str, *arguments: object) -> Any:
        """Call a procedure and give its answer, without type and id; None when there is none."""
        self.says(client, [2, "id", procedure, *arguments])
        answers = [each[2:] for each in self.got(client) if each[0] in (3, 4)]
        return answers[0] if answers else None

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.world.end_turn()

    def run_thread(self) -> None:
        """Let the next call of a thread into the reactor."""
        self.clock.run_one()
        self.world.end_turn()

    def lose(self, client: Client, reason: CloseReason = CloseReason.PEER_CLOSED) -> None:
        """The connection is gone."""
        client.peer.ended = reason
        self.world.clients.on_lost(client.subscriber)

    def refusals(self) -> list[tuple[str, str]]:
        """Reason and detail of what was refused."""
        return [(each.refusal.code, each.detail) for each in self.world.ledger.recent]

    def arrive(self, target: str = "/", identity: Identity = ANONYMOUS, **headers: str) -> Arriving:
        """A client that wants in."""
        request = ConnectRequest(target, headers, "192.0.2.7")
        wire = Wire()
        outbox: Outbox = DirectOutbox(100_000, self.world.pressure, wire, self.world.format(""))
        peer = FakePeer(address="192.0.2.7")
        subscriber = Subscriber(WampSession(WAMP1, "test/1", PREFIX_LIMITS), outbox, identity, peer)
        client = Client(subscriber, outbox, wire, peer, self.world)  # type: ignore[arg-type]
        return Arriving(self, client, ConnectAttempt(identity, request, subscriber))


class Arriving:
    """A client that wants in, and what becomes of it.

    :ivar outcome: None while it waits, True when it may, else the Failure.
    """

    def __init__(self, world: AppWorld, client: Client, attempt: ConnectAttempt) -> None:
        self._world = world
        self.client = client
        self.attempt = attempt
        self.outcome: bool | Failure | None = None
        self.waiting = world.joined.connecting(attempt)
        self.waiting.addCallbacks(lambda _: self._decided(True), self._decided)

    @property
    def refused(self) -> tuple[CloseReason, str]:
        """Why it is kept out."""
        assert isinstance(self.outcome, Failure), self.outcome
        error: Any = self.outcome.value
        return error.reason, error.detail

    def enter(self) -> Client:
        """It has got its 101."""
        assert self.outcome is True
        self._world.world.clients.on_open(self.client.subscriber)
        self._world.world.end_turn()
        return self.client

    def _decided(self, outcome: bool | Failure) -> None:
        self.outcome = outcome


@contextlib.contextmanager
def logging() -> Iterator[list[Any]]:
    """The events of the log."""
    events: list[Any] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    try:
        yield events
    finally:
        globalLogPublisher.removeObserver(observer)
