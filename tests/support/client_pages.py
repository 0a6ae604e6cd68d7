"""Pages with the scripts of client-js/, under a policy that forbids eval and inline scripts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.pages import PageServer, page_server

STATIC = Path(__file__).resolve().parents[2] / "static"
SCRIPTS = ("wampush.js", "wampush-cra.js", "wampush-modern.js", "wampush-tabs.js")
POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src ws: http:"
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI}`);
});
"""


class ClientPages:
    """A web server with pages that load the client."""

    def __init__(self, server: PageServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """The address of the web server, without a path."""
        return self._server.url

    def page(self, *scripts: str, before: str = "", code: str = "", body: str = "") -> str:
        """Add a page; return its address.

        :param scripts: that it loads; all of the client if there are none.
        :param before: code of a script before them.
        :param code: of a script after them.
        :param body: HTML.
        """
        name = f"page-{len(self._server.files)}"
        sources = ("watch.js", f"before-{name}.js", *(scripts or SCRIPTS), f"{name}.js")
        tags = "".join(f'<script src="/{source}" defer></script>' for source in sources)
        self._server.files[f"/before-{name}.js"] = before.encode()
        self._server.files[f"/{name}.js"] = code.encode()
        self._server.files[f"/{name}.html"] = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Client</title>'
            '<link rel="icon" href="data:,">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}; img-src data:">'
            f"{tags}</head><body>{body}</body></html>"
        ).encode()
        return f"{self.url}/{name}.html"


@contextlib.contextmanager
def client_pages() -> Iterator[ClientPages]:
    """Serve pages with the client for the length of the block."""
    files = {f"/{path.name}": path.read_bytes() for path in STATIC.glob("wampush*.js")}
    files["/watch.js"] = _WATCH.encode()
    with page_server(files) as server:
        yield ClientPages(server)
