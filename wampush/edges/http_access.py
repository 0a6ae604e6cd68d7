"""Who may see state over HTTP.

Owns: the judgement of the bearer token, and what counts as this machine.
Must not import: Autobahn, the broker.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wampush.edges.origins import is_loopback_name

if TYPE_CHECKING:
    from twisted.web.http import Request

_SCHEME = b"bearer "
_OF_PROXIES = (
    b"forwarded",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
)


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Whether a request may see, or later change, state.

    With a token, requests must carry it (``Authorization: Bearer``, RFC 6750 section 2.1). Without
    one, only requests of this machine may: they come from a loopback address, ask for a loopback
    name (a page of another site that had its own name resolved to 127.0.0.1 does not), and passed
    no proxy, whose own requests would look local.

    :param token: the token, None when none is set.
    """

    token: bytes | None = field(repr=False)

    def permits(self, request: Request, host: str | None) -> bool:
        """Whether a request may.

        :param host: the host it asks for, without port; None when it names none.
        """
        if self.token is not None:
            header = (request.getHeader(b"authorization") or b"").strip()
            if header[: len(_SCHEME)].lower() != _SCHEME:
                return False
            return hmac.compare_digest(header[len(_SCHEME) :].strip(), self.token)
        if host is None or not is_loopback_name(host.strip("[]").rstrip(".").lower()):
            return False
        if any(request.requestHeaders.hasHeader(name) for name in _OF_PROXIES):
            return False
        peer = request.getClientAddress()
        return is_loopback_name(getattr(peer, "host", ""))
