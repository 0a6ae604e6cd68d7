"""The site of the HTTP port: what applies to every request, whatever it asks for.

Owns: the headers of every response, the limits on requests and connections, the requests that are
refused before any route sees them.
Must not import: wampush.wamp, wampush.broker, the other edges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from wampush.edges.access_log import AccessLog, AccessRecord
from wampush.edges.http.channel import BoundedChannel
from wampush.edges.http.connection_places import ConnectionPlaces
from wampush.edges.http.responses import host_asked_for, respond_problem
from wampush.edges.problems import RequestRefused
from wampush.errors import CloseReason
from wampush.net.addresses import counting_key
from wampush.net.rejected_connection import RejectedConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure
    from twisted.web.http import Request as HttpRequest

#: Bytes of a request body after which the connection ends, however little of it is kept; a sender
#: of fewer bytes gets a response.
MAX_DROPPED_BYTES: Final = 1_048_576
#: The same limit for a body of which more is kept: a multiple of the bytes kept.
DROPPED_FACTOR: Final = 16

_LOGGED_METHOD: Final = 20
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
    """The root resource: adds headers to every response and refuses malformed requests.

    :param routes: responds to all other requests.
    :param on_unreadable_path: responds to a request whose path is not UTF-8.
    :param on_websocket: responds to a request to open a WebSocket.
    """

    isLeaf = True

    def __init__(
        self,
        routes: Resource,
        on_unreadable_path: Callable[[Request], bytes],
        on_websocket: Callable[[Request], bytes],
    ) -> None:
        Resource.__init__(self)
        self._routes = routes
        self._on_unreadable_path = on_unreadable_path
        self._on_websocket = on_websocket

    def render(self, request: Request) -> bytes | int:
        """Respond, or let the routes do so."""
        for name, value in _SECURITY_HEADERS.items():
            request.setHeader(name, value)
        if _METHOD.fullmatch(request.method) is None:
            return _bad_request(request, "The request method is not valid.")
        if not _has_clear_end(request):
            channel: Any = request.channel
            channel.persistent = False
            return _bad_request(request, "Transfer-Encoding must be chunked alone.")
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (hosts and host_asked_for(request) is None):
            return _bad_request(request, "The Host header is not valid.")
        if (request.getHeader(b"upgrade") or b"").strip().lower() == b"websocket":
            return self._on_websocket(request)
        try:
            b"/".join(request.postpath or ()).decode()
        except UnicodeDecodeError:
            return self._on_unreadable_path(request)
        return cast("bytes | int", self._routes.render(request))


def _bad_request(request: Request, detail: str) -> bytes:
    return respond_problem(request, RequestRefused(400, detail))


def _has_clear_end(request: Request) -> bool:
    """Return whether every HTTP implementation agrees where a request ends.

    Twisted ignores the coding ``identity``, even after another one. A proxy may read it in another
    way and take part of a body for the next request (RFC 9112 section 6.1).
    """
    codings = request.requestHeaders.getRawHeaders(b"transfer-encoding", [b"chunked"])
    return [each.lower() for each in codings] == [b"chunked"]


class BoundedRequest(Request):
    """A request with a bounded body in memory; Twisted would spool a body of any size to disk."""

    #: Bytes of the body that have arrived, including those that were not kept.
    body_bytes = 0
    _kept = 0
    _max_body_bytes = MAX_DROPPED_BYTES
    #: For the access log, until it has its line; None where there is none.
    record: AccessRecord | None = None

    def gotLength(self, length: int | None) -> None:
        """Decide how much of the body is kept, once the header is complete."""
        # No route reads the type, and Twisted would parse forms of any size.
        self.requestHeaders.removeHeader(b"content-type")
        channel: Any = self.channel
        site = cast("BoundedSite", channel.site)
        channel.on_header(self)
        if site.access_log is not None:
            self.record = site.access_log.begin(channel.address)
        self._kept = site.body_limit(self)
        self._max_body_bytes = max(MAX_DROPPED_BYTES, self._kept * DROPPED_FACTOR)
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a chunk of the body, drop it, or end the connection: the size so far decides."""
        room = self._kept - self.body_bytes
        self.body_bytes += len(data)
        if room > 0:
            Request.handleContentChunk(self, data[:room])
        if self.body_bytes > self._max_body_bytes:
            channel: Any = self.channel
            channel.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """Take note that the connection ended before the response was complete."""
        # A request that is answered has its line, and no channel any more.
        if self.record is not None:
            channel: Any = self.channel
            cast("BoundedSite", channel.site).log_end(self, CloseReason.PEER_LOST.code)
        Request.connectionLost(self, reason)

    def body(self) -> bytes:
        """Return what was kept of the body."""
        return cast("BytesIO", self.content).getvalue()


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits of the port.

    :param connections: concurrent connections.
    :param per_address: of these, from one address; 0 for no limit.
    :param body_bytes: length of the longest body of a push, in bytes.
    :param counted_as: returns under which name an address is counted; None for one without a limit.
    """

    connections: int
    per_address: int
    body_bytes: int
    counted_as: Callable[[str], str | None] = counting_key


class BoundedSite(Site):
    """A site with limits.

    :param root: responds to the requests.
    :param limits: the limits of the port.
    :param permits: returns whether a request may see state.
    :param body_limit: returns how many bytes of its body are kept, for a request with a complete
        header.
    :param on_rejected: gets the address of a client for which there is no room.
    :param on_wrong_protocol: gets the address of a client that does not speak HTTP, and a sentence
        about what it does.
    :param reactor: for timers (``IReactorTime``).
    :param access_log: gets a line for each request; None for no access log.
    :param keeps_connections: returns whether connections may take further requests; not when
        another process is to get them.
    """

    noisy = False
    displayTracebacks = False
    protocol = BoundedChannel  # type: ignore[assignment]

    def __init__(
        self,
        root: Resource,
        *,
        limits: HttpLimits,
        permits: Callable[[Request], bool],
        body_limit: Callable[[Request], int],
        on_rejected: Callable[[str], None],
        on_wrong_protocol: Callable[[str, str], None],
        reactor: Any,
        access_log: AccessLog | None = None,
        keeps_connections: Callable[[], bool] = lambda: True,
    ) -> None:
        Site.__init__(self, root, requestFactory=BoundedRequest, timeout=None, reactor=reactor)
        self.access_log = access_log
        self.body_limit = body_limit
        self.keeps_connections = keeps_connections
        self.is_permitted = permits
        self.channels: ConnectionPlaces[BoundedChannel] = ConnectionPlaces(
            limits.connections, limits.per_address, limits.counted_as
        )
        self._on_rejected = on_rejected
        self._on_wrong_protocol = on_wrong_protocol

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a channel for an accepted socket, or a protocol that ends one too many."""
        address = str(getattr(addr, "host", None) or "unix socket")
        if self.channels.address_is_full(address):
            self._on_rejected(address)
            return RejectedConnection()
        if self.channels.is_full():
            oldest = self.channels.oldest_that_gives_way()
            self._on_rejected(address if oldest is None else oldest.address)
            if oldest is None:
                return RejectedConnection()
            self.channels.free(oldest)
            oldest.abort()
        return Site.buildProtocol(self, addr)

    def has_requests(self) -> bool:
        """Return whether requests are on their way, or being answered."""
        return any(each.has_request for each in self.channels)

    def on_open(self, channel: BoundedChannel) -> None:
        """Count a new connection."""
        self.channels.take(channel)

    def on_wrong_protocol(self, channel: BoundedChannel, mistake: str) -> None:
        """Report a client that does not speak HTTP."""
        self._on_wrong_protocol(channel.address, mistake)

    def on_closed(self, channel: BoundedChannel) -> None:
        """Stop counting a connection that is gone."""
        self.channels.free(channel)

    def acceptableProtocols(self) -> list[bytes]:
        """Return the protocols that TLS may negotiate (RFC 7301)."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Do nothing: Twisted's clock for the access log would wake the process every second."""

    def stopFactory(self) -> None:
        """Do nothing, because nothing was started."""

    def log(self, request: HttpRequest) -> None:
        """Log a request whose response is complete."""
        if isinstance(request, BoundedRequest):
            self.log_end(request, str(request.code))

    def log_end(self, request: BoundedRequest, reason: str) -> None:
        """Log a request once, if there is an access log.

        :param reason: the status of the response, or why there is none.
        """
        record, request.record = request.record, None
        if record is not None and self.access_log is not None:
            # Where the connection ends in the middle of the body, Twisted does not know it yet.
            if request.uri is not Request.uri:
                method = request.method[:_LOGGED_METHOD].decode("latin-1")
                record.on_request(method, request.uri.decode("latin-1"))
            record.received, record.sent = request.body_bytes, request.sentLength
            self.access_log.end(record, reason)
