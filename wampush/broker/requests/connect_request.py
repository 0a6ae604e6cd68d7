"""A client's request to connect, before a session is opened for it.

Owns: ConnectRequest, ConnectAttempt, and how query, cookies and bearer tokens are read from a
request. Pure. Must not import: Twisted, the edges, the apps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from wampush.bearer import bearer_token
from wampush.errors import AuthenticationRefused, CloseReason

if TYPE_CHECKING:
    from wampush.broker.identity import Identity
    from wampush.broker.subscriber import Subscriber

_MAX_PARAMETERS: Final = 100


# Not frozen, because that makes construction four times as slow; the type checker keeps the fields.
@dataclass(slots=True)
class ConnectRequest:
    """The opening handshake, or an ordinary request on the same port.

    Its ``repr`` shows only address and scheme: the rest may be secret.

    :param target: path and query as sent.
    :param headers: by lower-case name; repeated headers are joined by a comma.
    :param address: of the client, as trusted proxies report it; for the log.
    :param scheme: ``ws``, or ``wss`` if the client uses TLS, as trusted proxies report it.
    :param method: GET; HEAD only for an ordinary request.
    """

    target: Final[str] = field(repr=False)
    headers: Final[Mapping[str, str]] = field(repr=False)
    address: Final[str]
    scheme: Final[str] = "ws"
    method: Final[str] = field(default="GET", repr=False)

    @property
    def path(self) -> str:
        """The target up to the question mark, as sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query string, as sent; "" if there is none."""
        return self.target.partition("?")[2].partition("#")[0]

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the query, decoded; the first of several with the same name."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            found.setdefault(name, value)
        return found

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name (RFC 6265 section 4.2.1); the first of several with the same name."""
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.partition("=")
            if equals:
                found.setdefault(name.strip(), value.strip().strip('"'))
        return found

    @property
    def bearer(self) -> str:
        """The token of ``Authorization: Bearer`` (RFC 6750 section 2.1); "" if there is none."""
        return bearer_token(self.headers.get("authorization", "")) or ""

    def parameter(self, name: str) -> str:
        """Return a parameter that contains credentials, decoded; "" if it is missing or empty.

        :raises AuthenticationRefused: if it occurs more than once, or there are too many of all.
        """
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
        except ValueError as error:
            raise AuthenticationRefused(
                CloseReason.TOKEN_REFUSED, f"The query has more than {_MAX_PARAMETERS} parameters."
            ) from error
        values = [value for each, value in pairs if each == name]
        if len(values) > 1:
            raise AuthenticationRefused(
                CloseReason.TOKEN_REFUSED, f"The query contains {name!r} {len(values)} times."
            )
        return values[0] if values else ""


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """A client that is authenticated and has no open session yet.

    :param identity: by the credentials in the handshake.
    :param request: the handshake.
    :param subscriber: the client as the broker will see it, with its session id; it is not indexed
        yet, and nothing can be sent to it. None if the client does not use WAMP.
    """

    identity: Identity
    request: ConnectRequest
    subscriber: Subscriber | None = None

    @property
    def address(self) -> str:
        """The client's address, as trusted proxies report it."""
        return self.request.address
