"""All Redis servers that a node takes pushes from.

Owns: the sources of ``[[redis_source]]``, how they share a reactor turn, and what is logged about
reloading them.
Must not import: Autobahn; the other edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.ingest import Ingest
from wampush.config.tables.redis import RedisSourceSettings
from wampush.errors import OperatorError
from wampush.net.turn_budget import TurnBudget, bytes_per_source

if TYPE_CHECKING:
    from wampush.edges.redis.source import RedisSource

_log = Logger(namespace="wampush.redis")

#: Bytes that all sources together may read in a reactor turn.
TURN_BYTES: Final = 64 * 1024
#: Bytes of the longest word with which Redis begins a message: "pmessage".
_KIND_BYTES: Final = 16


class RedisSources:
    """The sources of a node.

    :param entries: as in ``[[redis_source]]``.
    :param ingest: turns messages into publications.
    :param broker: publishes them.
    :param backpressure: says when to pause.
    :param queue_bytes: what may wait for one client, in bytes; limits what a turn reads.
    :param reactor: for connections and timers.
    :raises OperatorError: a file that an entry names cannot be used.
    """

    def __init__(
        self,
        entries: Sequence[RedisSourceSettings],
        *,
        ingest: Ingest,
        broker: Broker,
        backpressure: Backpressure,
        queue_bytes: int,
        reactor: Any,
    ) -> None:
        self._sources: list[RedisSource] = []
        if not entries:
            return
        # Most nodes have no sources, and start sooner without the libraries of these.
        from wampush.edges.redis.connection import Reading
        from wampush.edges.redis.source import RedisSource

        turn_bytes = bytes_per_source(TURN_BYTES, queue_bytes, len(entries))
        for number, entry in enumerate(entries, 1):
            # A pattern takes at most two bytes of Redis' syntax for each of its own.
            longest = 2 * max(len((entry.prefix + each).encode()) for each in entry.channels)
            reading = Reading(
                max_reply_bytes=ingest.max_bytes + ingest.topic_bytes + longest + _KIND_BYTES,
                budget=TurnBudget(turn_bytes, reactor.seconds),
                may_read=lambda: not backpressure.paused,
                fanout=broker.fanout,
                call_later=reactor.callLater,
            )
            self._sources.append(
                RedisSource(
                    entry,
                    place=f"redis_source[{number}]",
                    ingest=ingest,
                    broker=broker,
                    reading=reading,
                    reactor=reactor,
                )
            )
        backpressure.call_on_release(self._wake)

    def start(self) -> None:
        """Connect to each server; those that are down are retried."""
        for source in self._sources:
            source.start()

    def stop(self) -> Deferred[Any]:
        """Hand over what was published until now, then end the connections.

        :returns: fires once all connections have ended.
        """
        return gatherResults([source.stop() for source in self._sources])

    def reload(self) -> None:
        """Read passwords and certificates again; where that fails, the old ones stay in use."""
        for source in self._sources:
            try:
                source.reload()
            except OperatorError as error:
                _log.warn(
                    "{redis}: could not reload the password and certificates, keeping the old "
                    "ones: {error}",
                    redis=source.address,
                    error=error,
                )
            else:
                _log.info(
                    "{redis}: password and certificates reloaded; the next connection uses them",
                    redis=source.address,
                )

    def status(self) -> list[Mapping[str, object]]:
        """Return the state of each source, in the order of the configuration."""
        return [source.status() for source in self._sources]

    def problems(self) -> list[tuple[str, str]]:
        """Return the address of each source, with why it gets no messages or ""."""
        return [(source.address, source.problem) for source in self._sources]

    def _wake(self) -> None:
        for source in self._sources:
            source.wake()
