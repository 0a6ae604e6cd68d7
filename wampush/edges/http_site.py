"""The wall of the HTTP port: what holds for every request, whatever it asks for.

Owns: the headers of every answer, the limits on a request, what no route should have to see.
Must not import: wampush.wamp, wampush.broker, of the edges only ``http_answers``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from wampush.edges.http_answers import host_asked_for, respond_text

if TYPE_CHECKING:
    from twisted.web.http import Request as HttpRequest

#: Bytes of request body that are kept; every route is a GET, so nobody needs more.
MAX_BODY_BYTES = 65_536
#: Bytes of request body after which the connection ends; up to here the sender gets an answer.
MAX_DROPPED_BYTES = 1_048_576
#: Seconds without a byte after which an HTTP connection is closed.
IDLE_TIMEOUT = 60.0

_METHOD = re.compile(rb"[A-Z]{1,20}")

_SECURITY_HEADERS = {
    b"Server": b"wampush",
    b"X-Content-Type-Options": b"nosniff",
    b"Referrer-Policy": b"no-referrer",
    b"Content-Security-Policy": (
        b"default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class Guard(Resource):
    """The root: gives every response its headers and refuses what no route should have to see."""

    isLeaf = True

    def __init__(self, routes: Resource) -> None:
        Resource.__init__(self)
        self._routes = routes

    def render(self, request: Request) -> bytes | int:
        """Answer, or let the routes do so."""
        for name, value in _SECURITY_HEADERS.items():
            request.setHeader(name, value)
        if _METHOD.fullmatch(request.method) is None:
            return respond_text(request, 400, "The request method is not valid.\n")
        if isinstance(request, BoundedRequest) and request.body_bytes > MAX_BODY_BYTES:
            return respond_text(request, 413, "The request body is too long.\n")
        if request.getHeader(b"host") is not None and host_asked_for(request) is None:
            return respond_text(request, 400, "The Host header is not valid.\n")
        try:
            b"/".join(request.postpath or ()).decode()
        except UnicodeDecodeError:
            return respond_text(request, 400, "The path is not UTF-8.\n")
        return cast("bytes | int", self._routes.render(request))


class BoundedRequest(Request):
    """A request whose body may not fill the disk: Twisted spools bodies of any size."""

    body_bytes = 0

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a chunk of the body, drop it, or end the connection, as there is more and more."""
        self.body_bytes += len(data)
        if self.body_bytes <= MAX_BODY_BYTES:
            Request.handleContentChunk(self, data)
        elif self.body_bytes > MAX_DROPPED_BYTES:
            self.channel.loseConnection()


class QuietSite(Site):
    """A site without an access log: a health check every few seconds is no news."""

    noisy = False
    displayTracebacks = False

    def __init__(self, root: Resource) -> None:
        Site.__init__(self, root, requestFactory=BoundedRequest, timeout=IDLE_TIMEOUT)

    def log(self, request: HttpRequest) -> None:
        """Write nothing."""
