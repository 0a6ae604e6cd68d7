"""One Redis server as a source of pushes.

Owns: the state of one entry of ``[[redis_source]]``, when it connects again, what becomes of each
message.
Must not import: Autobahn; the other edges.

A Redis server that is down stops nothing: the source retries until it answers. Messages published
meanwhile are lost, because Redis keeps none for clients that are not subscribed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import random
from time import monotonic, time
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.broker.broker import Broker
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.tables.redis import RedisSourceSettings
from wampush.edges.redis.channels import Channels
from wampush.edges.redis.connection import Reading, RedisConnection, Text
from wampush.edges.redis.lifecycle import SOURCE_MOVES, SourceState
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown
from wampush.net.redis.endpoints import redis_endpoint
from wampush.net.redis.error_descriptions import is_unreachable, problem_of_failure
from wampush.net.redis.login import Login, login_of
from wampush.net.redis.replies import Oversized
from wampush.net.redis.retries import retry_delay
from wampush.net.redis.sentinel import MasterWatch, SentinelEndpoint, Server
from wampush.state_machine import moved

_log = Logger(namespace="wampush.redis")

#: Seconds that a connection must last to count as a success, so that a server that comes and goes
#: causes neither load nor many log lines.
STEADY_SECONDS: Final = 10.0
#: What problems that mean "unreachable" are logged as: one kind.
_UNREACHABLE: Final = ""
#: Kinds of problems that are logged until Redis is back.
_MAX_LOGGED_PROBLEMS: Final = 8
#: States that are reported as "connected".
_SUBSCRIBED: Final = frozenset({SourceState.SUBSCRIBED, SourceState.STOPPING})


class _ConnectionFactory(Factory):
    """Makes the protocol of a new connection."""

    noisy = False

    def __init__(self, make: Callable[[], RedisConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> Any:
        """Return a protocol."""
        return self._make()


class RedisSource:
    """One entry of ``[[redis_source]]``.

    :param entry: the settings.
    :param place: the entry's name in the configuration, for errors.
    :param ingest: turns messages into publications.
    :param broker: publishes them.
    :param reading: how much is read, and when.
    :param reactor: for connections and timers.
    :raises OperatorError: a file cannot be used.
    """

    def __init__(
        self,
        entry: RedisSourceSettings,
        *,
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
        self._channels = Channels(entry.channels, entry.topic, entry.prefix)
        self._login, self._endpoint = self._read_files()
        self._state = SourceState.NEW
        # Each is set in the state that needs it, and None otherwise.
        self._attempt: Deferred[Any] | None = None
        self._connection: RedisConnection | None = None
        self._retry: Any = None
        self._watch: MasterWatch | None = None
        self._stopped: Deferred[None] = Deferred()
        self._mark_change()
        self._failures = 0
        self._problem: str | None = None
        self._logged_problems: set[str] = set()
        self._messages = 0

    @property
    def address(self) -> str:
        """The URL of the server, without user and password."""
        return self._entry.address

    def status(self) -> Mapping[str, object]:
        """Return the state, for a health check."""
        return {
            "redis": self.address,
            "channels": list(self._entry.channels),
            "state": "connected" if self._state in _SUBSCRIBED else "connecting",
            "since": self._since,
            "problem": self._problem,
            "messages": self._messages,
        }

    @property
    def problem(self) -> str:
        """Why it gets no messages; "" if it does."""
        return "" if self._state in _SUBSCRIBED else self._problem or "it is not connected yet"

    def _mark_change(self) -> None:
        """Take the time of a change; operators read the time of day, which may be set back."""
        self._since = time()
        self._changed_at = monotonic()

    # Connecting.

    def start(self) -> None:
        """Connect, and retry until it succeeds."""
        self._mark_change()
        self._connect()

    def stop(self) -> Deferred[None]:
        """Hand over what was published until now, then end the connection.

        :returns: fires once there is no connection.
        """
        if self._state in (SourceState.STOPPING, SourceState.STOPPED):
            return self._stopped
        if self._connection is not None:
            self._stop_watching()
            self._move(SourceState.STOPPING)
            self._connection.close()
            return self._stopped
        self._move(SourceState.STOPPED)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._attempt is not None:
            self._attempt.cancel()
        self._stopped.callback(None)
        return self._stopped

    def reload(self) -> None:
        """Read password and certificates again, for the next connection.

        :raises OperatorError: a file cannot be used; then nothing changes.
        """
        self._login, self._endpoint = self._read_files()
        if self._retry is not None:
            self._retry.reset(0)

    def _stop_watching(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def wake(self) -> None:
        """Read on after a pause."""
        if self._connection is not None:
            self._connection.wake()

    def _move(self, state: SourceState) -> None:
        self._state = moved(SOURCE_MOVES, self._state, state)

    def _read_files(self) -> tuple[Login | None, Any]:
        login = login_of(self._entry, self._place)
        return login, redis_endpoint(self._entry, self._place, self._reactor)

    def _connect(self) -> None:
        self._move(SourceState.CONNECTING)
        self._retry = None
        self._attempt = self._endpoint.connect(_ConnectionFactory(self._make_connection))
        self._attempt.addCallbacks(self._on_connected, self._on_not_connected)

    def _make_connection(self) -> RedisConnection:
        return RedisConnection(self, self._login, self._channels, self._reading)

    def _on_connected(self, connection: RedisConnection) -> None:
        self._move(SourceState.CONNECTED)
        self._attempt = None
        self._connection = connection

    def _on_not_connected(self, failure: Failure) -> None:
        self._attempt = None
        if self._state is SourceState.CONNECTING:
            self._retry_after(problem_of_failure(failure))

    def on_subscribed(self, connection: RedisConnection) -> None:
        """Log that Redis sends what is published from now on."""
        self._move(SourceState.SUBSCRIBED)
        channels = ", ".join(map(shown, self._entry.channels))
        if self._failures:
            _log.info(
                "{redis}: connected again after {seconds} s; taking pushes from {channels}",
                redis=self.address,
                seconds=round(monotonic() - self._changed_at),
                channels=channels,
            )
        else:
            _log.info(
                "{redis}: taking pushes from {channels}", redis=self.address, channels=channels
            )
        self._mark_change()
        self._logged_problems.clear()
        if isinstance(self._endpoint, SentinelEndpoint):
            self._watch = MasterWatch(self._endpoint, self._reactor, self._on_master_moved)

    def _on_master_moved(self, master: Server) -> None:
        if self._connection is not None:
            self._connection.fail(f"the master is {master} now")

    def on_lost(self, connection: RedisConnection, problem: str) -> None:
        """Connect again later, unless the source is being stopped."""
        if connection is not self._connection:
            return
        self._connection = None
        self._stop_watching()
        if self._state is SourceState.STOPPING:
            self._move(SourceState.STOPPED)
            self._stopped.callback(None)
        else:
            self._retry_after(problem)

    def _retry_after(self, problem: str) -> None:
        if self._state is SourceState.SUBSCRIBED:
            if monotonic() - self._changed_at >= STEADY_SECONDS:
                self._failures = 0
            self._mark_change()
        self._move(SourceState.WAITING)
        self._failures += 1
        self._problem = problem
        # After a loss, refused connections are no news; nor is the same problem once more.
        kind = _UNREACHABLE if is_unreachable(problem) else problem
        logged = self._logged_problems
        if kind not in logged and len(logged) < _MAX_LOGGED_PROBLEMS:
            logged.add(kind)
            _log.warn(
                "{redis}: {problem}; retrying until it succeeds",
                redis=self.address,
                problem=problem,
            )
        seconds = retry_delay(self._failures, random())  # noqa: S311 (nothing secret)
        self._retry = self._reactor.callLater(seconds, self._connect)

    # Messages.

    def on_message(self, glob: bytes | None, channel: Text, payload: Text) -> None:
        """Publish or refuse a message.

        :param glob: the pattern that matched; None for a subscription by the channel's name.
        :param channel: where it was published.
        :param payload: what was published.
        """
        if isinstance(channel, bytes) and not self._channels.is_first(glob, channel):
            return
        self._messages += 1
        try:
            self._broker.push(Source.REDIS, self._publication(channel, payload))
        except PushRefused as error:
            excerpt = payload.head if isinstance(payload, Oversized) else payload
            self._broker.ledger.refuse(Source.REDIS, self._origin(channel), error, excerpt)

    def _publication(self, channel: Text, payload: Text) -> Publication:
        if not payload:
            raise PushRefused(Refusal.EMPTY)
        topic = self._channels.topic(_complete(channel, self._ingest.max_bytes))
        return self._ingest.publication((topic, _complete(payload, self._ingest.max_bytes)))

    def _origin(self, channel: Text) -> str:
        name = channel.head if isinstance(channel, Oversized) else channel
        return f"{self.address} {shown(name.decode(errors='backslashreplace'))}"


def _complete(text: Text, limit: int) -> bytes:
    if isinstance(text, Oversized):
        raise PushRefused(Refusal.TOO_LARGE, f"{text.size} bytes, {limit} allowed.")
    return text
