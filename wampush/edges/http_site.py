"""The wall of the HTTP port: what holds for every request, whatever it asks for.

Owns: the headers of every answer, the limits on a request, what no route should have to see.
Must not import: wampush.wamp, wampush.broker, of the edges only ``http_answers``.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Final, cast

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from wampush.edges.http_answers import host_asked_for, respond_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.http import Request as HttpRequest

#: Bytes of a request body after which the connection ends, whatever is kept of it; up to here the
#: sender gets an answer.
MAX_DROPPED_BYTES: Final = 1_048_576
#: The same for a body of which more is kept, as a multiple of that.
DROPPED_FACTOR: Final = 16
#: Seconds without a byte after which an HTTP connection is closed.
IDLE_TIMEOUT: Final = 60.0

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
    """

    isLeaf = True

    def __init__(self, routes: Resource, unreadable: Callable[[Request], bytes]) -> None:
        Resource.__init__(self)
        self._routes = routes
        self._unreadable = unreadable

    def render(self, request: Request) -> bytes | int:
        """Answer, or let the routes do so."""
        for name, value in _SECURITY_HEADERS.items():
            request.setHeader(name, value)
        if _METHOD.fullmatch(request.method) is None:
            return respond_text(request, 400, "The request method is not valid.\n")
        if request.getHeader(b"host") is not None and host_asked_for(request) is None:
            return respond_text(request, 400, "The Host header is not valid.\n")
        try:
            b"/".join(request.postpath or ()).decode()
        except UnicodeDecodeError:
            return self._unreadable(request)
        return cast("bytes | int", self._routes.render(request))


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
        site = cast("BoundedSite", self.channel.site)
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
            self.channel.loseConnection()

    def body(self) -> bytes:
        """What was kept of the body."""
        return cast("BytesIO", self.content).getvalue()


class BoundedSite(Site):
    """A site with limits, and without an access log: a health check every few seconds is no news.

    :param root: answers the requests.
    :param body_limit: how many bytes of its body are kept, by the header of a request.
    """

    noisy = False
    displayTracebacks = False

    def __init__(self, root: Resource, body_limit: Callable[[Request], int]) -> None:
        Site.__init__(self, root, requestFactory=BoundedRequest, timeout=IDLE_TIMEOUT)
        self.body_limit = body_limit

    def log(self, request: HttpRequest) -> None:
        """Write nothing."""
