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
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from wampush.net.addresses import is_loopback_address
from wampush.net.trusted_proxies import PROXY_HEADERS
from wampush.web_origin import ANY, NULL, SAME_HOST, canonical, host_of

#: Characters; more than any host name with its port. Results are cached.
_LONGEST_HOST: Final = 300
#: Characters of a header that a message shows.
_SHOWN: Final = 100
#: Values of Sec-Fetch-Site of requests that come from a page of the same origin, or from none.
_OWN_SITE: Final = frozenset(("same-origin", "none"))


def _host(header: str) -> str | None:
    """Return the host name of a Host header, lower-case, without port; None when it has none."""
    return _short_host(header) if len(header) <= _LONGEST_HOST else None


@lru_cache(maxsize=1024)
def _short_host(header: str) -> str | None:
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def is_loopback_name(host: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return is_loopback_address(host) is True


@dataclass(frozen=True, slots=True)
class Origins:
    """The pages that may connect.

    :param allowed: patterns in canonical form, such as ``https://*.example.com``; a pattern without
        a scheme matches every scheme; ``same-host`` is for pages of the host that the client
        connects to (any port; all names of loopback are one host), ``*`` for all.
    :param null: whether the opaque origin ``null`` may connect: files, sandboxed frames.
    """

    allowed: Sequence[str]
    null: bool

    def permits(self, headers: Mapping[str, str], *, loopback_only: bool = False) -> bool:
        """Return whether the origin of a handshake may connect; programs that send none may.

        No page can make its browser send an empty origin.

        :param headers: the headers, by lower-case name.
        :param loopback_only: whether only names of loopback can be the same host.
        """
        origin = headers.get("origin")
        if not origin or ANY in self.allowed:
            return True
        if origin.lower() == NULL:
            return self.null
        name = canonical(origin)
        if name is None:
            return False
        return any(
            _is_same_host(name, headers, loopback_only)
            if pattern == SAME_HOST
            else _matches(pattern, name)
            for pattern in self.allowed
        )

    def objection(self, headers: Mapping[str, str], *, loopback_only: bool = False) -> str:
        """Return why :meth:`permits` returned False, and what would permit the origin."""
        origin = headers.get("origin", "")
        if origin.lower() == NULL:
            return "The origin is 'null', which websocket.allow_null_origin = true permits."
        name = canonical(origin)
        if name is None:
            return f'The origin is {origin[:_SHOWN]!r}, which is malformed; only "*" permits it.'
        text = f"The origin is {name[:_SHOWN]!r}; add it to permit it."
        if SAME_HOST not in self.allowed:
            return text
        host = headers.get("host", "")
        if _is_same_host(name, headers, loopback_only=False):
            return f"{text} wampush listens on loopback only, where same-host is loopback's names."
        return (
            f"{text} The request asks for the host {host[:_SHOWN]!r}; if the page connects to "
            "its own host, the proxy must pass on Host."
        )


def _matches(pattern: str, origin: str) -> bool:
    if "://" not in pattern:
        origin = origin.partition("://")[2] or origin
    # fnmatch gives brackets a meaning that they do not have in IPv6 addresses.
    return fnmatchcase(origin, pattern.replace("[", "[[]"))


def _is_same_host(origin: str, headers: Mapping[str, str], loopback_only: bool) -> bool:
    page = host_of(origin)
    server = _host(headers.get("host", ""))
    if not page or server is None:
        return False
    if is_loopback_name(page):
        return is_loopback_name(server)
    return page == server and not loopback_only


def objection_without_origin(headers: Mapping[str, str], *, loopback_only: bool) -> str | None:
    """Return why an ordinary request without Origin may not be answered; None if it may.

    Browsers send no Origin with GET where the page is of the same origin, and where the page cannot
    read the response, as with images; the latter still comes with cookies.

    :param headers: the headers, by lower-case name.
    :param loopback_only: whether the host asked for must be a name of loopback: any other name may
        be one that its owner makes resolve to 127.0.0.1 (DNS rebinding).
    """
    if headers.get("origin"):
        return None
    site = headers.get("sec-fetch-site", "none")
    if site not in _OWN_SITE:
        return "The request comes from a page of another origin, which cannot read the response."
    host = headers.get("host", "")
    if loopback_only and not is_loopback_name(_host(host) or ""):
        return (
            f"The request asks for the host {host[:_SHOWN]!r}, and wampush listens on loopback "
            "only; connect to a name of loopback, such as localhost."
        )
    return None


def is_direct_from_loopback(peer: str, headers: Mapping[str, str]) -> bool:
    """Return whether a handshake comes from this machine, and through no HTTP proxy.

    No page can make its browser add the header of a proxy.

    :param peer: the address at the other end of the TCP connection.
    :param headers: the headers, by lower-case name.
    """
    return is_loopback_address(peer) is True and PROXY_HEADERS.isdisjoint(headers)


def is_from_this_machine(peer: str, headers: Mapping[str, str]) -> bool:
    """Return whether a handshake comes from a program or page of this machine.

    For pages, the host they came from decides: another site may have its own name resolved to
    127.0.0.1 (DNS rebinding). A reverse proxy on this machine connects from loopback, too; most
    proxies add a header, and browsers behind them send the public origin.

    :param peer: the address at the other end of the TCP connection.
    :param headers: the headers, by lower-case name.
    """
    if is_loopback_address(peer) is False:
        return False
    if not PROXY_HEADERS.isdisjoint(headers):
        return False
    origin = headers.get("origin")
    if not origin:
        return True
    name = canonical(origin)
    return name is not None and is_loopback_name(host_of(name))
