"""A TLS connection whose bytes go as far as a test lets them: our transport, and a client.

The client is of the standard library. Its bytes pass through memory, so that a test decides how
many of them the socket gets.
"""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.two_nodes import PumpedReactor
from wampush.net.accepting.slim_sockets import SlimServer, slim_server
from wampush.net.accepting.tls_sockets import TlsServer
from wampush.net.tls import ServerContext

#: The address of the client.
CLIENT = ("203.0.113.7", 51234)
#: The least that Linux accepts: a record does not fit.
SMALL_BUFFER = 4608
_ALL = 1 << 20
_TURNS = 20_000


class Talker(Protocol):
    """Notes what happens to its connection."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: Failure | None = None
        self.on_data: Callable[[bytes], object] = lambda _: None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.on_data(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Client:
    """The client's end.

    :param end: of the socket.
    :param context: of the client.
    """

    def __init__(self, end: socket.socket, context: ssl.SSLContext) -> None:
        end.setblocking(False)
        self.end = end
        self._arriving, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        # Early versions of Python 3.11 set this, and then take any end for one that was announced.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self.tls = context.wrap_bio(self._arriving, self._leaving, server_hostname="localhost")
        self.is_open = False
        self.received = bytearray()
        #: Whether the server has said that nothing more comes, and whether its socket is closed.
        self.is_told = False
        self.is_cut_off = False
        self.error: Exception | None = None
        self._unsent = bytearray()

    def write(self, data: bytes) -> None:
        """Encrypt; it leaves in the next turns."""
        self.tls.write(data)

    def write_plain(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._unsent += data

    def say_end(self) -> None:
        """Tell the server that nothing more comes."""
        # The client of the standard library waits for the same of the server.
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()

    def turn(self, most: int = _ALL, *, reads: bool = True) -> None:
        """Carry at most so many bytes in each direction, and go on.

        :param reads: whether it takes bytes from its socket.
        """
        if self.end.fileno() < 0:
            return
        if reads and not self.is_cut_off:
            try:
                data = self.end.recv(most)
                self._arriving.write(data)
                if not data:
                    self.is_cut_off = True
                    self._arriving.write_eof()
            except BlockingIOError:
                pass
            except OSError as error:
                self.error, self.is_cut_off = error, True
        if self.error is None and not self.is_told:
            self._go_on()
        self._unsent += self._leaving.read()
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            del self._unsent[: self.end.send(self._unsent[:most])]

    def _go_on(self) -> None:
        try:
            if not self.is_open:
                self.tls.do_handshake()
                self.is_open = True
            while True:
                data = self.tls.read(65_536)
                if not data:
                    self.is_told = True
                    return
                self.received += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_told = True
        except (ssl.SSLError, OSError) as error:
            self.error = error


@implementer(IOpenSSLServerConnectionCreator)
class _Creator:
    """For Twisted's TLS."""

    def __init__(self, contexts: ServerContext) -> None:
        self._contexts = contexts

    def serverConnectionForTLS(self, _: object) -> SSL.Connection:
        return SSL.Connection(self._contexts.current())


class TlsPair:
    """Both ends.

    :param contexts: of the server.
    :param client: the context of the client.
    :param small: whether the socket takes less than a record.
    :param twisted: whether Twisted's own TLS is used.
    """

    def __init__(
        self,
        contexts: ServerContext,
        client: ssl.SSLContext,
        *,
        small: bool = False,
        twisted: bool = False,
    ) -> None:
        self.reactor = PumpedReactor()
        near, far = socket.socketpair()
        if small:
            for each in (near, far):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        self.talker = Talker()
        protocol: Any = self.talker
        if twisted:
            factory: Any = Factory.forProtocol(lambda: self.talker)
            creator: Any = _Creator(contexts)
            protocol = TLSMemoryBIOFactory(creator, False, factory).buildProtocol(None)
        kind = SlimServer if twisted else TlsServer
        more = {"contexts": contexts, "getPeer": lambda _: IPv4Address("TCP", *CLIENT)}
        made = slim_server(self.reactor, None, IPv4Address, kind, more)
        carrier: Any = made(near, protocol, CLIENT, None, 0, self.reactor)
        protocol.makeConnection(carrier)
        self.transport: Any = self.talker.transport
        self.client = Client(far, client)

    def turn(self, most: int = _ALL, *, reads: bool = True) -> None:
        """One turn of both."""
        self.client.turn(most, reads=reads)
        self.reactor.turn()

    def until(self, holds: Callable[[], bool], most: int = _ALL) -> None:
        """Turn until a condition holds; at most so many bytes each time."""
        for _ in range(_TURNS):
            if holds():
                return
            self.turn(most)
        raise AssertionError("it never holds")

    def open(self) -> None:
        """Do the handshake."""
        self.until(lambda: self.client.is_open)
        # The client's last message.
        self.turn()

    def close(self) -> None:
        """End what is left."""
        self.client.end.close()
        if self.talker.lost is None:
            self.transport.abortConnection()
            self.reactor.turn()
