"""Who may see state over HTTP, and who may change it.

Owns: the judgement of the bearer token, what counts as this machine, and which requests a web page
has sent. Must not import: Autobahn, the broker.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wampush.edges.http.answers import bearer, host_asked_for
from wampush.errors import Refusal
from wampush.net.origins import OF_PROXIES, canonical, is_loopback_name

if TYPE_CHECKING:
    from twisted.web.server import Request

#: Values of Sec-Fetch-Site (W3C Fetch Metadata) that no page of another site has sent: our own
#: pages, and what a person does in the browser itself.
_OWN_FETCHES: Final = frozenset((b"same-origin", b"none"))


def is_of_another_site(request: Request) -> bool:
    """Whether a page of another site has sent a request.

    Any page can have the browser send a POST to any address, without asking the server first (a
    "simple request" of the Fetch standard); it can not read the answer, but the harm would be done.
    Browsers tell of it in headers that no page can change: Origin (RFC 6454) with each POST, the
    opaque ``null`` included, and Sec-Fetch-Site. Programs send neither. Another port of this
    machine is another site, because another program answers there.
    """
    headers = request.requestHeaders
    fetched = headers.getRawHeaders(b"sec-fetch-site", [])
    if any(value.strip().lower() not in _OWN_FETCHES for value in fetched):
        return True
    scheme = "https" if request.isSecure() else "http"
    host = (request.getHeader(b"host") or b"").decode("latin-1")
    own = canonical(f"{scheme}://{host}")
    origins = headers.getRawHeaders(b"origin", [])
    return any(canonical(value.decode("latin-1").strip()) != own for value in origins)


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Whether a request may see or change state.

    With a token, requests must carry it (``Authorization: Bearer``, RFC 6750 section 2.1). Without
    one, only requests of this machine may: they come from a loopback address, ask for a loopback
    name (a page of another site that had its own name resolved to 127.0.0.1 does not), and passed
    no proxy, whose own requests would look local.

    :param token: the token, None when none is set.
    """

    token: bytes | None = field(repr=False)

    def permits(self, request: Request) -> bool:
        """Whether a request may see state."""
        if self.token is not None:
            given = bearer(request)
            return given is not None and hmac.compare_digest(given.encode("latin-1"), self.token)
        host = host_asked_for(request)
        if host is None or not is_loopback_name(host.strip("[]").rstrip(".").lower()):
            return False
        if any(request.requestHeaders.hasHeader(name) for name in OF_PROXIES):
            return False
        peer = request.getClientAddress()
        return is_loopback_name(getattr(peer, "host", ""))

    def refuses_change(self, request: Request) -> Refusal | None:
        """Why a request may not change state; None when it may.

        A page that bears the token was given it, and a browser does not send that header to another
        site unless the server agrees beforehand, which this one never does. So the token is enough.
        """
        if not self.permits(request):
            return Refusal.NO_ACCESS
        if self.token is None and is_of_another_site(request):
            return Refusal.FOREIGN_PAGE
        return None
