"""The addresses pass of ``wampush check``: what the server would listen on.

Owns: whether this machine has the interfaces, and whether two listeners would have one address.
Must not import: the reactor, the composition root.

Whether an address is free shows when the server starts: on a machine where it runs, none is.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from wampush.config.checks.endpoints import parts_of

if TYPE_CHECKING:
    from wampush.config.settings import Settings

#: All addresses of a machine, as text.
_ANY_IPV4: Final = str(ipaddress.IPv4Address(0))
_ANY_IPV6: Final = str(ipaddress.IPv6Address(0))
#: The host of an endpoint that names no interface, by its kind.
_DEFAULT_HOST: Final = {"tcp": _ANY_IPV4, "ssl": _ANY_IPV4, "tcp6": _ANY_IPV6}
_ZEROMQ: Final = re.compile(r"tcp://(?P<host>\*|\[[^]]+\]|[0-9.]+):(?P<port>[0-9]+)")


@dataclass(frozen=True, slots=True)
class _Listener:
    """An address that the server would listen on.

    :param place: the setting and its value.
    :param host: an IP address; "" for a UNIX socket, and for a name, whose address may change.
    :param port: its number; the path of a UNIX socket.
    """

    place: str
    host: str
    port: int | str

    @property
    def is_any(self) -> bool:
        """Whether it means all addresses of the machine."""
        return self.host in {_ANY_IPV4, _ANY_IPV6}

    def overlaps(self, other: _Listener) -> bool:
        """Return whether the system would refuse the second of the two."""
        if self.port != other.port or bool(self.host) != bool(other.host):
            return False
        # An IPv6 socket for all addresses takes IPv4 connections, too.
        takes_all = any(each.host == _ANY_IPV6 for each in (self, other))
        is_same_family = (":" in self.host) == (":" in other.host)
        return (
            self.host == other.host
            or takes_all
            or (is_same_family and (self.is_any or other.is_any))
        )


def problems(settings: Settings) -> Iterator[str]:
    """Yield one line for each address on which the server could not listen."""
    listeners = [*_listeners(settings)]
    for each in listeners:
        yield from _missing_interface(each)
    for first, second in combinations(listeners, 2):
        if first.overlaps(second):
            what = "port" if second.host else "path"
            yield (
                f"{second.place} has the {what} {second.port} of {first.place}; choose another "
                f"{what} for one of them"
            )


def _listeners(settings: Settings) -> Iterator[_Listener]:
    """Yield the listeners that can be compared, which name a port or a path."""
    endpoints = [(f"websocket.listen {each!r}", each) for each in settings.websocket.listen]
    endpoints.append((f"http.listen {settings.http.listen!r}", settings.http.listen))
    for place, endpoint in endpoints:
        yield from _of_endpoint(place, endpoint.removeprefix("haproxy:"))
    for address in settings.zmq.pull:
        found = _ZEROMQ.fullmatch(address)
        if found is not None:
            host = _ANY_IPV4 if found["host"] == "*" else found["host"].strip("[]")
            yield from _of_host(f"zmq.pull {address!r}", host, found["port"])


def _of_endpoint(place: str, endpoint: str) -> Iterator[_Listener]:
    parts = parts_of(endpoint)
    first = parts.values[0] if parts.values else ""
    if parts.kind == "unix":
        yield _Listener(place, "", parts.named.get("address", first))
    elif parts.kind in _DEFAULT_HOST:
        positional = parts.values[1] if parts.kind != "ssl" and len(parts.values) > 1 else ""
        host = parts.named.get("interface", positional) or _DEFAULT_HOST[parts.kind]
        yield from _of_host(place, host, parts.named.get("port", first))


def _of_host(place: str, host: str, port: str) -> Iterator[_Listener]:
    try:
        canonical = str(ipaddress.ip_address(host))
    except ValueError:
        return
    if int(port):
        yield _Listener(place, canonical, int(port))


def _missing_interface(listener: _Listener) -> Iterator[str]:
    """Check that this machine has the address, with a port that the system chooses."""
    if not listener.host or listener.is_any:
        return
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((listener.host, 0))
    except OSError as error:
        yield (
            f"{listener.place}: this machine has no address {listener.host} ({error.strerror}); "
            "ip address shows those it has"
        )
