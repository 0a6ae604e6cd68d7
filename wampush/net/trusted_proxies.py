"""Reverse proxies, and what they report about clients.

Owns: which proxies are trusted, reading X-Forwarded-For, X-Forwarded-Proto, Forwarded (RFC 7239).
Pure: what cannot be understood is reported to a function that is handed in.
Must not import: Twisted, Autobahn, anything of wampush but ``net.addresses``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wampush.net.addresses import Address, Network, parse_address, parse_network

#: Names of the scheme in X-Forwarded-Proto, and whether it is one with TLS.
_SECURE_SCHEMES: Final = {"http": False, "ws": False, "https": True, "wss": True}

#: Headers that only proxies add; lower-case.
PROXY_HEADERS: Final = frozenset(
    (
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    )
)


#: An address as proxies write it: perhaps in brackets, perhaps with a port.
_NODE: Final = re.compile(
    r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<v4>[0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]{1,40}))?"
)
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
#: One parameter of an element of Forwarded. Some proxies do not quote IPv6 addresses and ports.
_PARAMETER: Final = re.compile(rf"\s*({_WORD})=({_QUOTED}|[^\s\"\\;,=]*)\s*")
#: Characters of a header that a message shows.
_SHOWN: Final = 100
#: Other headers with the address of a client, and how messages call them.
_ADDRESS_HEADERS: Final = {
    "x-forwarded-for": "X-Forwarded-For",
    "forwarded": "Forwarded",
    "x-real-ip": "X-Real-IP",
}


def _ignore(problem: str) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The reverse proxies that are trusted.

    :param trusted: their networks.
    :param header: in which they report clients: ``x-forwarded-for`` or ``forwarded``. Only one is
        read, because proxies pass on what clients write into the other.
    :param report: gets a sentence about a header that cannot be understood.
    """

    trusted: Sequence[Network]
    header: str = "x-forwarded-for"
    report: Callable[[str], None] = _ignore

    @classmethod
    def of(
        cls,
        addresses: Sequence[str],
        header: str = "x-forwarded-for",
        report: Callable[[str], None] = _ignore,
    ) -> Proxies:
        """Return the proxies at addresses and networks as configured; they must be valid."""
        return cls(tuple(map(parse_network, addresses)), header, report)

    def trusts(self, address: str) -> bool:
        """Return whether an address is that of a trusted proxy."""
        if not self.trusted:
            return False
        found = parse_address(address)
        return found is not None and any(found in each for each in self.trusted)

    def client_address(self, peer: str, headers: Mapping[str, str]) -> str:
        """Return the address of the client.

        Each proxy appends the address of its peer. So the list is read from its end: the first
        address that is not a trusted proxy is the client, and anything before it may be forged.

        :param peer: the address at the other end of the TCP connection.
        :param headers: the headers, by lower-case name.
        """
        if not (self.trusted and self.trusts(peer)):
            return peer
        value = headers.get(self.header)
        if value is None:
            self._report_other_header(peer, headers)
            return peer
        client = peer
        for hop in reversed(value.split(",")):
            node = hop if self.header == "x-forwarded-for" else _parameters(hop).get("for", "")
            address = _node_address(node)
            if address is None:
                name, shown = _ADDRESS_HEADERS[self.header], hop.strip()[:_SHOWN]
                self.report(f"proxy {client}: {shown!r} in {name} is not an address")
                return client
            client = str(address)
            if not self.trusts(client):
                return client
        return client

    def _report_other_header(self, peer: str, headers: Mapping[str, str]) -> None:
        for name, shown in _ADDRESS_HEADERS.items():
            if name in headers:
                wanted = _ADDRESS_HEADERS[self.header]
                self.report(
                    f"proxy {peer}: it sends {shown}, but not {wanted}, which proxy.header names"
                )
                return

    def scheme(self, peer: str, headers: Mapping[str, str], secure: bool) -> str:
        """Return how the client connected: ``ws``, or ``wss`` with TLS.

        Of several values the last one counts: the proxy that connected to us added it. A value that
        is not a scheme is ignored.

        :param peer: the address at the other end of the TCP connection.
        :param headers: the headers, by lower-case name.
        :param secure: whether that connection uses TLS.
        """
        if self.trusted and self.trusts(peer):
            secure = _SECURE_SCHEMES.get(self._reported_scheme(headers), secure)
        return "wss" if secure else "ws"

    def _reported_scheme(self, headers: Mapping[str, str]) -> str:
        if self.header == "forwarded":
            last = headers.get("forwarded", "").rpartition(",")[2]
            return _parameters(last).get("proto", "").lower()
        return headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()


def _node_address(text: str) -> Address | None:
    """Return the address of one hop; None for ``unknown`` and names that hide an address."""
    text = text.strip()
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1].strip()
    match = _NODE.fullmatch(text)
    if match is not None:
        text = match["v6"] or match["v4"] or ""
    # The zone of an IPv6 address may be any text, even one that forges log lines.
    return parse_address(text.partition("%")[0].strip())


def _parameters(element: str) -> Mapping[str, str]:
    """Return the parameters of an element of Forwarded (RFC 7239 section 4), by lower-case name.

    A comma within quotes has split the element. What is left of it is malformed, so that a value
    which a client chose, such as its Host, cannot pass for an element.

    :returns: nothing when any parameter is malformed, or occurs twice.
    """
    found: dict[str, str] = {}
    for each in element.split(";"):
        match = _PARAMETER.fullmatch(each)
        if match is None or match[1].lower() in found:
            return {}
        value = match[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found[match[1].lower()] = value
    return found
