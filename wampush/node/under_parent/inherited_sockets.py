"""Listening on sockets that are open already.

Owns: how Twisted takes such a socket in place of one that it would open, and leaves it open for
others when it stops.
Must not import: the parts of a node, which install a reactor.

A socket that several processes have must not be shut down by one of them (shutdown(2)), and the
file of a UNIX socket belongs to the process that has opened it.
"""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet import tcp, unix


class SharedUnixPort(unix.Port):
    """A port on a UNIX socket that other processes use, too."""

    _shouldShutdown = False

    def connectionLost(self, reason: Any) -> None:
        """Stop listening, and leave the file to the process that owns it."""
        tcp.Port.connectionLost(self, reason)


class AdoptingReactor:
    """A reactor whose next port is on a socket that is open already.

    :param reactor: does everything else (``IReactorTCP``, ``IReactorUNIX``, ``IReactorSocket``).
    :param listening: the socket.
    """

    def __init__(self, reactor: Any, listening: socket.socket) -> None:
        self._reactor = reactor
        self._listening = listening

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen for TCP connections (``IReactorTCP``)."""
        return self._adopted(factory)

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> Any:
        """Listen for connections to a UNIX socket (``IReactorUNIX``)."""
        return self._adopted(factory)

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """Listen on a socket that a service manager has passed (``IReactorSocket``)."""
        return self._adopted(factory)

    def _adopted(self, factory: Any) -> Any:
        listening = self._listening
        if listening.family != socket.AF_UNIX:
            return self._reactor.adoptStreamPort(listening.fileno(), listening.family, factory)
        name = listening.getsockname()
        kind: Any = SharedUnixPort
        port = kind._fromListeningDescriptor(self._reactor, listening.fileno(), factory)
        if name and isinstance(name, str):
            # Twisted sets the mode of the file once more.
            port.mode = stat.S_IMODE(Path(name).stat().st_mode)
        port.startListening()
        return port


def carrier_of_passed(endpoint: str) -> str | None:
    """Return an endpoint that Twisted opens in place of one that the service manager has passed.

    The socket was passed to the parent, and Twisted refuses those of other processes.

    :returns: None for other kinds of endpoints.
    """
    kind = endpoint.removeprefix("haproxy:")
    if not kind.startswith("systemd:"):
        return None
    # An adopting reactor uses the socket that it has.
    return f"{endpoint.removesuffix(kind)}tcp:0"
