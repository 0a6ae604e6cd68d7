"""Who may see state over HTTP, and who may change it.

Owns: checking the bearer token, what counts as this machine, and recognising requests of web pages.
Must not import: Autobahn, the broker.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wampush.edges.http.responses import bearer, host_asked_for
from wampush.errors import Refusal
from wampush.net.origins import is_loopback_name
from wampush.net.trusted_proxies import PROXY_HEADERS
from wampush.web_origin import canonical

if TYPE_CHECKING:
    from twisted.web.server import Request

#: Values of Sec-Fetch-Site (W3C Fetch Metadata) that pages of other sites cannot cause: our own
#: pages, and what a person does in the browser itself.
_OWN_FETCHES: Final = frozenset((b"same-origin", b"none"))


def is_from_another_site(request: Request) -> bool:
    """Return whether a page of another site sent a request.

    Any page can make the browser send a POST to any address, without asking the server first (a
    "simple request" of the Fetch standard). It cannot read the response, but the harm would be
    done. Browsers report this in headers that pages cannot change: Origin (RFC 6454) with each
    POST, including the opaque ``null``, and Sec-Fetch-Site. Other programs send neither. Another
    port of this machine is another site, because another program answers there.
    """
    headers = request.requestHeaders
    fetched = headers.getRawHeaders(b"sec-fetch-site", [])
    if any(value.strip().lower() not in _OWN_FETCHES for value in fetched):
        return True
    scheme = "https" if request.isSecure() else "http"
    host = (request.getHeader(b"host") or b"").decode("latin-1")
    own = canonical(f"{scheme}://{host}")
    origins = headers.getRawHeaders(b"origin", [])
    return any(
        own is None or canonical(value.decode("latin-1").strip()) != own for value in origins
    )


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Decides whether a request may see or change state.

    With a token, requests must carry it (``Authorization: Bearer``, RFC 6750 section 2.1). Without
    one, only requests from this machine are permitted: they come from a loopback address, ask for a
    loopback name (a page of another site whose name resolves to 127.0.0.1 does not), and passed no
    proxy, whose own requests would look local.

    :param token: the token; None when http.token_file is not set.
    """

    token: bytes | None = field(repr=False)

    def permits(self, request: Request) -> bool:
        """Return whether a request may see state."""
        if self.token is not None:
            given = bearer(request)
            return given is not None and hmac.compare_digest(given.encode("latin-1"), self.token)
        host = host_asked_for(request)
        if host is None or not is_loopback_name(host.strip("[]").rstrip(".").lower()):
            return False
        if any(request.requestHeaders.hasHeader(name) for name in PROXY_HEADERS):
            return False
        peer = request.getClientAddress()
        return is_loopback_name(getattr(peer, "host", ""))

    def refuses_change(self, request: Request) -> Refusal | None:
        """Return why a request may not change state; None when it may.

        A page that sends the token was given it. A browser does not send that header to another
        site unless the server agrees beforehand, which this one never does. So the token is enough.
        """
        if not self.permits(request):
            return Refusal.NO_ACCESS
        if self.token is None and is_from_another_site(request):
            return Refusal.FOREIGN_PAGE
        return None
