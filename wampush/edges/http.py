"""The HTTP edge: health, the demo page and static files, on a port of their own.

Owns: the klein routes, what every response carries (security and cache headers), and where the
static files are. Must not import: wampush.wamp, wampush.broker, of the edges only ``http_access``;
what it shows is handed in as callables, so that it can be tested and replaced alone.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, cast

import orjson
from klein import Klein
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.static import File
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from wampush.edges.http_access import HttpAccess
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twisted.python.failure import Failure
    from twisted.web.http import Request as HttpRequest

#: Bytes of request body that are kept; every route is a GET, so nobody needs more.
MAX_BODY_BYTES = 65_536
#: Bytes of request body after which the connection ends; up to here the sender gets an answer.
MAX_DROPPED_BYTES = 1_048_576
#: Seconds without a byte after which an HTTP connection is closed.
IDLE_TIMEOUT = 60.0

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
#: RFC 9110 section 7.2: host name, IPv4 address or bracketed IPv6 address, then perhaps a port.
_HOST = re.compile(rf"({_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{0,5}})?")
_MAX_HOST_LENGTH = 260
_METHOD = re.compile(rb"[A-Z]{1,20}")
_STATIC_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")

_SECURITY_HEADERS = {
    b"Server": b"wampush",
    b"X-Content-Type-Options": b"nosniff",
    b"Referrer-Policy": b"no-referrer",
    b"Content-Security-Policy": (
        b"default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}

_NO_ACCESS_TEXT = """\
This needs "Authorization: Bearer TOKEN" with the token of http.token_file. Where none is set, only
requests of this machine itself to 127.0.0.1 or localhost are answered.
"""

_NOT_FOUND_TEXT = """\
Nothing is served at this address. There is:
  /          what this is
  /healthz   health and counts, JSON
  /refusals  the last inputs that were refused, JSON
  /sessions/ID  who a session is, its topics, what was refused of it, JSON
  /demo/     a page that shows pushes as they arrive
"""


def static_folder() -> Path:
    """Where the static files are: the installed package ``wampush.static``, or the checkout.

    :raises OperatorError: neither exists; the installation is incomplete.
    """
    installed = resources.files("wampush").joinpath("static")
    if isinstance(installed, Path) and (installed / "index.html").is_file():
        return installed
    checkout = Path(__file__).resolve().parents[2] / "static"
    if (checkout / "index.html").is_file():
        return checkout
    raise OperatorError("the static files of wampush are missing; install the package again")


def host_of(header: str) -> str | None:
    """The host of a Host header without its port, or None when it is not valid (RFC 9110, 7.2)."""
    if len(header) > _MAX_HOST_LENGTH:
        return None
    match = _HOST.fullmatch(header)
    return match.group(1) if match else None


def _host_asked_for(request: Request) -> str | None:
    header = request.getHeader(b"host")
    return None if header is None else host_of(header.decode("latin-1"))


def _wants_html(request: Request) -> bool:
    accept = request.getHeader(b"accept")
    return accept is not None and b"text/html" in accept


def _respond(request: Request, code: int, content_type: bytes, body: bytes) -> bytes:
    """Set status and type of an answer that is made anew for each request."""
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.setHeader(b"Cache-Control", b"no-store")
    return body


def _respond_text(request: Request, code: int, text: str) -> bytes:
    return _respond(request, code, b"text/plain; charset=utf-8", text.encode())


def _respond_json(request: Request, code: int, value: object) -> bytes:
    return _respond(request, code, b"application/json", orjson.dumps(value) + b"\n")


def _respond_no_access(request: Request) -> bytes:
    request.setHeader(b"WWW-Authenticate", b'Bearer realm="wampush"')
    return _respond_text(request, 401, _NO_ACCESS_TEXT)


class _NotFound(Resource):
    """Says what exists: a page to browsers, plain text to everybody else."""

    isLeaf = True

    def __init__(self, page: bytes) -> None:
        Resource.__init__(self)
        self._page = page

    def render(self, request: Request) -> bytes:
        if _wants_html(request):
            return _respond(request, 404, b"text/html; charset=utf-8", self._page)
        return _respond_text(request, 404, _NOT_FOUND_TEXT)


class _StaticFiles(File):
    """Files of known types below one folder; folders, hidden and other files do not exist."""

    contentTypes = {  # noqa: RUF012 - Twisted wants a plain dict here
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".ico": "image/x-icon",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
        ".woff2": "font/woff2",
    }

    def __init__(self, path: Path, not_found: Resource) -> None:
        File.__init__(self, str(path))
        self.childNotFound: Resource = not_found  # type: ignore[assignment]

    def createSimilarFile(self, path: str) -> _StaticFiles:
        """A child; Twisted's own version repeats its constructor's arguments."""
        return _StaticFiles(Path(path), self.childNotFound)

    def getChild(self, path: bytes, request: Request) -> Resource:
        """The file or folder of one path segment, or the page for what does not exist."""
        name = path.decode("ascii", "replace")
        # An empty name, which would list the folder, is none of these either.
        if _STATIC_NAME.fullmatch(name) is None:
            return self.childNotFound
        child = File.getChild(self, path, request)
        if isinstance(child, _StaticFiles) and not request.postpath and not child.is_served():
            return self.childNotFound
        return cast("Resource", child)

    def is_served(self) -> bool:
        """Whether this is a regular file of a known type."""
        return bool(self.isfile() and self.splitext()[1].lower() in self.contentTypes)

    def render_GET(self, request: Request) -> bytes | int:
        """Send the file; caches keep it but ask each time whether it changed."""
        request.setHeader(b"Cache-Control", b"no-cache")
        return cast("bytes | int", File.render_GET(self, request))

    render_HEAD = render_GET


class _Guard(Resource):
    """The root: gives every response its headers and refuses what no route should have to see."""

    isLeaf = True

    def __init__(self, routes: Resource) -> None:
        Resource.__init__(self)
        self._routes = routes

    def render(self, request: Request) -> bytes | int:
        for name, value in _SECURITY_HEADERS.items():
            request.setHeader(name, value)
        if _METHOD.fullmatch(request.method) is None:
            return _respond_text(request, 400, "The request method is not valid.\n")
        if isinstance(request, _BoundedRequest) and request.body_bytes > MAX_BODY_BYTES:
            return _respond_text(request, 413, "The request body is too long.\n")
        if request.getHeader(b"host") is not None and _host_asked_for(request) is None:
            return _respond_text(request, 400, "The Host header is not valid.\n")
        try:
            b"/".join(request.postpath or ()).decode()
        except UnicodeDecodeError:
            return _respond_text(request, 400, "The path is not UTF-8.\n")
        return cast("bytes | int", self._routes.render(request))


class _BoundedRequest(Request):
    """A request whose body may not fill the disk: Twisted spools bodies of any size."""

    body_bytes = 0

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a chunk of the body, drop it, or end the connection, as there is more and more."""
        self.body_bytes += len(data)
        if self.body_bytes <= MAX_BODY_BYTES:
            Request.handleContentChunk(self, data)
        elif self.body_bytes > MAX_DROPPED_BYTES:
            self.channel.loseConnection()


class _QuietSite(Site):
    """A site without an access log: a health check every few seconds is no news."""

    noisy = False
    displayTracebacks = False

    def __init__(self, root: Resource) -> None:
        Site.__init__(self, root, requestFactory=_BoundedRequest, timeout=IDLE_TIMEOUT)

    def log(self, request: HttpRequest) -> None:
        """Write nothing."""


class HttpEdge:
    """Health, demo page and static files.

    :param status: what ``/healthz`` answers; its ``status`` is "ok" or a word that makes the
        answer a 503, e.g. "stopping".
    :param websocket_url: the URL pages connect to, given the host they were loaded from (IPv6 in
        brackets); None while no WebSocket listener is up. A callable, because a configured port
        may be 0.
    :param refusals: the last refused inputs, newest first, as ``/refusals`` shows them.
    :param session: what is known of one session, None when there is none of that id.
    :param access: who may see counts and refusals.
    :param folder: the static files; :func:`static_folder` when left out.
    :raises OperatorError: the static files are missing.
    """

    app = Klein()

    def __init__(
        self,
        status: Callable[[], Mapping[str, object]],
        websocket_url: Callable[[str], str | None],
        refusals: Callable[[], Sequence[Mapping[str, object]]],
        session: Callable[[str], Mapping[str, object] | None],
        access: HttpAccess,
        folder: Path | None = None,
    ) -> None:
        self._status = status
        self._refusals = refusals
        self._session = session
        self._access = access
        self._websocket_url = websocket_url
        self._folder = static_folder() if folder is None else folder
        self._not_found = _NotFound((self._folder / "not-found.html").read_bytes())

    def site(self) -> Site:
        """What an endpoint listens with."""
        return _QuietSite(_Guard(self.app.resource()))

    def _may_see(self, request: Request) -> bool:
        return self._access.permits(request, _host_asked_for(request))

    def _page(self, *names: str) -> IResource:
        page = _StaticFiles(self._folder.joinpath(*names), self._not_found)
        # klein leaves the empty segment after a last slash; it is not a child's name.
        page.isLeaf = True
        return cast("IResource", page)

    @app.route("/", methods=["GET"])
    def home(self, request: Request) -> IResource:
        """What this is, with links."""
        return self._page("index.html")

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: Request) -> bytes:
        """Health, and counts for those who may see them; 503 unless the status is "ok"."""
        status = dict(self._status())
        if not self._may_see(request):
            status = {"status": status.get("status")}
        return _respond_json(request, 200 if status.get("status") == "ok" else 503, status)

    @app.route("/refusals", methods=["GET"])
    def refusals(self, request: Request) -> bytes:
        """The last inputs that were refused, and why."""
        if not self._may_see(request):
            return _respond_no_access(request)
        return _respond_json(request, 200, {"refusals": self._refusals()})

    @app.route("/sessions/<string:session_id>", methods=["GET"])
    def session(self, request: Request, session_id: str) -> bytes:
        """What is known of one session: who it is, its topics, what was refused of it."""
        if not self._may_see(request):
            return _respond_no_access(request)
        found = self._session(session_id)
        if found is None:
            return _respond_json(request, 404, {"error": "no session has this id"})
        return _respond_json(request, 200, found)

    @app.route("/demo", methods=["GET"])
    def demo_without_slash(self, request: Request) -> bytes:
        """The page's relative links need the slash."""
        request.setHeader(b"Location", b"demo/")
        return _respond_text(request, 308, "The page is at demo/\n")

    @app.route("/demo/", methods=["GET"])
    def demo(self, request: Request) -> IResource:
        """The demo page."""
        return self._page("demo", "index.html")

    @app.route("/demo/settings.json", methods=["GET"])
    def demo_settings(self, request: Request) -> bytes:
        """Where the demo page finds the WebSocket."""
        url = self._websocket_url(_host_asked_for(request) or "127.0.0.1")
        if url is None:
            return _respond_json(request, 503, {"error": "no WebSocket listener is up"})
        return _respond_json(request, 200, {"websocket": url})

    @app.route("/static/", methods=["GET"], branch=True)
    def static(self, request: Request) -> IResource:
        """Static files."""
        return cast("IResource", _StaticFiles(self._folder, self._not_found))

    @app.handle_errors(HTTPException)
    def refused(self, request: Request, failure: Failure) -> bytes:
        """What no route answers."""
        error = failure.value
        code = error.code if isinstance(error, HTTPException) and error.code is not None else 500
        # A redirect would only add the slash that leads to a folder, and folders are not served.
        if code == 404 or isinstance(error, RequestRedirect):
            return self._not_found.render(request)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            request.setHeader(b"Allow", ", ".join(sorted(error.valid_methods)).encode())
        return _respond_text(request, code, "This address does not answer such a request.\n")

    # Otherwise "//healthz" would be redirected to an absolute URL made from the Host header.
    app.url_map.merge_slashes = False
