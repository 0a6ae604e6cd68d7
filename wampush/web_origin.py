"""The canonical form of web origins (RFC 6454), and of the patterns that permit them.

Owns: reading both, so that a difference in spelling is not a difference.
Must not import: anything of wampush.

Browsers send an origin in its canonical form. Other programs add a slash or a path, write the
default port, use the scheme of the WebSocket, or leave the scheme out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

SAME_HOST: Final = "same-host"
ANY: Final = "*"
NULL: Final = "null"

_HOST: Final = r"[^\x00-\x20\x7f/\\?#@:\[\]]*|\[[0-9a-f:.]+\]"
_ORIGIN: Final = re.compile(
    rf"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?(?:/.*)?"
)
_PATTERN: Final = re.compile(
    rf"(?:(?P<scheme>[a-z*][a-z0-9+.*-]*)://)?(?P<host>{_HOST})(?::(?P<port>[0-9*]{{1,6}}))?/?"
)
#: What a page's scheme is where a program sends that of the WebSocket.
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_SCHEMES_BY_PORT: Final = {"80": "http", "443": "https"}
_HIGHEST_PORT: Final = 65_535
#: Characters; more than any host name with its scheme and port. Results are cached.
_MAX_LENGTH: Final = 300


def canonical(origin: str) -> str | None:
    """Return the canonical form of an origin: lower-case, without default port, slash and path.

    The schemes ``ws`` and ``wss`` become those of pages. An origin may lack its scheme, which then
    follows from a default port, or its host (``file://``).

    :returns: None when the text is not an origin; ``null`` is not one either.
    """
    return _canonical(origin) if len(origin) <= _MAX_LENGTH else None


@lru_cache(maxsize=1024)
def _canonical(origin: str) -> str | None:
    match = _ORIGIN.fullmatch(origin.lower())
    return None if match is None else _joined(match)


def canonical_pattern(text: str) -> str | None:
    """Return the canonical form of a pattern for origins, as the configuration contains them.

    :param text: ``same-host``, ``*``, or an origin in which ``*`` stands for any characters of the
        scheme, the host or the port.
    :returns: None when the text is not a pattern, or could not match what a browser sends.
    """
    if text in (SAME_HOST, ANY):
        return text
    match = _PATTERN.fullmatch(text.lower())
    if match is None or not text.isascii():
        return None
    if not match["scheme"] and not match["host"].strip("*."):
        return None
    return _joined(match)


def _joined(match: re.Match[str]) -> str | None:
    """Return the canonical form of what was matched; None when it is not an origin."""
    scheme, host, port = match["scheme"] or "", match["host"], match["port"] or ""
    scheme = _PAGE_SCHEMES.get(scheme, scheme)
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1])}]"
        except AddressValueError:
            return None
    elif not host and (port or scheme in ("", "http", "https")):
        return None
    if not scheme:
        if host == NULL:
            return None
        scheme = _SCHEMES_BY_PORT.get(port, "")
    if port.isdecimal():
        port = str(int(port))
        if int(port) > _HIGHEST_PORT:
            return None
    if port == _DEFAULT_PORTS.get(scheme):
        port = ""
    return (f"{scheme}://" if scheme else "") + host + (f":{port}" if port else "")


@lru_cache(maxsize=1024)
def host_of(origin: str) -> str:
    """Return the host of an origin in canonical form, an IPv6 address without its brackets."""
    match = _ORIGIN.fullmatch(origin)
    return "" if match is None else match["host"].strip("[]")
