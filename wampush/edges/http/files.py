"""The pages of the HTTP port: static files, and the response to unknown addresses.

Owns: where the static files are, which of them are served, what an unknown address gets.
Must not import: wampush.wamp, wampush.broker, the other edges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, cast

from twisted.web.resource import Resource
from twisted.web.static import File

from wampush.edges.client_files import ClientFile, client_files
from wampush.edges.http.responses import respond, respond_text, wants_html
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from twisted.web.server import Request

_STATIC_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")

_NOT_FOUND_TEXT = """\
There is nothing at this address. Available are:
  /               an overview page
  /publish/TOPIC  publishes the body of a POST, JSON, to a topic
  /publish        publishes the body of a POST, a JSON object that names its topic
  /healthz        health and counts, JSON
  /livez          answers while the process is alive, JSON
  /readyz         whether all parts are ready, JSON
  /metrics        metrics for Prometheus
  /refusals       the last refused inputs, JSON
  /events         every publication from now on, one JSON line each
  /topics         topics with their numbers of subscribers, JSON
  /sessions       open sessions, JSON
  /sessions/ID    identity, topics and refused inputs of a session, JSON
  /topics/TOPIC   what a topic keeps, and its position, JSON
  /openapi.json   a description of these addresses for programs (OpenAPI)
  /demo/          a page that shows pushes as they arrive
"""


def static_folder() -> Path:
    """Return the folder of the static files: of the installed package, or of the checkout.

    :raises OperatorError: neither exists; the installation is incomplete.
    """
    installed = resources.files("wampush").joinpath("static")
    if isinstance(installed, Path) and (installed / "index.html").is_file():
        return installed
    checkout = Path(__file__).resolve().parents[3] / "static"
    if (checkout / "index.html").is_file():
        return checkout
    raise OperatorError("the static files of wampush are missing; install the package again")


@cache
def shared_client_files() -> Mapping[str, ClientFile]:
    """Return the client for pages. Both ports share it, half a megabyte, which is read once.

    :raises OperatorError: the installation is incomplete.
    :raises OSError: a file cannot be read.
    """
    return client_files(static_folder())


class NotFound(Resource):
    """Lists what exists: a page for browsers, plain text for other clients.

    :param page: the HTML page.
    """

    isLeaf = True

    def __init__(self, page: bytes) -> None:
        Resource.__init__(self)
        self._page = page

    def render(self, request: Request) -> bytes:
        """Respond to any method."""
        if wants_html(request):
            return respond(request, 404, b"text/html; charset=utf-8", self._page)
        return respond_text(request, 404, _NOT_FOUND_TEXT)


class StaticFiles(File):
    """Files of known types below a folder; subfolders, hidden and other files do not exist.

    :param path: the folder, or a file in it.
    :param not_found: responds for everything else.
    """

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

    def createSimilarFile(self, path: str) -> StaticFiles:
        """Return a child; Twisted's own version passes its own constructor arguments."""
        return StaticFiles(Path(path), self.childNotFound)

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return the file or folder of a path segment, or the page for what does not exist."""
        name = path.decode("ascii", "replace")
        # The pattern excludes the empty name, too, which would list the folder.
        if _STATIC_NAME.fullmatch(name) is None:
            return self.childNotFound
        child = File.getChild(self, path, request)
        if isinstance(child, StaticFiles) and not request.postpath and not child.is_served():
            return self.childNotFound
        return cast("Resource", child)

    def is_served(self) -> bool:
        """Return whether this is a regular file of a known type."""
        return bool(self.isfile() and self.splitext()[1].lower() in self.contentTypes)

    def render_GET(self, request: Request) -> bytes | int:
        """Send the file; caches may keep it but must revalidate it each time."""
        request.setHeader(b"Cache-Control", b"no-cache")
        # Twisted would send thousands of overlapping ranges in full; these files are short.
        request.requestHeaders.removeHeader(b"range")
        return cast("bytes | int", File.render_GET(self, request))

    render_HEAD = render_GET
