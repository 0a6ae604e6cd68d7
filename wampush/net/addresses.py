"""IP addresses and networks in text form.

Owns: parsing them, and the key under which connections of an address are counted. Pure.
Must not import: anything of wampush.

A socket for both address families reports an IPv4 peer as ``::ffff:192.0.2.1`` (RFC 4291 section
2.5.5.2). Such an address is converted to the IPv4 address before it is compared.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Characters; more than any address with the name of an interface. Peers may send longer texts, and
#: results are cached.
_MAX_LENGTH: Final = 64
#: Bits of the smallest network that providers assign to a customer (RFC 6177), within which one
#: machine may use any address (RFC 8981).
_CUSTOMER_BITS: Final = 64
_MAPPED_BITS: Final = 96


def parse_address(text: str) -> Address | None:
    """Return the address that a text names; None when it is not an address."""
    return _parse_address(text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=4096)
def _parse_address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_loopback_address(text: str) -> bool | None:
    """Return whether a text is an address of loopback; None when it is not an address."""
    return _is_loopback(text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=4096)
def _is_loopback(text: str) -> bool | None:
    address = _parse_address(text)
    return None if address is None else address.is_loopback


def parse_network(text: str) -> Network:
    """Return the network that a setting names; a single address is a network, too.

    :raises ValueError: the text is neither.
    """
    found = ip_network(text, strict=False)
    if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def counting_key(address: str) -> str | None:
    """Return the key under which the connections of an address are counted.

    :returns: an IPv4 address, or the 64-bit network of an IPv6 address; None for loopback, and for
        text that is not an address.
    """
    if ":" in address:
        return _ipv6_counting_key(address) if len(address) <= _MAX_LENGTH else None
    # Not parsed, because that would be a considerable part of the cost of a connection.
    return address if address[:1].isdigit() and not address.startswith("127.") else None


@lru_cache(maxsize=4096)
def _ipv6_counting_key(text: str) -> str | None:
    address = _parse_address(text)
    if address is None or address.is_loopback:
        return None
    if isinstance(address, IPv4Address) or address.is_link_local:
        # All neighbours share one link-local network.
        return str(address)
    rest = 128 - _CUSTOMER_BITS
    return f"{IPv6Address(int(address) >> rest << rest)}/{_CUSTOMER_BITS}"
