"""Reverse proxies, and what they report about clients.

Owns: which proxies are trusted, reading X-Forwarded-For and X-Forwarded-Proto. Pure.
Must not import: Twisted, Autobahn, anything of wampush but ``net.addresses``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wampush.net.addresses import Network, parse_address, parse_network

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


@dataclass(frozen=True, slots=True)
class Proxies:
    """The reverse proxies that are trusted.

    :param trusted: their networks.
    """

    trusted: Sequence[Network]

    @classmethod
    def of(cls, addresses: Sequence[str]) -> Proxies:
        """Return the proxies at addresses and networks as configured; they must be valid."""
        return cls(tuple(map(parse_network, addresses)))

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
        if not self.trusts(peer):
            return peer
        client = peer
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            # The zone of an IPv6 address may be any text, even one that forges log lines.
            address = parse_address(hop.partition("%")[0].strip())
            if address is None:
                return client
            client = str(address)
            if not self.trusts(client):
                return client
        return client

    def scheme(self, peer: str, headers: Mapping[str, str], secure: bool) -> str:
        """Return how the client connected: ``ws``, or ``wss`` with TLS.

        Of several values the last one counts: the proxy that connected to us added it. A value that
        is not a scheme is ignored.

        :param peer: the address at the other end of the TCP connection.
        :param headers: the headers, by lower-case name.
        :param secure: whether that connection uses TLS.
        """
        reported = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if reported in _SECURE_SCHEMES and self.trusts(peer):
            secure = _SECURE_SCHEMES[reported]
        return "wss" if secure else "ws"
