"""Which pages may open a WebSocket, and who is behind a proxy.

Owns: the judgement of the Origin header (RFC 6454, RFC 6455 section 10.2), of X-Forwarded-For and
X-Forwarded-Proto.
Pure: no I/O, no state.
Must not import: Twisted, Autobahn, the broker.

A browser tells the origin of the page that opens a WebSocket, and no page can forge it; other
programs may send any origin or none. So this keeps strangers' pages from using the cookies of our
users, and is no access control beyond that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from wampush.net.addresses import Network, network, parsed

SAME_HOST: Final = "same-host"
_NULL: Final = "null"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
#: What proxies call the scheme, and whether it is one with TLS.
_SECURE_SCHEMES: Final = {"http": False, "ws": False, "https": True, "wss": True}


def _host(header: str) -> str | None:
    """The host name of a Host header, lower-case, without port; None when it has none."""
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def is_loopback_name(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = parsed(host)
    return address is not None and address.is_loopback


def canonical(origin: str) -> str | None:
    """An origin in its one spelling: lower-case, the port only where it is not the scheme's own.

    :returns: None when it is no origin (scheme, host, perhaps a port, nothing else).
    """
    try:
        parts = urlsplit(origin.lower())
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname or parts.path or parts.query or parts.username:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


@dataclass(frozen=True, slots=True)
class Origins:
    """The pages that may connect.

    :param allowed: patterns such as ``https://*.example.com``, ``same-host`` for pages of the host
        that the client connects to (any port; all names of loopback are one host), ``*`` for all.
    :param null: whether the opaque origin ``null`` may: files, sandboxed frames.
    """

    allowed: Sequence[str]
    null: bool

    def permit(self, headers: Mapping[str, str]) -> bool:
        """Whether a handshake's origin may connect; programs that send none may.

        :param headers: by lower-case name.
        """
        origin = headers.get("origin")
        if origin is None:
            return True
        if origin.lower() == _NULL:
            return self.null
        name = canonical(origin)
        if name is None:
            return False
        return any(self._matches(pattern, name, headers) for pattern in self.allowed)

    @staticmethod
    def _matches(pattern: str, origin: str, headers: Mapping[str, str]) -> bool:
        if pattern != SAME_HOST:
            # fnmatch gives brackets a meaning that they do not have in an IPv6 address.
            return fnmatchcase(origin, pattern.lower().replace("[", "[[]"))
        page = urlsplit(origin).hostname
        server = _host(headers.get("host", ""))
        if page is None or server is None:
            return False
        return page == server or (is_loopback_name(page) and is_loopback_name(server))


@dataclass(frozen=True, slots=True)
class Proxies:
    """The reverse proxies whose word is believed.

    :param trusted: their networks.
    """

    trusted: Sequence[Network]

    @classmethod
    def of(cls, addresses: Sequence[str]) -> Proxies:
        """From addresses and networks as configured, checked by then."""
        return cls(tuple(map(network, addresses)))

    def trusts(self, address: str) -> bool:
        """Whether an address is one of them."""
        if not self.trusted:
            return False
        found = parsed(address)
        return found is not None and any(found in each for each in self.trusted)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address of the client.

        Each proxy appends the address it was connected from, so the list is read from its end and
        the first address that is no trusted proxy is the client; what is left of it may be forged.

        :param peer: the address at the other end of the TCP connection.
        :param headers: by lower-case name.
        """
        if not self.trusts(peer):
            return peer
        client = peer
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            # The zone of an IPv6 address may be any text, even one that forges lines of the log.
            address = parsed(hop.partition("%")[0].strip())
            if address is None:
                return client
            client = str(address)
            if not self.trusts(client):
                return client
        return client

    def scheme(self, peer: str, headers: Mapping[str, str], secure: bool) -> str:
        """How the client connected: ``ws``, or ``wss`` through TLS.

        Of several values the last counts: it is from the proxy that connected to us. One that names
        no scheme is no word.

        :param peer: the address at the other end of the TCP connection.
        :param headers: by lower-case name.
        :param secure: whether that connection is TLS.
        """
        told = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if told in _SECURE_SCHEMES and self.trusts(peer):
            secure = _SECURE_SCHEMES[told]
        return "wss" if secure else "ws"


#: Headers by which a proxy gives itself away.
OF_PROXIES: Final = frozenset(
    (
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    )
)


def is_from_here(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether a handshake was made by this machine for itself.

    A page counts by the host it came from: one of another site may have its own name resolved to
    127.0.0.1 (DNS rebinding). What a reverse proxy on this machine passes on comes from loopback
    too; most proxies say so in a header, and browsers behind them tell the public origin.

    :param peer: the address at the other end of the TCP connection.
    :param headers: by lower-case name.
    """
    address = parsed(peer)
    if address is not None and not address.is_loopback:
        return False
    if not OF_PROXIES.isdisjoint(headers):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    name = canonical(origin)
    host = urlsplit(name).hostname if name else None
    return host is not None and is_loopback_name(host)
