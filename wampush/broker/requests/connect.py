"""A client that wants in: what it asked for, and who it is, before anything is opened for it.

Owns: ConnectRequest, Arrival, and how query, cookies and bearer tokens are read from a request.
Pure.
Must not import: Twisted, the edges, the apps.
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

_MOST_PARAMETERS: Final = 100


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """The handshake. Its representation shows only the address: the rest may hold secrets.

    :param target: path and query as sent.
    :param headers: by lower-case name; repeated ones joined by a comma.
    :param address: of the client, proxies believed; for the log.
    :param scheme: how the client connected, proxies believed: ``ws``, or ``wss`` through TLS.
    """

    target: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    address: str
    scheme: str = "ws"

    @property
    def path(self) -> str:
        """What precedes the question mark, as sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, as sent; "" for nothing."""
        return self.target.partition("?")[2].partition("#")[0]

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the query, decoded; of equal names the first one counts."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            found.setdefault(name, value)
        return found

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name (RFC 6265 section 4.2.1); of equal names the first one counts."""
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.partition("=")
            if equals:
                found.setdefault(name.strip(), value.strip().strip('"'))
        return found

    @property
    def bearer(self) -> str:
        """The token of ``Authorization: Bearer`` (RFC 6750 section 2.1); "" for none."""
        return bearer_token(self.headers.get("authorization", "")) or ""

    def parameter(self, name: str) -> str:
        """A parameter that proves something: decoded; "" when it is missing or empty.

        :raises AuthenticationRefused: when it is there more than once, or there are too many.
        """
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        except ValueError as error:
            raise AuthenticationRefused(
                CloseReason.TOKEN_REFUSED, f"The query has over {_MOST_PARAMETERS} parameters."
            ) from error
        values = [value for each, value in pairs if each == name]
        if len(values) > 1:
            raise AuthenticationRefused(
                CloseReason.TOKEN_REFUSED, f"The query holds {name!r} {len(values)} times."
            )
        return values[0] if values else ""


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """A client that is known and not let in yet.

    :param identity: who it is, as far as the handshake proves it.
    :param request: the handshake.
    :param subscriber: the client as the broker will see it, with its session id; the broker does
        not know it yet, and nothing can be sent to it. None where it does not speak WAMP.
    """

    identity: Identity
    request: ConnectRequest
    subscriber: Subscriber | None = None

    @property
    def address(self) -> str:
        """The client's address, proxies believed."""
        return self.request.address
