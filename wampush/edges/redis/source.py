"""What is published on channels of a Redis, to the broker.

Owns: the sources of ``[[redis_source]]``, when each connects again, their state, refusals of what
was published.
Must not import: Autobahn; of the edges only the other ``redis_`` modules and ``secret_files``.

A Redis that is away stops nothing: it is tried again until it answers. What is published meanwhile
is lost, because Redis keeps nothing for who is not subscribed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import random
from time import time
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.tables.redis import RedisSourceSettings
from wampush.edges.redis import problems as redis_problems
from wampush.edges.redis import tls as redis_tls
from wampush.edges.redis.channels import Channels
from wampush.edges.redis.connection import Login, Reading, RedisConnection, Text
from wampush.edges.redis.replies import Oversized
from wampush.errors import OperatorError, PushRefused, Refusal, shown
from wampush.net import secret_files

_log = Logger(namespace="wampush")

#: Seconds until a lost Redis is tried again: at first and at most. Each is cut by chance, up to
#: half, so that many nodes do not come back at the same moment.
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 15.0
#: A connection that ends sooner counts as one more failure, so that a Redis that comes and goes
#: makes neither load nor many lines in the log.
STEADY_SECONDS: Final = 10.0
_AWAY: Final = ""
#: Different problems that get a line until Redis is back.
_MOST_LINES: Final = 8
#: What all sources together may read in a reactor turn.
TURN_BYTES: Final = 64 * 1024
#: The words of Redis around a message: "pmessage" is the longest.
_KIND_BYTES: Final = 16


def delay(failures: int, chance: float) -> float:
    """Seconds until the next attempt.

    :param failures: how many there were in a row, at least one.
    :param chance: from 0 to 1.
    """
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 30))
    return longest * (1 - chance / 2)


class _Connections(Factory):
    """Makes what speaks over a new connection."""

    noisy = False

    def __init__(self, make: Callable[[], RedisConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> Any:
        """A new connection is there."""
        return self._make()


class RedisSource:
    """One entry of ``[[redis_source]]``.

    :param entry: the settings.
    :param place: its name in the configuration, for errors.
    :param ingest: makes publications of messages.
    :param broker: publishes them.
    :param reading: how much is read, and when.
    :param reactor: for connections and timers.
    :raises OperatorError: when a file can not be used.
    """

    def __init__(
        self,
        entry: RedisSourceSettings,
        place: str,
        ingest: Ingest,
        broker: Broker,
        reading: Reading,
        reactor: Any,
    ) -> None:
        self._entry = entry
        self._place = place
        self._ingest = ingest
        self._broker = broker
        self._reading = reading
        self._reactor = reactor
        self._channels = Channels(entry.channels, entry.topic)
        self._login, self._endpoint = self._read_files()
        self._attempt: Deferred[Any] | None = None
        self._retry: Any = None
        self._connection: RedisConnection | None = None
        self._stopped: Deferred[None] | None = None
        self._connected = False
        self._since = time()
        self._failures = 0
        self._problem: str | None = None
        self._said: set[str] = set()
        self._messages = 0

    @property
    def address(self) -> str:
        """Which Redis it is, without user and password."""
        return self._entry.url.address

    def status(self) -> Mapping[str, object]:
        """The state, for a health check."""
        return {
            "redis": self.address,
            "channels": list(self._entry.channels),
            "state": "connected" if self._connected else "connecting",
            "since": self._since,
            "problem": self._problem,
            "messages": self._messages,
        }

    # Connecting.

    def start(self) -> None:
        """Connect, and go on trying."""
        self._since = time()
        self._connect()

    def stop(self) -> Deferred[None]:
        """Hand over what was published before now, then end the connection."""
        self._stopped = Deferred()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._attempt is not None:
            self._attempt.cancel()
        if self._connection is None:
            return succeed(None)
        self._connection.close()
        return self._stopped

    def reload(self) -> None:
        """Read password and certificates again, for the next connection.

        :raises OperatorError: when a file can not be used; then all stays as it is.
        """
        self._login, self._endpoint = self._read_files()
        if self._retry is not None:
            self._retry.reset(0)

    def wake(self) -> None:
        """Reading may go on."""
        if self._connection is not None:
            self._connection.wake()

    def _read_files(self) -> tuple[Login | None, Any]:
        entry = self._entry
        password = entry.url.password.encode()
        if entry.password_file:
            name = f"{self._place}.password_file"
            password = secret_files.password(entry.password_file, name)
        login = Login(entry.url.user, password) if password else None
        return login, redis_tls.endpoint(entry, self._place, self._reactor)

    def _connect(self) -> None:
        self._retry = None
        self._attempt = self._endpoint.connect(_Connections(self._make))
        self._attempt.addCallbacks(self._made, self._not_made)

    def _make(self) -> RedisConnection:
        return RedisConnection(self, self._login, self._channels, self._reading)

    def _made(self, connection: RedisConnection) -> None:
        self._attempt = None
        self._connection = connection

    def _not_made(self, failure: Failure) -> None:
        self._attempt = None
        if self._stopped is None:
            self._failed(redis_problems.of_failure(failure))

    def subscribed(self, connection: RedisConnection) -> None:
        """Redis has confirmed all subscriptions."""
        now = time()
        waited = f"is back after {now - self._since:.0f} s; " if self._failures else ""
        self._connected = True
        self._since = now
        self._said.clear()
        _log.info(
            "{redis}: {waited}taking pushes from {channels}",
            redis=self.address,
            waited=waited,
            channels=", ".join(map(shown, self._entry.channels)),
        )

    def on_lost(self, connection: RedisConnection, problem: str) -> None:
        """The connection is gone, or never was usable."""
        if connection is not self._connection:
            return
        self._connection = None
        if self._stopped is None:
            self._failed(problem)
        else:
            self._connected = False
            self._stopped.callback(None)

    def _failed(self, problem: str) -> None:
        now = time()
        if self._connected:
            if now - self._since >= STEADY_SECONDS:
                self._failures = 0
            self._connected = False
            self._since = now
        self._failures += 1
        self._problem = problem
        # That a Redis which has gone refuses connections is no news, nor is the same problem again.
        news = _AWAY if redis_problems.is_absence(problem) else problem
        if news not in self._said and len(self._said) < _MOST_LINES:
            self._said.add(news)
            _log.warn(
                "{redis}: {problem}; trying again until it answers",
                redis=self.address,
                problem=problem,
            )
        seconds = delay(self._failures, random())  # noqa: S311 (nothing secret)
        self._retry = self._reactor.callLater(seconds, self._connect)

    # Messages.

    def message(self, glob: bytes | None, channel: Text, payload: Text) -> None:
        """Publish or refuse what was published."""
        if isinstance(channel, bytes) and not self._channels.is_first(glob, channel):
            return
        self._messages += 1
        try:
            publication = self._publication(channel, payload)
        except PushRefused as error:
            raw = payload.head if isinstance(payload, Oversized) else payload
            self._broker.ledger.refuse(Source.REDIS, self._origin(channel), error, raw)
        else:
            self._broker.publish(publication)
            self._broker.ledger.accept(Source.REDIS)

    def _publication(self, channel: Text, payload: Text) -> Publication:
        if not payload:
            raise PushRefused(Refusal.EMPTY)
        topic = self._channels.topic(_whole(channel, self._ingest.max_bytes))
        return self._ingest.publication((topic, _whole(payload, self._ingest.max_bytes)))

    def _origin(self, channel: Text) -> str:
        name = channel.head if isinstance(channel, Oversized) else channel
        return f"{self.address} {shown(name.decode(errors='backslashreplace'))}"


def _whole(text: Text, allowed: int) -> bytes:
    if isinstance(text, Oversized):
        raise PushRefused(Refusal.TOO_LARGE, f"{text.size} bytes, {allowed} allowed.")
    return text


class RedisSources:
    """All sources of a node.

    :param entries: as in ``[[redis_source]]``.
    :param ingest: makes publications of messages.
    :param broker: publishes them.
    :param pressure: says when to pause.
    :param queue_bytes: what may wait for one client; a turn reads a quarter of it at most, so that
        a client that keeps up is never over its limit.
    :param reactor: for connections and timers.
    :raises OperatorError: when a file that an entry names can not be used.
    """

    def __init__(
        self,
        entries: Sequence[RedisSourceSettings],
        ingest: Ingest,
        broker: Broker,
        pressure: Backpressure,
        queue_bytes: int,
        reactor: Any,
    ) -> None:
        def may_read() -> bool:
            return not pressure.paused

        turn_bytes = min(TURN_BYTES, queue_bytes // 4) // max(1, len(entries))
        self._sources: list[RedisSource] = []
        for number, entry in enumerate(entries, 1):
            longest = max(len(each.encode()) for each in entry.channels)
            # A glob has at most two bytes for each of a pattern.
            room = ingest.max_bytes + ingest.topic_bytes + 2 * longest + _KIND_BYTES
            reading = Reading(room, turn_bytes, may_read, broker.fanout, reactor.callLater)
            place = f"redis_source[{number}]"
            self._sources.append(RedisSource(entry, place, ingest, broker, reading, reactor))
        if entries:
            pressure.on_release(self._wake)

    def start(self) -> None:
        """Connect to each; one that is away is tried again."""
        for source in self._sources:
            source.start()

    def stop(self) -> Deferred[Any]:
        """Hand over what was published before now, then end the connections."""
        return gatherResults([source.stop() for source in self._sources])

    def reload(self) -> None:
        """Read passwords and certificates again; where that fails, the present ones stay."""
        for source in self._sources:
            try:
                source.reload()
            except OperatorError as error:
                _log.warn(
                    "{redis} goes on with the password and certificates it has: {error}",
                    redis=source.address,
                    error=error,
                )
            else:
                _log.info(
                    "{redis}: password and certificates read again, for the next connection",
                    redis=source.address,
                )

    def status(self) -> list[Mapping[str, object]]:
        """The state of each, in the order of the configuration."""
        return [source.status() for source in self._sources]

    def _wake(self) -> None:
        for source in self._sources:
            source.wake()
