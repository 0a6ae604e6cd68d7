"""Which pages may open a WebSocket.

Owns: checking the Origin header (RFC 6454, RFC 6455 section 10.2), recognising this machine. Pure.
Must not import: Twisted, Autobahn, the broker.

A browser reports the origin of the page that opens a WebSocket, and no page can forge it; other
programs may send any origin or none. So this keeps pages of other sites from using the cookies of
our users. It is not an access control beyond that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from wampush.net.addresses import parse_address
from wampush.net.proxies import PROXY_HEADERS

SAME_HOST: Final = "same-host"
_NULL: Final = "null"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def _host(header: str) -> str | None:
    """Return the host name of a Host header, lower-case, without port; None when it has none."""
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def is_loopback_name(host: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = parse_address(host)
    return address is not None and address.is_loopback


def canonical(origin: str) -> str | None:
    """Return the canonical form of an origin: lower-case, without the scheme's default port.

    :returns: None when the text is not an origin (scheme, host, optional port, nothing else).
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

    :param allowed: patterns such as ``https://*.example.com``; ``same-host`` for pages of the host
        that the client connects to (any port; all names of loopback are one host); ``*`` for all.
    :param null: whether the opaque origin ``null`` may connect: files, sandboxed frames.
    """

    allowed: Sequence[str]
    null: bool

    def permits(self, headers: Mapping[str, str]) -> bool:
        """Return whether the origin of a handshake may connect; programs that send none may.

        :param headers: the headers, by lower-case name.
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
            # fnmatch gives brackets a meaning that they do not have in IPv6 addresses.
            return fnmatchcase(origin, pattern.lower().replace("[", "[[]"))
        page = urlsplit(origin).hostname
        server = _host(headers.get("host", ""))
        if page is None or server is None:
            return False
        return page == server or (is_loopback_name(page) and is_loopback_name(server))


def is_from_this_machine(peer: str, headers: Mapping[str, str]) -> bool:
    """Return whether a handshake comes from a program or page of this machine.

    For pages, the host they came from decides: another site may have its own name resolved to
    127.0.0.1 (DNS rebinding). A reverse proxy on this machine connects from loopback, too; most
    proxies add a header, and browsers behind them send the public origin.

    :param peer: the address at the other end of the TCP connection.
    :param headers: the headers, by lower-case name.
    """
    address = parse_address(peer)
    if address is not None and not address.is_loopback:
        return False
    if not PROXY_HEADERS.isdisjoint(headers):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    name = canonical(origin)
    host = urlsplit(name).hostname if name else None
    return host is not None and is_loopback_name(host)
