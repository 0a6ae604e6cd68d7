"""The HTTP edge: health, the demo page and static files, on a port of their own.

Owns: the klein routes.
Must not import: wampush.wamp, wampush.broker, of the edges only the other ``http_`` modules; what
it shows is handed in as callables, so that it can be tested and replaced alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from klein import Klein
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from wampush.edges.http_answers import (
    host_asked_for,
    respond_json,
    respond_no_access,
    respond_text,
)
from wampush.edges.http_files import NotFound, StaticFiles, static_folder
from wampush.edges.http_site import Guard, QuietSite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from twisted.python.failure import Failure
    from twisted.web.resource import IResource
    from twisted.web.server import Request, Site

    from wampush.edges.http_access import HttpAccess


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
    :param folder: the static files; those of :func:`~wampush.edges.http_files.static_folder` when
        left out.
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
        self._not_found = NotFound((self._folder / "not-found.html").read_bytes())

    def site(self) -> Site:
        """What an endpoint listens with."""
        return QuietSite(Guard(self.app.resource()))

    def _may_see(self, request: Request) -> bool:
        return self._access.permits(request, host_asked_for(request))

    def _page(self, *names: str) -> IResource:
        page = StaticFiles(self._folder.joinpath(*names), self._not_found)
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
        return respond_json(request, 200 if status.get("status") == "ok" else 503, status)

    @app.route("/refusals", methods=["GET"])
    def refusals(self, request: Request) -> bytes:
        """The last inputs that were refused, and why."""
        if not self._may_see(request):
            return respond_no_access(request)
        return respond_json(request, 200, {"refusals": self._refusals()})

    @app.route("/sessions/<string:session_id>", methods=["GET"])
    def session(self, request: Request, session_id: str) -> bytes:
        """What is known of one session: who it is, its topics, what was refused of it."""
        if not self._may_see(request):
            return respond_no_access(request)
        found = self._session(session_id)
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
        """Where the demo page finds the WebSocket."""
        url = self._websocket_url(host_asked_for(request) or "127.0.0.1")
        if url is None:
            return respond_json(request, 503, {"error": "no WebSocket listener is up"})
        return respond_json(request, 200, {"websocket": url})

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
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            request.setHeader(b"Allow", ", ".join(sorted(error.valid_methods)).encode())
        return respond_text(request, code, "This address does not answer such a request.\n")

    # Otherwise "//healthz" would be redirected to an absolute URL made from the Host header.
    app.url_map.merge_slashes = False
