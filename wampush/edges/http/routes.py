"""The routes of the HTTP port: publishing, health, metrics, the demo page and static files.

Owns: the klein routes.
Must not import: wampush.wamp, wampush.broker, the other edges; what it shows, and what publishes,
is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from klein import Klein
from twisted.internet.defer import maybeDeferred
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from wampush.edges.access_log import AccessLog
from wampush.edges.client_files import client_files
from wampush.edges.http.event_stream import EventStreams
from wampush.edges.http.files import (
    NotFound,
    StaticFiles,
    shared_client_files,
    static_folder,
)
from wampush.edges.http.listings import ListingRoutes
from wampush.edges.http.probes import ProbeRoutes
from wampush.edges.http.publish import PublishRoute, TopicConverter
from wampush.edges.http.responses import (
    host_asked_for,
    respond,
    respond_answer,
    respond_file,
    respond_json,
    respond_no_access,
    respond_problem,
    respond_text,
)
from wampush.edges.http.site import BoundedSite, Guard
from wampush.edges.problems import RequestRefused
from wampush.errors import PushRefused, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource
    from twisted.web.server import Request

    from wampush.edges.http.listings import Listed
    from wampush.edges.http.operator_access import HttpAccess
    from wampush.edges.http.probes import Probed
    from wampush.edges.http.publish import Publisher
    from wampush.edges.http.site import BoundedRequest, HttpLimits
    from wampush.edges.topic_requests import Answer


#: The text format of Prometheus.
METRICS_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpView:
    """What the port shows; callables, because each request asks anew.

    :param status: returns the body of ``/healthz``; its ``status`` is "ok", or a word such as
        "stopping" with which the response is a 503.
    :param probed: says whether the node is ready.
    :param refusals: returns the last refused inputs, newest first, as ``/refusals`` shows them.
    :param refused_handshake: returns why a handshake of an address was refused just now; None when
        none was.
    :param websocket_url: returns the URL that pages connect to, given the host they were loaded
        from (IPv6 in brackets); None while no WebSocket listener is up. A configured port may be 0.
    :param push_address: returns where programs on this machine push to over ZeroMQ; None for none.
    :param metrics: returns the body of ``/metrics``, of type :data:`METRICS_TYPE`, at once or when
        all workers have said theirs.
    :param listed: topics and sessions.
    :param topic: returns the response to a request for a topic, from its target and If-None-Match,
        at once or when the topic is read; raises or fails with RequestRefused where there is
        nothing to show.
    :param watch: takes a function that gets topic and payload of each publication from then on;
        returns a function that ends this.
    """

    status: Callable[[], Mapping[str, object]]
    probed: Probed
    refusals: Callable[[], Sequence[Mapping[str, object]]]
    refused_handshake: Callable[[str], Mapping[str, object] | None]
    websocket_url: Callable[[str], str | None]
    push_address: Callable[[], str | None]
    metrics: Callable[[], bytes | Deferred[bytes]]
    listed: Listed
    topic: Callable[[str, str], Answer | Deferred[Answer]]
    watch: Callable[[Callable[[str, bytes], None]], Callable[[], None]]


def _refuse_topic(request: Request, failure: Failure) -> bytes:
    failure.trap(RequestRefused)
    return respond_problem(request, cast("RequestRefused", failure.value))


class HttpEdge:
    """Publishing, health, demo page and static files.

    :param view: what it shows.
    :param publisher: publishes.
    :param access: decides which requests may publish and see counts and refusals.
    :param limits: the limits of the port.
    :param folder: of the static files; :func:`~wampush.edges.http.files.static_folder` if omitted.
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
        self._listings = ListingRoutes(access, view.listed)
        self._probes = ProbeRoutes(access, view.probed)
        self._streams = EventStreams(access, view.watch)
        self._limits = limits
        self._folder = static_folder() if folder is None else folder
        self._client_files = shared_client_files() if folder is None else client_files(folder)
        self._not_found = NotFound((self._folder / "not-found.html").read_bytes())

    def site(
        self,
        reactor: Any,
        on_rejected: Callable[[str], None],
        on_wrong_protocol: Callable[[str, str], None],
        on_websocket: Callable[[str, str], None],
        access_log: AccessLog | None = None,
        keeps_connections: Callable[[], bool] = lambda: True,
    ) -> BoundedSite:
        """Return the factory that an endpoint listens with.

        :param reactor: for timers (``IReactorTime``).
        :param on_rejected: gets the address of a client for which there is no room.
        :param on_wrong_protocol: gets the address of a client that does not speak HTTP, and a
            sentence about what it does.
        :param on_websocket: gets the address of a client that tried to open a WebSocket, and a
            sentence with the right URL or "".
        :param access_log: gets a line for each request; None for no access log.
        :param keeps_connections: see :class:`BoundedSite`.
        """
        refuse_websocket = partial(self._refuse_websocket, on_websocket)
        return BoundedSite(
            Guard(self.app.resource(), self._refuse_unreadable_path, refuse_websocket),
            limits=self._limits,
            permits=self._access.permits,
            body_limit=self._publishing.body_limit,
            on_rejected=on_rejected,
            on_wrong_protocol=on_wrong_protocol,
            reactor=reactor,
            access_log=access_log,
            keeps_connections=keeps_connections,
        )

    def _refuse_unreadable_path(self, request: Request) -> bytes:
        if (request.postpath or [b""])[0] == b"publish":
            error = PushRefused(Refusal.NOT_UTF8, "This concerns the topic in the path.")
            return self._publishing.refuse(request, error, [request.path])
        return respond_problem(request, RequestRefused(400, "The path is not UTF-8."))

    def _refuse_websocket(
        self, on_websocket: Callable[[str, str], None], request: Request
    ) -> bytes:
        url = self._view.websocket_url(host_asked_for(request) or "127.0.0.1")
        peer = getattr(request.getClientAddress(), "host", None) or "unix socket"
        on_websocket(str(peer), f"The WebSocket is at {url}." if url else "")
        where = f"; the WebSocket is at {url}" if url else ""
        return respond_text(request, 400, f"This is the HTTP port of wampush{where}\n")

    def _push_address(self, request: Request) -> str | None:
        address = self._view.push_address()
        # Anyone who reaches this port may know the ZeroMQ port, but not paths of files.
        if address is None or address.startswith("tcp:") or self._access.permits(request):
            return address
        return None

    def _page(self, *names: str) -> IResource:
        page = StaticFiles(self._folder.joinpath(*names), self._not_found)
        # klein keeps the empty segment after a trailing slash; it is not the name of a child.
        page.isLeaf = True
        return cast("IResource", page)

    @app.route("/", methods=["OPTIONS"])
    def options(self, request: Request) -> bytes:
        """Answer a health check of haproxy as ``/healthz`` would."""
        request.setHeader(b"Allow", b"GET, HEAD, OPTIONS")
        is_ok = self._view.status().get("status") == "ok"
        return respond_text(request, 200 if is_ok else 503, "")

    @app.route("/", methods=["GET"])
    def home(self, request: Request) -> IResource:
        """Serve the overview page."""
        return self._page("index.html")

    @app.route("/publish", methods=["POST"])
    def publish_object(self, request: BoundedRequest) -> bytes | Deferred[bytes]:
        """Publish an object that names its topic."""
        return self._publishing.respond(request, None)

    @app.route("/publish/<topic:topic>", methods=["POST"])
    def publish(self, request: BoundedRequest, topic: str) -> bytes | Deferred[bytes]:
        """Publish any JSON value to a topic."""
        return self._publishing.respond(request, topic)

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: Request) -> bytes:
        """Serve health, with counts if permitted; 503 unless the status is "ok"."""
        status = dict(self._view.status())
        if not self._access.permits(request):
            status = {"status": status.get("status")}
        return respond_json(request, 200 if status.get("status") == "ok" else 503, status)

    @app.route("/livez", methods=["GET"])
    def livez(self, request: Request) -> bytes:
        """Say that the process is alive."""
        return self._probes.live(request)

    @app.route("/readyz", methods=["GET"])
    def readyz(self, request: Request) -> bytes:
        """Say whether the node is ready, and which part is not."""
        return self._probes.ready(request)

    @app.route("/refusals", methods=["GET"])
    def refusals(self, request: Request) -> bytes:
        """Serve the last refused inputs with their reasons."""
        if not self._access.permits(request):
            return respond_no_access(request)
        return respond_json(request, 200, {"refusals": self._view.refusals()})

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: Request) -> bytes | Deferred[bytes]:
        """Serve the metrics for Prometheus."""
        if not self._access.permits(request):
            return respond_no_access(request)
        metrics = self._view.metrics()
        if isinstance(metrics, bytes):
            return respond(request, 200, METRICS_TYPE, metrics)
        return metrics.addCallback(lambda text: respond(request, 200, METRICS_TYPE, text))

    @app.route("/sessions/<string:session_id>", methods=["GET"])
    def session(self, request: Request, session_id: str) -> bytes | Deferred[bytes]:
        """Serve identity, topics and refused inputs of a session."""
        return self._listings.session(request, session_id)

    @app.route("/sessions/<string:session_id>", methods=["DELETE"])
    def end_session(self, request: Request, session_id: str) -> bytes | Deferred[bytes]:
        """End a session."""
        return self._listings.end_session(request, session_id)

    @app.route("/sessions", methods=["GET"])
    def sessions(self, request: Request) -> bytes | Deferred[bytes]:
        """Serve a page of the sessions."""
        return self._listings.sessions(request)

    @app.route("/sessions", methods=["DELETE"])
    def end_user_sessions(self, request: Request) -> bytes | Deferred[bytes]:
        """End the sessions of a user."""
        return self._listings.end_user_sessions(request)

    @app.route("/events", methods=["GET"])
    def events(self, request: Request) -> bytes | Deferred[bytes]:
        """Serve every publication from now on."""
        return self._streams.respond(request)

    @app.route("/topics", methods=["GET"])
    def topics(self, request: Request) -> bytes | Deferred[bytes]:
        """Serve a page of the topics with subscribers."""
        return self._listings.topics(request)

    @app.route("/topics/<topic:topic>", methods=["GET"])
    @app.route("/topics/<topic:topic>/history", methods=["GET"])
    def topic(self, request: Request, topic: str) -> bytes | Deferred[bytes]:
        """Serve the state or the history of a topic."""
        if not self._access.permits(request):
            return respond_no_access(request)
        target = request.uri.decode("latin-1")
        known = (request.getHeader(b"if-none-match") or b"").decode("latin-1")
        done = maybeDeferred(self._view.topic, target, known)
        return done.addCallbacks(partial(respond_answer, request), partial(_refuse_topic, request))

    @app.route("/demo", methods=["GET"])
    def demo_without_slash(self, request: Request) -> bytes:
        """Redirect, because the relative links of the page need the slash."""
        request.setHeader(b"Location", b"demo/")
        return respond_text(request, 308, "The page is at demo/\n")

    @app.route("/demo/", methods=["GET"])
    def demo(self, request: Request) -> IResource:
        """Serve the demo page."""
        return self._page("demo", "index.html")

    @app.route("/demo/settings.json", methods=["GET"])
    def demo_settings(self, request: Request) -> bytes:
        """Serve the addresses that the demo page connects to and shows."""
        url = self._view.websocket_url(host_asked_for(request) or "127.0.0.1")
        if url is None:
            return respond_problem(request, RequestRefused(503, "no WebSocket listener is up"))
        return respond_json(request, 200, {"websocket": url, "push": self._push_address(request)})

    @app.route("/demo/refusal.json", methods=["GET"])
    def demo_refusal(self, request: Request) -> bytes:
        """Serve the reason for which a handshake of the same address was refused just now."""
        address = str(getattr(request.getClientAddress(), "host", ""))
        return respond_json(request, 200, {"refusal": self._view.refused_handshake(address)})

    @app.route("/openapi.json", methods=["GET"])
    def openapi(self, request: Request) -> IResource:
        """Serve the description of these routes for programs."""
        return self._page("openapi.json")

    @app.route("/favicon.ico", methods=["GET"])
    def favicon(self, request: Request) -> IResource:
        """Serve the icon that browsers request with responses that are not pages."""
        return self._page("wampush.svg")

    @app.route("/static/", methods=["GET"], branch=True)
    def static(self, request: Request) -> IResource | bytes:
        """Serve static files."""
        file = self._client_files.get(request.path.decode("latin-1"))
        if file is not None:
            return respond_file(request, file)
        return cast("IResource", StaticFiles(self._folder, self._not_found))

    @app.handle_errors(HTTPException)
    def unroutable(self, request: Request, failure: Failure) -> bytes:
        """Respond to a request that no route handles."""
        error = failure.value
        code = error.code if isinstance(error, HTTPException) and error.code is not None else 500
        # A redirect would only add the slash of a folder, and folders are not served.
        if code == 404 or isinstance(error, RequestRedirect):
            return self._not_found.render(request)
        text = "This address does not support such a request."
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            allowed = ", ".join(sorted(error.valid_methods))
            request.setHeader(b"Allow", allowed.encode())
            text = f"This address supports only {allowed}."
        return respond_problem(request, RequestRefused(code, text))

    # Otherwise klein would redirect "//healthz" to an absolute URL made from the Host header.
    app.url_map.merge_slashes = False
