"""What the text of an IP address means.

Owns: the reading of addresses and networks, and what an address is counted as. Pure: no I/O.
Must not import: anything of wampush.

A socket for both kinds of addresses tells an IPv4 peer as ``::ffff:192.0.2.1`` (RFC 4291 section
2.5.5.2). Here that is the IPv4 address, wherever it is compared with another one.
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

#: Longer than any address with the name of an interface behind it; peers may send longer texts,
#: and what has been read once is remembered.
_LONGEST: Final = 64
#: What a provider gives to one customer at least (RFC 6177), and one machine may use as it likes
#: (RFC 8981).
_CUSTOMER_BITS: Final = 64
_MAPPED_BITS: Final = 96


def parsed(text: str) -> Address | None:
    """The address that a text names, or None when it names none."""
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network(text: str) -> Network:
    """The network, or single address, that a setting names.

    :raises ValueError: when it names none.
    """
    found = ip_network(text, strict=False)
    if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def counted_as(address: str) -> str | None:
    """Under which name the connections of an address are counted.

    :returns: an IPv4 address, or the network of 64 bits that an IPv6 address is in; None for
        loopback, and for what is no address.
    """
    if ":" in address:
        return _ipv6_counted_as(address) if len(address) <= _LONGEST else None
    # As it stands, because reading it would be a good part of what a connect costs.
    return address if address[:1].isdigit() and not address.startswith("127.") else None


@lru_cache(maxsize=4096)
def _ipv6_counted_as(text: str) -> str | None:
    address = _parsed(text)
    if address is None or address.is_loopback:
        return None
    if isinstance(address, IPv4Address) or address.is_link_local:
        # All neighbours are in one link-local network.
        return str(address)
    rest = 128 - _CUSTOMER_BITS
    return f"{IPv6Address(int(address) >> rest << rest)}/{_CUSTOMER_BITS}"
