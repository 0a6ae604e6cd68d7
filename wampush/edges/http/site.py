"""The wall of the HTTP port: what holds for every request, whatever it asks for.

Owns: the headers of every answer, the limits on requests and connections, what no route should have
to see.
Must not import: wampush.wamp, wampush.broker, of the edges only ``http_answers``, ``http_channel``
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from wampush.edges.http.answers import host_asked_for, respond_text
from wampush.edges.http.channel import BoundedChannel
from wampush.net.listeners import RejectedConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress
    from twisted.web.http import Request as HttpRequest

#: Bytes of a request body after which the connection ends, whatever is kept of it; up to here the
#: sender gets an answer.
MAX_DROPPED_BYTES: Final = 1_048_576
#: The same for a body of which more is kept, as a multiple of that.
DROPPED_FACTOR: Final = 16

_METHOD: Final = re.compile(rb"[A-Z]{1,20}")

_SECURITY_HEADERS: Final = {
    b"Server": b"wampush",
    b"X-Content-Type-Options": b"nosniff",
    b"Referrer-Policy": b"no-referrer",
    b"Content-Security-Policy": (
        b"default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class Guard(Resource):
    """The root: gives every response its headers and refuses what no route should have to see.

    :param routes: what answers the rest.
    :param unreadable: answers a request whose path is not UTF-8.
    :param no_websocket: answers a request to open a WebSocket.
    """

    isLeaf = True

    def __init__(
        self,
        routes: Resource,
        unreadable: Callable[[Request], bytes],
        no_websocket: Callable[[Request], bytes],
    ) -> None:
        Resource.__init__(self)
        self._routes = routes
        self._unreadable = unreadable
        self._no_websocket = no_websocket

    def render(self, request: Request) -> bytes | int:
        """Answer, or let the routes do so."""
        for name, value in _SECURITY_HEADERS.items():
            request.setHeader(name, value)
        if _METHOD.fullmatch(request.method) is None:
            return respond_text(request, 400, "The request method is not valid.\n")
        if not _is_framed_plainly(request):
            channel: Any = request.channel
            channel.persistent = False
            return respond_text(request, 400, "The transfer coding is not chunked alone.\n")
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (hosts and host_asked_for(request) is None):
            return respond_text(request, 400, "The Host header is not valid.\n")
        if (request.getHeader(b"upgrade") or b"").strip().lower() == b"websocket":
            return self._no_websocket(request)
        try:
            b"/".join(request.postpath or ()).decode()
        except UnicodeDecodeError:
            return self._unreadable(request)
        return cast("bytes | int", self._routes.render(request))


def _is_framed_plainly(request: Request) -> bool:
    """Whether everybody agrees where a request ends.

    Twisted takes the coding ``identity`` for none, also behind another. A proxy may take it for
    something else, and part of a body for the next request (RFC 9112 section 6.1).
    """
    codings = request.requestHeaders.getRawHeaders(b"transfer-encoding", [b"chunked"])
    return [each.lower() for each in codings] == [b"chunked"]


class BoundedRequest(Request):
    """A request whose body stays in memory and within bounds; Twisted spools any size to disk."""

    #: How many bytes of body came; more than are kept, if it is too long.
    body_bytes = 0
    _kept = 0
    _most = MAX_DROPPED_BYTES

    def gotLength(self, length: int | None) -> None:
        """The header is complete: decide how much of the body is kept."""
        # No route reads the type, and Twisted would take forms apart, at any size.
        self.requestHeaders.removeHeader(b"content-type")
        channel: Any = self.channel
        site = cast("BoundedSite", channel.site)
        self._kept = site.body_limit(self)
        self._most = max(MAX_DROPPED_BYTES, self._kept * DROPPED_FACTOR)
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a chunk of the body, drop it, or end the connection, as there is more and more."""
        room = self._kept - self.body_bytes
        self.body_bytes += len(data)
        if room > 0:
            Request.handleContentChunk(self, data[:room])
        if self.body_bytes > self._most:
            channel: Any = self.channel
            channel.transport.abortConnection()

    def body(self) -> bytes:
        """What was kept of the body."""
        return cast("BytesIO", self.content).getvalue()


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What the port may cost.

    :param connections: at the same time.
    :param body_bytes: the longest body that anybody may send.
    """

    connections: int
    body_bytes: int


class BoundedSite(Site):
    """A site with limits, and without an access log: a health check every few seconds is no news.

    :param root: answers the requests.
    :param connections: how many there may be at the same time.
    :param body_limit: how many bytes of its body are kept, by the header of a request.
    :param turned_away: told the address of whom there is no room for.
    :param reactor: for timers.
    """

    noisy = False
    displayTracebacks = False
    protocol = BoundedChannel  # type: ignore[assignment]

    def __init__(
        self,
        root: Resource,
        connections: int,
        body_limit: Callable[[Request], int],
        turned_away: Callable[[str], None],
        reactor: Any,
    ) -> None:
        Site.__init__(self, root, requestFactory=BoundedRequest, timeout=None, reactor=reactor)
        self.body_limit = body_limit
        self.channels: set[BoundedChannel] = set()
        self._most = connections
        self._turned_away = turned_away

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A channel for an accepted socket, or what ends it when there are too many."""
        if len(self.channels) >= self._most:
            self._turned_away(str(getattr(addr, "host", None) or "unix socket"))
            return RejectedConnection()
        return Site.buildProtocol(self, addr)

    def on_open(self, channel: BoundedChannel) -> None:
        """A connection is there."""
        self.channels.add(channel)

    def closed(self, channel: BoundedChannel) -> None:
        """A connection is gone."""
        self.channels.discard(channel)

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS may negotiate (RFC 7301): the one protocol that is spoken."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Without the clock of the access log, which would wake the process every second."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: HttpRequest) -> None:
        """Write nothing."""
