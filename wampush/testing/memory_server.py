"""A server in memory: a broker, its applications and a clock, without sockets.

Owns: how the parts are put together for a test, and when things happen.
Must not import: ZeroMQ, or anything that installs a reactor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from wampush import __version__
from wampush.apps import App, ConnectRequest, Identity
from wampush.apps.python import json_values
from wampush.apps.python.loading import check_apps, load_apps
from wampush.broker.backplane.contract import Accepted
from wampush.broker.identity import ANONYMOUS
from wampush.broker.ledger import Source
from wampush.broker.requests.connect_request import ConnectAttempt
from wampush.broker.subscriber import Subscriber
from wampush.config.load import load
from wampush.edges.auth.authenticator import Authenticator
from wampush.errors import PublicationRefused
from wampush.node.core import make_core, make_requests
from wampush.node.default_publishing import decide_publishing
from wampush.testing.bus import InMemoryBus
from wampush.testing.clock import ThreadedClock
from wampush.testing.memory_client import InMemoryClient, NotAnswered
from wampush.testing.wire import MemoryOutbox, MemoryPeer
from wampush.wamp.session import PrefixLimits, WampSession
from wampush.wamp.uris import DIALECTS

#: Seconds of real time that handlers in threads may take before a test fails.
PATIENCE: Final = 10.0
_LOOPBACK: Final = "127.0.0.1"


class InMemoryServer:
    """A server for tests of applications, in the process and the thread of the test.

    Everything that needs no network happens as in a real server: applications, permissions, limits
    of sessions, presence, delivery. There is no handshake: clients connect as the identity that a
    test gives them. Webhooks and plain WebSocket components do not run.

    :param apps: the applications, in their order; without any, those of the configuration.
    :param config: a TOML file.
    :param settings: settings by dotted key, such as ``{"clients.publish": "always"}``; they
        override the file. The environment is ignored.
    :param bus: joins it to all other servers with the same bus, as ``backplane.url`` does.
    :param name: that the other servers know it by; "" for the name of the machine.
    :raises ConfigErrors: a setting is wrong.
    :raises OperatorError: an application cannot be used.
    """

    def __init__(
        self,
        *apps: App,
        config: str | Path | None = None,
        settings: Mapping[str, object] | None = None,
        bus: InMemoryBus | None = None,
        name: str = "",
    ) -> None:
        path = None if config is None else Path(config)
        loaded = load(path, {}, settings or {})
        self._settings = loaded.settings
        named = {f"app{number}": app for number, app in enumerate(apps, 1)}
        if named:
            check_apps(named)
        else:
            named = dict(load_apps(loaded.settings.apps, loaded.folder))
        #: Twisted's clock for tests; a handler's ``reactor`` may be replaced with it.
        self.clock: Final = ThreadedClock() if bus is None else bus.clock
        clock: Any = self.clock
        self._core = make_core(
            loaded.settings,
            clock,
            now=self.clock.now,
            elapsed=self.clock.seconds,
            join=None if bus is None else bus.join,
            node_name=name,
        )
        self._authenticator = Authenticator(loaded.settings, clock, self.clock.now)
        self._apps, self._requests = make_requests(self._core, named, (), self._authenticator)
        decision = decide_publishing(loaded.settings.clients.publish, only_loopback=True)
        broker = self._core.broker
        broker.policy = broker.policy.with_publishing(decision.publishing)
        self._clients: dict[str, InMemoryClient] = {}
        if self._core.backplane is not None:
            self._core.backplane.start()
            self._core.backplane.nodes.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all sessions and threads."""
        for client in list(self._clients.values()):
            client.close()
        self._core.presence.stop()
        if self._core.broker.occupancy is not None:
            self._core.broker.occupancy.stop()
        self._authenticator.close()
        self._core.backpressure.stop()
        self._core.broker.stop()
        if self._core.backplane is not None:
            self._core.backplane.nodes.stop()
            self._core.backplane.stop()
        self._apps.stop(0)
        self.clock.advance(0)

    # For tests.

    def connect(
        self,
        target: str = "/",
        *,
        user: str | None = None,
        groups: Sequence[str] = (),
        identity: Identity | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = _LOOPBACK,
    ) -> InMemoryClient:
        """Connect a client.

        :param target: path and query of the handshake, for on_connect.
        :param user: user id; None for an anonymous client.
        :param groups: groups of the user.
        :param identity: everything about the user, instead of ``user`` and ``groups``.
        :param headers: of the handshake, by lower-case name.
        :param address: of the client. Only clients of this machine may publish by default.
        :raises ConnectionRefused: an application refuses it; has ``reason`` and ``detail``.
        :raises NotAnswered: an application does not decide.
        """
        if identity is None:
            identity = ANONYMOUS
            if user is not None:
                identity = Identity(user, frozenset(groups), source="callback")
        client = InMemoryClient(self)
        settings = self._settings
        peer = MemoryPeer(
            address,
            address == _LOOPBACK,
            lambda: self.clock.callLater(0, self.lose, client),
        )
        limits = PrefixLimits(settings.limits.prefixes_per_session, settings.limits.topic_bytes)
        session = WampSession(
            DIALECTS[settings.websocket.dialect], f"wampush/{__version__}", limits
        )
        outbox = MemoryOutbox(settings.clients.queue_bytes, self._core.backpressure, client.on_text)
        subscriber = Subscriber(session, outbox, identity, peer)
        client.attach(subscriber, peer)
        request = ConnectRequest(target, headers or {}, address)
        self._ask(ConnectAttempt(identity, request, subscriber))
        self._clients[session.session_id] = client
        self._requests.on_open(subscriber)
        self.settle()
        return client

    def push(self, topic: str, data: object, **options: object) -> int:
        """Push as a backend does.

        :param data: any value that has a JSON form.
        :param options: of the push, such as ``to={"users": ["7"]}``.
        :returns: how many sessions receive it.
        :raises PushRefused: the push is not valid.
        """
        parts = [topic.encode(), json_values.text_of(data)]
        if options:
            parts.append(json_values.text_of(options))
        publication = self._core.ingest.publication(parts)
        outcomes: list[int | Accepted | PublicationRefused] = []
        receivers = self._core.broker.push(Source.ZEROMQ, publication, outcomes.append)
        self.settle()
        if receivers is None:
            (outcome,) = outcomes
            if isinstance(outcome, PublicationRefused):
                raise outcome
            return outcome.receivers or 0 if isinstance(outcome, Accepted) else outcome
        return receivers

    def advance(self, seconds: float) -> None:
        """Let time pass, with everything that is due in it.

        :param seconds: of the clock; no real time passes.
        """
        self.settle()
        self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is due, and handlers in threads end."""
        self.clock.advance(0)
        while self._apps.running_in_threads:
            if not self.clock.run_one(PATIENCE):
                raise NotAnswered(f"a handler in a thread has been running for {PATIENCE:g} s")
            self.clock.advance(0)

    # For clients.

    def on_text(self, subscriber: Subscriber, text: bytes) -> None:
        """Take a message of a client."""
        self._requests.on_text(subscriber, text)

    def become(self, subscriber: Subscriber, identity: Identity) -> None:
        """Give a session another identity."""
        self._requests.become(subscriber, identity)

    def lose(self, client: InMemoryClient) -> None:
        """End the session of a client whose connection is gone."""
        if self._clients.pop(client.session_id, None) is not None:
            self._core.broker.fanout.flush_all()
            self._requests.on_lost(client.subscriber)

    def refusals_of(self, session_id: str) -> Sequence[tuple[str, str]]:
        """Return code and detail of what was refused to a session."""
        origin = f"session {session_id}"
        return [
            (each.refusal.code, each.detail)
            for each in self._core.broker.ledger.recent
            if each.origin == origin
        ]

    def _ask(self, attempt: ConnectAttempt) -> None:
        """Have the applications decide about a client that connects.

        :raises ConnectionRefused: as :meth:`connect`.
        """
        application = self._apps.application
        if application is None or not application.judges_connecting:
            return
        outcome: list[Any] = []
        application.connecting(attempt).addBoth(outcome.append)
        self.settle()
        if not outcome:
            raise NotAnswered("on_connect has not decided; it waits for time or for the network")
        if outcome[0] is not None:
            outcome[0].raiseException()
