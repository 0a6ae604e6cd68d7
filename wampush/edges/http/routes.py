"""The HTTP edge: publishing, health, the demo page and static files, on a port of their own.

Owns: the klein routes.
Must not import: wampush.wamp, wampush.broker, of the edges only the other ``http_`` modules; what
it shows, and what publishes, is handed in, so that it can be tested and replaced alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from klein import Klein
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from wampush.edges.http.answers import (
    host_asked_for,
    respond,
    respond_json,
    respond_no_access,
    respond_text,
)
from wampush.edges.http.files import NotFound, StaticFiles, static_folder
from wampush.edges.http.publish import PublishRoute, TopicConverter
from wampush.edges.http.site import BoundedSite, Guard
from wampush.errors import PushRefused, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource
    from twisted.web.server import Request

    from wampush.edges.http.access import HttpAccess
    from wampush.edges.http.publish import Publisher
    from wampush.edges.http.site import BoundedRequest, HttpLimits


#: The text format of Prometheus.
METRICS_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpView:
    """What the port shows; callables, because it is made anew for each request.

    :param status: what ``/healthz`` answers; its ``status`` is "ok" or a word that makes the
        answer a 503, e.g. "stopping".
    :param refusals: the last refused inputs, newest first, as ``/refusals`` shows them.
    :param session: what is known of one session, None when there is none of that id.
    :param websocket_url: the URL pages connect to, given the host they were loaded from (IPv6 in
        brackets); None while no WebSocket listener is up. A configured port may be 0.
    :param push_address: where programs of this machine push to over ZeroMQ; None when nowhere.
    :param metrics: what ``/metrics`` answers, as :data:`METRICS_TYPE` says.
    """

    status: Callable[[], Mapping[str, object]]
    refusals: Callable[[], Sequence[Mapping[str, object]]]
    session: Callable[[str], Mapping[str, object] | None]
    websocket_url: Callable[[str], str | None]
    push_address: Callable[[], str | None]
    metrics: Callable[[], bytes]


class HttpEdge:
    """Publishing, health, demo page and static files.

    :param view: what it shows.
    :param publisher: carries out what is published.
    :param access: who may publish and see counts and refusals.
    :param limits: what it may cost.
    :param folder: the static files; those of :func:`~wampush.edges.http.files.static_folder` when
        left out.
    :raises OperatorError: the static files are missing.
    """

    app = Klein()
    app.url_map.converters["topic"] = TopicConverter

    def __init__(
        self,
        view: HttpView,
        publisher: Publisher,
        access: HttpAccess,
        limits: HttpLimits,
        folder: Path | None = None,
    ) -> None:
        self._view = view
        self._access = access
        self._publishing = PublishRoute(access, publisher, limits.body_bytes)
        self._limits = limits
        self._folder = static_folder() if folder is None else folder
        self._not_found = NotFound((self._folder / "not-found.html").read_bytes())

    def site(self, reactor: Any, turned_away: Callable[[str], None]) -> BoundedSite:
        """What an endpoint listens with.

        :param reactor: for timers (``IReactorTime``).
        :param turned_away: told the address of whom there is no room for.
        """
        guard = Guard(self.app.resource(), self._path_is_not_text, self._no_websocket)
        most = self._limits.connections
        return BoundedSite(guard, most, self._publishing.body_limit, turned_away, reactor)

    def _path_is_not_text(self, request: Request) -> bytes:
        if (request.postpath or [b""])[0] == b"publish":
            error = PushRefused(Refusal.NOT_UTF8, "It is the topic in the path.")
            return self._publishing.refuse(request, error, [request.path])
        return respond_text(request, 400, "The path is not UTF-8.\n")

    def _no_websocket(self, request: Request) -> bytes:
        url = self._view.websocket_url(host_asked_for(request) or "127.0.0.1")
        where = f"; the WebSocket is at {url}" if url else ""
        return respond_text(request, 400, f"This is the HTTP port of wampush{where}\n")

    def _push_address(self, request: Request) -> str | None:
        address = self._view.push_address()
        # The port is no secret to who reaches this one; paths of files are not for everybody.
        if address is None or address.startswith("tcp:") or self._access.permits(request):
            return address
        return None

    def _page(self, *names: str) -> IResource:
        page = StaticFiles(self._folder.joinpath(*names), self._not_found)
        # klein leaves the empty segment after a last slash; it is not a child's name.
        page.isLeaf = True
        return cast("IResource", page)

    @app.route("/", methods=["GET"])
    def home(self, request: Request) -> IResource:
        """What this is, with links."""
        return self._page("index.html")

    @app.route("/publish", methods=["POST"])
    def publish_object(self, request: BoundedRequest) -> bytes | Deferred[bytes]:
        """Publish an object that names its topic."""
        return self._publishing.answer(request, None)

    @app.route("/publish/<topic:topic>", methods=["POST"])
    def publish(self, request: BoundedRequest, topic: str) -> bytes | Deferred[bytes]:
        """Publish any JSON value to a topic."""
        return self._publishing.answer(request, topic)

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: Request) -> bytes:
        """Health, and counts for those who may see them; 503 unless the status is "ok"."""
        status = dict(self._view.status())
        if not self._access.permits(request):
            status = {"status": status.get("status")}
        return respond_json(request, 200 if status.get("status") == "ok" else 503, status)

    @app.route("/refusals", methods=["GET"])
    def refusals(self, request: Request) -> bytes:
        """The last inputs that were refused, and why."""
        if not self._access.permits(request):
            return respond_no_access(request)
        return respond_json(request, 200, {"refusals": self._view.refusals()})

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: Request) -> bytes:
        """What is counted, for Prometheus."""
        if not self._access.permits(request):
            return respond_no_access(request)
        return respond(request, 200, METRICS_TYPE, self._view.metrics())

    @app.route("/sessions/<string:session_id>", methods=["GET"])
    def session(self, request: Request, session_id: str) -> bytes:
        """What is known of one session: who it is, its topics, what was refused of it."""
        if not self._access.permits(request):
            return respond_no_access(request)
        found = self._view.session(session_id)
        if found is None:
            return respond_json(request, 404, {"error": "no session has this id"})
        return respond_json(request, 200, found)

    @app.route("/demo", methods=["GET"])
    def demo_without_slash(self, request: Request) -> bytes:
        """The page's relative links need the slash."""
        request.setHeader(b"Location", b"demo/")
        return respond_text(request, 308, "The page is at demo/\n")

    @app.route("/demo/", methods=["GET"])
    def demo(self, request: Request) -> IResource:
        """The demo page."""
        return self._page("demo", "index.html")

    @app.route("/demo/settings.json", methods=["GET"])
    def demo_settings(self, request: Request) -> bytes:
        """Where the demo page finds the WebSocket, and what its lines to copy push to."""
        url = self._view.websocket_url(host_asked_for(request) or "127.0.0.1")
        if url is None:
            return respond_json(request, 503, {"error": "no WebSocket listener is up"})
        return respond_json(request, 200, {"websocket": url, "push": self._push_address(request)})

    @app.route("/static/", methods=["GET"], branch=True)
    def static(self, request: Request) -> IResource:
        """Static files."""
        return cast("IResource", StaticFiles(self._folder, self._not_found))

    @app.handle_errors(HTTPException)
    def refused(self, request: Request, failure: Failure) -> bytes:
        """What no route answers."""
        error = failure.value
        code = error.code if isinstance(error, HTTPException) and error.code is not None else 500
        # A redirect would only add the slash that leads to a folder, and folders are not served.
        if code == 404 or isinstance(error, RequestRedirect):
            return self._not_found.render(request)
        words = "This address does not answer such a request."
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            allowed = ", ".join(sorted(error.valid_methods))
            request.setHeader(b"Allow", allowed.encode())
            words = f"This address answers {allowed} and no other method."
        return respond_text(request, code, f"{words}\n")

    # Otherwise "//healthz" would be redirected to an absolute URL made from the Host header.
    app.url_map.merge_slashes = False
