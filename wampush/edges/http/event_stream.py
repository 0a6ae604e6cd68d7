"""A response that goes on: every publication of the node, as one JSON line each.

Owns: the lines, what waits for a slow reader and what it misses, the end of a stream.
Must not import: wampush.wamp, wampush.broker, the other edges; the publications are handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from wampush.edges.http.responses import respond_no_access, respond_problem
from wampush.edges.problems import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.server import Request

    from wampush.edges.http.channel import BoundedChannel
    from wampush.edges.http.operator_access import HttpAccess

#: Streams at the same time.
MAX_STREAMS: Final = 10
#: Seconds between two empty lines, which show both sides that the other one is there.
HEARTBEAT: Final = 20.0
#: Bytes that may wait for a reader; it misses what is beyond that.
MAX_WAITING: Final = 1_048_576


@implementer(IPushProducer)
class EventStream:
    """One stream.

    :param request: its request, which has been permitted.
    :param on_end: called once, when the stream has ended.
    """

    def __init__(self, request: Request, on_end: Callable[[EventStream], None]) -> None:
        self._request = request
        self._on_end = on_end
        self._channel = cast("BoundedChannel", request.channel)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._is_paused = False
        #: Whether the reader has taken nothing since the last heartbeat.
        self._is_stuck = False
        self.done: Deferred[bytes] = Deferred(self._on_cancelled)
        self._channel.stream()
        # Twisted's stubs want a producer to be one by inheritance.
        producer: Any = self
        request.registerProducer(producer, True)
        self._timer = self._channel.callLater(HEARTBEAT, self._on_heartbeat)
        request.write(b"\n")

    def on_event(self, topic: str, payload: bytes) -> None:
        """Write a line."""
        # In valid JSON, line breaks occur only between values.
        value = payload.replace(b"\r", b" ").replace(b"\n", b" ")
        line = b'{"topic":%b,"payload":%b}\n' % (orjson.dumps(topic), value)
        if not self._is_paused:
            self._request.write(line)
        elif self._waiting_bytes + len(line) > MAX_WAITING:
            self._dropped += 1
        else:
            self._waiting.append(line)
            self._waiting_bytes += len(line)

    def pauseProducing(self) -> None:
        """Keep lines, because the transport is full."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Write what has waited; the transport is empty."""
        self._is_paused = self._is_stuck = False
        lines, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self._dropped:
            lines.append(b'{"dropped":%d}\n' % self._dropped)
            self._dropped = 0
        if lines:
            self._request.write(b"".join(lines))

    def stopProducing(self) -> None:
        """Do nothing: the loss of the connection cancels the result."""

    def _on_heartbeat(self) -> None:
        if self._is_stuck:
            transport: Any = self._channel.transport
            transport.abortConnection()
            return
        self._timer = self._channel.callLater(HEARTBEAT, self._on_heartbeat)
        self._is_stuck = self._is_paused
        if not self._is_paused:
            self._request.write(b"\n")

    def _on_cancelled(self, _: object) -> None:
        if self._timer.active():
            self._timer.cancel()
        self._waiting = []
        self._on_end(self)


class EventStreams:
    """Responds to requests for the stream.

    :param access: decides who may see it.
    :param watch: takes a function that gets topic and payload of each publication from then on;
        returns a function that ends this.
    """

    def __init__(
        self,
        access: HttpAccess,
        watch: Callable[[Callable[[str, bytes], None]], Callable[[], None]],
    ) -> None:
        self._access = access
        self._watch = watch
        self._stop_watching: dict[EventStream, Callable[[], None]] = {}

    def respond(self, request: Request) -> bytes | Deferred[bytes]:
        """Begin a stream; it ends with its connection."""
        if not self._access.permits(request):
            return respond_no_access(request)
        if len(self._stop_watching) >= MAX_STREAMS:
            error = f"the limit of streams, {MAX_STREAMS}, is reached"
            return respond_problem(request, RequestRefused(503, error))
        request.setHeader(b"Content-Type", b"application/x-ndjson")
        request.setHeader(b"Cache-Control", b"no-store")
        if request.method == b"HEAD":
            return b""
        stream = EventStream(request, self._on_end)
        self._stop_watching[stream] = self._watch(stream.on_event)
        return stream.done

    def _on_end(self, stream: EventStream) -> None:
        self._stop_watching.pop(stream)()
