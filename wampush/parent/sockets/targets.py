"""Where an endpoint string or a ZeroMQ address listens.

Owns: reading both as the address of a socket. Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import fcntl
import ipaddress
import re
import socket
import struct
from dataclasses import dataclass
from typing import Final

from wampush.config.checks.endpoints import arguments_of, parts_of

#: Connections that the kernel completes before a node accepts them.
BACKLOG: Final = 4096
#: The same for ZeroMQ, where all of them are accepted even beyond ``zmq.max_connections``.
PULL_BACKLOG: Final = 16
#: The kinds of listeners.
WEBSOCKET: Final = "websocket"
HTTP: Final = "http"
PULL: Final = "pull"

_UNIX_MODE: Final = "666"
_IPC_MODE: Final = 0o600
_TCP: Final = re.compile(r"tcp://(?P<host>\[[^\]]+\]|[^:\[\]]+):(?P<port>\d{1,5}|\*)")
# <linux/sockios.h>
_SIOCGIFADDR: Final = 0x8915
_INTERFACE_NAME_BYTES: Final = 15


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a listening socket.

    :param family: of the socket.
    :param host: a name or an IP address; the path of a UNIX socket, which begins with a null
        character if it is abstract.
    :param port: 0 lets the system choose one.
    :param chosen: distinguishes sockets whose port the system chooses: their use and number.
    """

    family: int
    host: str
    port: int = 0
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class Listening:
    """How a socket listens.

    :param target: where.
    :param backlog: connections that the kernel completes before they are accepted.
    :param mode: of the file of a UNIX socket.
    :param passed: the number of a socket that the service manager has passed to the process; None
        for one that must be opened.
    """

    target: Target
    backlog: int
    mode: int = 0
    passed: int | str | None = None

    @property
    def is_tcp(self) -> bool:
        """Whether each worker can have a socket of its own at this address."""
        return self.passed is None and self.target.family != socket.AF_UNIX


def of_address(kind: str, address: str, number: int = 0) -> Listening | None:
    """Return how an address listens.

    :param kind: of the listener.
    :param address: an endpoint string or a ZeroMQ address, as configured.
    :param number: which one it is of several for which the system chooses the port.
    :returns: None for a kind of address that only the node can open.
    """
    chosen = f"{kind} {number}"
    return of_pull(address, chosen) if kind == PULL else of_endpoint(address, chosen)


def of_endpoint(endpoint: str, chosen: str = "") -> Listening | None:
    """Return how a Twisted endpoint string listens; None for a kind that is not known here."""
    parts = parts_of(endpoint.removeprefix("haproxy:"))
    if parts.kind == "systemd":
        unnamed = dict(zip(("domain", "index", "name"), parts.values, strict=False))
        values = {"index": "0", **unnamed, **parts.named}
        which = values.get("name", values["index"])
        passed = int(which) if which.isdecimal() else which
        return Listening(Target(socket.AF_UNSPEC, f"systemd:{which}"), BACKLOG, passed=passed)
    arguments = arguments_of(parts)
    if arguments is None:
        return None
    backlog = int(arguments.get("backlog", BACKLOG))
    if parts.kind == "unix":
        mode = int(arguments.get("mode", _UNIX_MODE), 8)
        return Listening(Target(socket.AF_UNIX, arguments["address"]), backlog, mode)
    host = arguments.get("interface", "::" if parts.kind == "tcp6" else "")
    port = int(arguments["port"])
    family = socket.AF_INET6 if _is_ipv6(host) else socket.AF_INET
    return Listening(Target(family, host, port, "" if port else chosen), backlog)


def of_pull(address: str, chosen: str = "") -> Listening | None:
    """Return how a ZeroMQ address listens; None for one that is connected, or only libzmq reads."""
    path = address.removeprefix("ipc://")
    if path != address:
        if path == "*":
            return None
        name = f"\0{path[1:]}" if path.startswith("@") else path
        return Listening(Target(socket.AF_UNIX, name), PULL_BACKLOG, _IPC_MODE)
    found = _TCP.fullmatch(address)
    if found is None:
        return None
    host = found["host"]
    port = 0 if found["port"] == "*" else int(found["port"])
    if host.startswith("["):
        target = Target(socket.AF_INET6, host.strip("[]"), port, "" if port else chosen)
        return Listening(target, PULL_BACKLOG)
    ipv4 = "0.0.0.0" if host == "*" else _ipv4_of(host)  # noqa: S104 - as configured
    if ipv4 is None:
        return None
    return Listening(Target(socket.AF_INET, ipv4, port, "" if port else chosen), PULL_BACKLOG)


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).version == 6
    except ValueError:
        return False


def _ipv4_of(host: str) -> str | None:
    """Return an IPv4 address, or that of a network interface; None for neither."""
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        name = host.encode()
    if len(name) > _INTERFACE_NAME_BYTES:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFADDR, struct.pack("256s", name))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])
