"""A node with one Redis source, whose Redis is played by the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, formatEvent
from twisted.python.failure import Failure

from tests.support.log_lines import reporting_to
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.checks.redis import RedisUrl
from wampush.config.settings import Settings
from wampush.config.tables.clients import ClientSettings
from wampush.config.tables.pushes import PushSettings
from wampush.config.tables.redis import RedisSourceSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.redis import source as redis_source
from wampush.edges.redis import sources as redis_sources
from wampush.errors import Refusal
from wampush.node.build import build

URL = RedisUrl("redis.example.com")
ADDRESS = "redis://redis.example.com:6379"


def command(*words: bytes) -> bytes:
    """A command or a list, as it goes over the wire."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def message(channel: bytes, payload: bytes) -> bytes:
    """What Redis sends for a subscription by name."""
    return command(b"message", channel, payload)


def pmessage(pattern: bytes, channel: bytes, payload: bytes) -> bytes:
    """What Redis sends for a subscription by pattern."""
    return command(b"pmessage", pattern, channel, payload)


class Transport(StringTransport):
    """The connection as the source sees it."""

    @property
    def paused(self) -> bool:
        """Whether nothing is read."""
        return self.producerState == "paused"


@dataclass
class Attempt:
    """One attempt of the source to connect."""

    factory: Any
    outcome: Deferred[Any]
    transport: Transport = field(default_factory=Transport)
    protocol: Any = None
    cancelled: bool = False

    def succeed(self) -> None:
        """The connection is there."""
        self.protocol = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.outcome.callback(self.protocol)

    def fail(self, error: Exception | None = None) -> None:
        """There is no connection."""
        self.outcome.errback(Failure(error or RefusedByPeer()))

    def says(self, *pieces: bytes) -> None:
        """Redis sends something."""
        self.protocol.dataReceived(b"".join(pieces))

    def sent(self) -> bytes:
        """What was sent to Redis since the last call."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def is_ending(self) -> bool:
        """Whether the source has ended the connection."""
        return bool(self.transport.disconnecting)

    def lose(self, *, clean: bool = True) -> None:
        """The connection is gone."""
        self.protocol.connectionLost(Failure(ConnectionDone() if clean else ConnectionLost()))


class Endpoint:
    """What the source connects to."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        def cancel(_: Deferred[Any]) -> None:
            attempt.cancelled = True

        attempt = Attempt(factory, Deferred(cancel))
        self.attempts.append(attempt)
        return attempt.outcome


class RedisWorld:
    """A node of which only the Redis source does anything.

    :param connects_by: the endpoint of the source, instead of one that a test plays.
    :param chance: what chance cuts of a delay: 0 for nothing, 1 for half of it.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        channels: tuple[str, ...] = ("orders", "live_*"),
        *,
        chance: float = 0.0,
        connects_by: Any = None,
        max_message_bytes: int = 1_048_576,
        queue_bytes: int = 1_048_576,
        **entry: Any,
    ) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        self.events: list[dict[str, Any]] = []
        observe: Any = self.events.append
        connects_by = connects_by or self.endpoint
        monkeypatch.setattr(redis_source, "redis_endpoint", lambda *_: connects_by)
        for module in (redis_source, redis_sources):
            monkeypatch.setattr(module, "_log", Logger(namespace="wampush.redis", observer=observe))
        monkeypatch.setattr(redis_source, "random", lambda: chance)
        monkeypatch.setattr(redis_source, "time", self.clock.seconds)
        monkeypatch.setattr(redis_source, "monotonic", self.clock.seconds)
        values: dict[str, Any] = {"url": URL, "channels": channels, **entry}
        settings = Settings(
            zmq=ZmqSettings(pull=()),
            pushes=PushSettings(max_message_bytes=max_message_bytes),
            clients=ClientSettings(queue_bytes=queue_bytes),
            redis_source=(RedisSourceSettings(**values),),
        )
        self.node = build(settings, self.clock, 10)
        self.pressure = self.node.backpressure
        self.redis = self.node.redis
        self.seen: list[Publication] = []
        self.node.broker._router.publish = self._publish  # type: ignore[method-assign]
        self.refused_lines: list[str] = []
        self.node.broker.ledger._report = reporting_to(self.refused_lines.append)
        self.on_publish: Callable[[], None] = lambda: None
        self.redis.start()

    def _publish(self, publication: Publication) -> int:
        self.seen.append(publication)
        self.on_publish()
        return 0

    @property
    def attempt(self) -> Attempt:
        """The latest attempt."""
        return self.endpoint.attempts[-1]

    @property
    def lines(self) -> list[str]:
        """The log so far."""
        return [formatEvent(event) for event in self.events]

    @property
    def payloads(self) -> list[tuple[str, bytes]]:
        """Topic and payload of each publication."""
        return [(each.topic, each.payload) for each in self.seen]

    def status(self) -> dict[str, Any]:
        """The state of the source."""
        (status,) = self.redis.status()
        return dict(status)

    def refused(self) -> dict[Refusal, int]:
        """How often each reason was met."""
        refused = self.node.broker.ledger.refused
        assert {source for source, _ in refused} <= {Source.REDIS}
        return {refusal: count for (_, refusal), count in refused.items()}

    def subscribe(self) -> Attempt:
        """Let the latest attempt succeed, Redis without a password."""
        attempt = self.attempt
        attempt.succeed()
        attempt.sent()
        confirmed = [
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
            b"*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n",
        ]
        attempt.says(*confirmed)
        assert self.status()["state"] == "connected"
        return attempt

    def stop(self) -> list[object]:
        """Stop the sources; the list gets the outcome."""
        outcome: list[object] = []
        self.redis.stop().addCallback(outcome.append)
        return outcome

    @property
    def timers(self) -> list[object]:
        """The timers that run."""
        return list(self.clock.getDelayedCalls())
