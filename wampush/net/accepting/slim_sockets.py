"""Twisted's TCP transport and listening port with less per connection.

Owns: which attributes a connection needs, how a port accepts, and the first read after that.
Must not import: the broker, the edges.

Twisted gives each connection fourteen attributes, half of them texts for its log and the rest
mostly the same for all connections of a port. Here, what is the same is on a class that each port
has for itself, texts are made when they are asked for, and three attributes remain: the socket, the
protocol and the host of the client, whose text is shared by connections from there. ``transport``
of a port is meant to be replaced (see :class:`twisted.internet.tcp.Port`). That the methods which
are inherited need no other attributes is an assumption about Twisted's code; the tests of this
module compare that code with the one for which it was made, and run both transports.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from twisted.internet import main, tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.logger import Logger

from wampush.speedups import EXTENSION

_log = Logger(namespace="wampush.net")

#: Hosts whose text is shared.
_MOST_HOSTS: Final = 4096
#: The type of sockets that do not block. With it, Python need not ask or set that again.
NOT_BLOCKING: Final = int(socket.SOCK_STREAM) | int(getattr(socket, "SOCK_NONBLOCK", 0))
_IPV6_ADDRESS_PARTS: Final = 4


@lru_cache(maxsize=_MOST_HOSTS)
def _shared_text(host: str) -> str:
    """Return the first of equal texts."""
    return host


class SlimServer(tcp.Server):
    """A TCP connection that a port has accepted; see :func:`slim_server`.

    :param accepted: the socket.
    :param protocol: gets what arrives.
    :param client: the address of the client, as the system has it.
    :param server: the port; it is on the class.
    :param number: of the session; for Twisted's log only, and not kept.
    :param reactor: watches the socket; it is on the class, too.
    """

    #: Twisted's type stubs have no methods for zope interfaces.
    protocol: Any
    # What Twisted sets on each instance, as far as it is the same for all.
    connected: Any = 1
    _tempDataBuffer: Any = ()
    _tempDataLen = 0
    sessionno = 0
    #: Whether it is read from the beginning on.
    reads_at_once = True

    def __init__(
        self, accepted: Any, protocol: Any, client: Any, server: Any, number: int, reactor: Any
    ) -> None:
        if accepted.gettimeout() != 0:
            accepted.setblocking(False)
        self.socket = accepted
        self.protocol = protocol
        #: The host of :attr:`client`.
        self.host = _shared_text(client[0])
        if self.reads_at_once:
            reactor.addReader(self)

    @property
    def client(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The address of the client as the system has it; its port is 0 once the client is gone."""
        try:
            return self.host, *self.socket.getpeername()[1:]
        except (AttributeError, OSError):
            return self.host, 0

    def fileno(self) -> int:
        """Return the descriptor; -1 once it is closed (``IFileDescriptor``)."""
        try:
            return self.socket.fileno()
        except AttributeError:
            return -1

    def doRead(self) -> Any:
        """Read what has come, once (``IReadDescriptor``)."""
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def write(self, data: bytes) -> None:
        """Write as soon as the socket takes it (``ITransport``)."""
        if not self._tempDataLen:
            self._tempDataBuffer = []
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, iovec: Any) -> None:
        """Write as soon as the socket takes it (``ITransport``)."""
        if not self._tempDataLen:
            self._tempDataBuffer = []
        super().writeSequence(iovec)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:
        """Close the socket; nothing happens the second time."""
        if hasattr(self, "socket"):
            # Twisted deletes this attribute.
            vars(self)["fileno"] = self.socket.fileno
        super().connectionLost(reason)

    def logPrefix(self) -> str:
        """Return what Twisted's log says about this connection."""
        prefix = self._getLogPrefix(getattr(self, "protocol", None))
        return f"{prefix},{self.host}"

    def __repr__(self) -> str:
        """Return what errors say about this connection."""
        return f"<{type(getattr(self, 'protocol', None)).__name__} from {self.host}>"


def slim_server(
    reactor: Any,
    server: Any,
    address_type: type,
    kind: type[SlimServer] = SlimServer,
    more: Mapping[str, object] = MappingProxyType({}),
) -> type[SlimServer]:
    """Make the class of the connections of one port.

    :param reactor: watches their sockets.
    :param server: the port; None for connections from another process.
    :param address_type: of Twisted, for the addresses of both ends.
    :param kind: of connections.
    :param more: what else is the same for all of them.
    """
    shared = {"reactor": reactor, "server": server, "_addressType": address_type, **more}
    return type(kind.__name__, (kind,), shared)


@lru_cache(maxsize=2)
def slim_server_without_port(reactor: Any, family: int) -> type[SlimServer]:
    """Return the class of connections that other processes have accepted; not read at first.

    :param reactor: watches their sockets.
    :param family: AF_INET or AF_INET6.
    """
    address_type = IPv6Address if family == socket.AF_INET6 else IPv4Address
    return slim_server(reactor, None, address_type, more={"reads_at_once": False})


def accept_slim(
    port: Any, most: int, prepare: Callable[[socket.socket], object] | None = None
) -> None:
    """Let a port accept slim connections, a bounded number per turn, and read each at once.

    In a storm, a client's request has mostly arrived by the time that its connection is accepted;
    reading it then saves a turn of the reactor. So a protocol must not pause its transport in
    ``connectionMade``.

    :param port: a ``tcp.Port`` that listens for TCP connections; perhaps of a kind of slim ones
        already.
    :param most: connections per turn.
    :param prepare: gets each connection first; None where there is nothing to do.
    """
    if port.transport is tcp.Server:
        port.transport = slim_server(port.reactor, port, port._addressType)  # noqa: SLF001
    port.doRead = _Acceptor(port, most, prepare).accept_some


AcceptSome = Callable[[socket.socket, int], list[tuple[int, Any]]]
"""Accepts connections that wait, without waiting for any.

Takes a socket that listens and how many to accept. Returns of each its descriptor, whose socket
does not block, and the address of the client. Raises OSError if not even the first can be accepted.
"""


def accept_some_in_python(listening: socket.socket, most: int) -> list[tuple[int, Any]]:
    """Accept connections that wait; see :data:`AcceptSome`."""
    # The public method makes enumerations for each socket, and asks the system for what is known.
    accept = listening._accept  # type: ignore[attr-defined] # noqa: SLF001
    accepted: list[tuple[int, Any]] = []
    try:
        while len(accepted) < most:
            descriptor, address = accept()
            os.set_blocking(descriptor, False)
            accepted.append((descriptor, address))
    except OSError:
        # An error that lasts comes up in the next call.
        if not accepted:
            raise
    return accepted


def accepting(extension: Any = EXTENSION) -> AcceptSome:
    """Return what accepts here: the extension, if it is active and the system has ``accept4``.

    :param extension: None if the code in Python is active.
    """
    accept_some: Callable[[int, int], list[tuple[int, Any]]] | None
    accept_some = getattr(extension, "accept_some", None)
    if accept_some is None:
        return accept_some_in_python
    return lambda listening, most: accept_some(listening.fileno(), most)


class _Acceptor:
    """Accepts the connections of one port.

    :param port: that listens.
    :param most: connections per turn.
    :param prepare: gets each connection first; None where there is nothing to do.
    """

    def __init__(
        self, port: Any, most: int, prepare: Callable[[socket.socket], object] | None
    ) -> None:
        self._port = port
        self._most = most
        self._prepare = prepare
        # Twisted's own way, for errors: it knows what to do when there are no descriptors left.
        self._accept_by_twisted: Callable[[], object] = port.doRead
        # A factory with this method needs no object for the address.
        self._build_for_host: Callable[[str], Any] | None = getattr(
            port.factory, "build_for_host", None
        )
        self._accept_some = accepting()

    def accept_some(self) -> None:
        """Accept what has come; called by the reactor."""
        listening = self._port.socket
        family, protocol = int(listening.family), int(listening.proto)
        try:
            accepted = self._accept_some(listening, self._most)
        except BlockingIOError:
            return
        except OSError:
            # An error that lasts comes up there again.
            self._port.numberAccepts = self._most
            self._accept_by_twisted()
            return
        for descriptor, address in accepted:
            self._begin(socket.SocketType(family, NOT_BLOCKING, protocol, descriptor), address)

    def _begin(self, accepted: Any, address: Any) -> None:
        port = self._port
        transport: Any = None
        try:
            if self._prepare is not None:
                self._prepare(accepted)
            if len(address) == _IPV6_ADDRESS_PARTS and address[3]:
                # Only this names the interface of a link-local address.
                numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
                address = (socket.getnameinfo(address, numeric)[0], *address[1:])
            if self._build_for_host is None:
                protocol = port.factory.buildProtocol(port._buildAddr(address))  # noqa: SLF001
            else:
                protocol = self._build_for_host(address[0])
            if protocol is None:
                accepted.close()
                return
            transport = port.transport(accepted, protocol, address, port, 0, port.reactor)
            protocol.makeConnection(transport)
            if transport.connected:
                # What ends the connection is still there when the reactor reads.
                transport.doRead()
        except Exception:  # noqa: BLE001 - of any protocol; the port must go on
            _log.failure("could not begin the connection from {peer}", peer=address[0])
            if transport is None:
                accepted.close()
            else:
                transport.abortConnection()
