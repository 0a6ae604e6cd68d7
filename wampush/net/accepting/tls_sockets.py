"""TLS directly on the socket of a connection that a port has accepted.

Owns: the handshake, records in and out, what waits for the other direction, the end of TLS.
Must not import: the broker, the edges; what owns certificates is handed in.

Twisted's TLS has OpenSSL read and write buffers in memory, and carries their content from and to a
TCP transport: two transports, two buffers and three copies for each connection. Here OpenSSL has
the descriptor. What is left is a TCP transport whose reads and writes go through OpenSSL, in the
methods that Twisted's transports have for this: ``doRead``, ``doWrite``, ``writeSomeData``,
``_closeWriteConnection``, ``_postLoseConnection`` and ``connectionLost``. The tests of this module
run the same conversations over it and over Twisted's TLS, and compare what it relies on with
Twisted's code.

Four rules of OpenSSL (SSL_read(3), SSL_write(3), SSL_shutdown(3)) shape this module:

* A read may have to wait until the socket can be written, and a write until it can be read.
* A record that is encrypted and that the socket does not take has to be offered again before
  anything else. So it becomes the front of the transport's buffer, wherever it comes from.
* A read returns one record at most, and takes no byte of the next one from the socket. So the
  reactor knows whether there is more to read.
* After an error that is not one of those above, nothing may be called but the end.
"""

from __future__ import annotations

import contextlib
from enum import Enum, unique
from typing import Any, ClassVar, Final, Protocol

from OpenSSL import SSL
from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from zope.interface import implementer

from wampush.net.accepting.slim_sockets import SlimServer, slim_server

#: The most that a record holds (RFC 8446 section 5.1).
RECORD_BYTES: Final = 16_384
#: Bytes that are discarded when TLS has failed. A socket that is closed with unread bytes is reset,
#: and the client would not learn why.
_DISCARD_BYTES: Final = 65_536


class Contexts(Protocol):
    """Where connections get their certificate from."""

    def current(self) -> SSL.Context:
        """Return the context for a new connection."""

    def on_failed(self, peer: object, error: SSL.Error) -> None:
        """Count a handshake that has failed.

        :param peer: the address of the client.
        :param error: what OpenSSL has found.
        """


@unique
class _Phase(Enum):
    """How far a connection is, and what it waits for."""

    #: The handshake goes on when the client has sent more.
    HANDSHAKE = "handshake"
    #: The handshake goes on when the socket takes more.
    HANDSHAKE_BLOCKED = "handshake, blocked"
    OPEN = "open"
    #: What the client has sent is read when the socket takes more.
    READ_BLOCKED = "reading, blocked"
    #: What is to be sent is written when the client has sent more.
    WRITE_STARVED = "writing, starved"
    #: TLS has failed; the connection is about to be closed.
    FAILED = "failed"


_HANDSHAKE: Final = frozenset((_Phase.HANDSHAKE, _Phase.HANDSHAKE_BLOCKED))
#: Reading waits until the socket takes more; and the phase in which it goes on then.
_AFTER_BLOCKED_READ: Final = {
    _Phase.HANDSHAKE_BLOCKED: _Phase.HANDSHAKE,
    _Phase.READ_BLOCKED: _Phase.OPEN,
}


@implementer(ISSLTransport)
class TlsServer(SlimServer):
    """A TLS connection that a port has accepted; see :func:`secure`.

    Its parameters are those of :class:`SlimServer`. It takes data from the protocol at any time;
    none leaves before the handshake is done. ``loseConnection`` signals the client that nothing
    more comes (close_notify), and does not wait for the client to say the same.
    """

    #: On the class of each port.
    contexts: ClassVar[Contexts]
    _phase = _Phase.HANDSHAKE

    def __init__(
        self, accepted: Any, protocol: Any, client: Any, server: Any, number: int, reactor: Any
    ) -> None:
        self._tls = SSL.Connection(self.contexts.current(), accepted)
        self._tls.set_accept_state()
        super().__init__(accepted, protocol, client, server, number, reactor)

    def getHandle(self) -> Any:
        """Return what data can be sent to directly, which is this transport: see :meth:`send`."""
        return self

    def getPeerCertificate(self) -> Any:
        """Return the certificate of the client; None without one (``ISSLTransport``).

        Not after the connection is lost.
        """
        return self._tls.get_peer_certificate()

    # In.

    def doRead(self) -> Any:
        """Go on with the handshake, or read; called by the reactor.

        :returns: why the connection has ended; None if it has not.
        """
        try:
            if self._phase in _HANDSHAKE:
                self._tls.do_handshake()
                self._go_on()
            data = self._tls.recv(RECORD_BYTES)
        except SSL.WantReadError:
            return None
        except SSL.WantWriteError:
            self._wait_to_read()
            return None
        except SSL.Error as error:
            return self._end(error)
        if self._phase is not _Phase.OPEN:
            self._go_on()
        protocol: Any = self.protocol
        protocol.dataReceived(data)
        return None

    def _go_on(self) -> None:
        """Write what has waited until something was read."""
        self._phase = _Phase.OPEN
        if self._tempDataLen or self.dataBuffer or self._writeDisconnecting:
            self.startWriting()  # type: ignore[no-untyped-call]

    def _wait_to_read(self) -> None:
        in_handshake = self._phase is _Phase.HANDSHAKE
        self._phase = _Phase.HANDSHAKE_BLOCKED if in_handshake else _Phase.READ_BLOCKED
        self.stopReading()  # type: ignore[no-untyped-call]
        self.startWriting()  # type: ignore[no-untyped-call]

    def _end(self, error: SSL.Error) -> Any:
        """Handle the end of what can be read; return the reason for the reactor, if it is known."""
        is_cut_off = isinstance(error, (SSL.SysCallError, SSL.ZeroReturnError))
        if self._phase in _HANDSHAKE:
            if not is_cut_off:
                self.contexts.on_failed(self.getPeer(), error)  # type: ignore[no-untyped-call]
        elif is_cut_off:
            return CONNECTION_DONE if isinstance(error, SSL.ZeroReturnError) else CONNECTION_LOST
        # OpenSSL has sent an alert. The reactor does not find out by itself that this is the end.
        self._phase = _Phase.FAILED
        with contextlib.suppress(OSError):
            self.socket.recv(_DISCARD_BYTES)
        self.loseConnection()  # type: ignore[no-untyped-call]
        return None

    def pauseProducing(self) -> None:
        """Read nothing for now (``IPushProducer``)."""
        if self._phase is _Phase.READ_BLOCKED:
            # It would begin to read by itself; the protocol will.
            self._phase = _Phase.OPEN
        super().pauseProducing()  # type: ignore[no-untyped-call]

    # Out.

    def send(self, data: bytes | memoryview) -> int:
        """Send as a non-blocking socket does.

        :param data: at least one byte.
        :returns: how many bytes are sent. The last record of them may have become the front of this
            transport's buffer, which leaves by itself.
        :raises BlockingIOError: none, because there is something in that buffer, or the handshake
            is not done.
        :raises ConnectionError: none, because the connection is lost or failed.
        """
        if self._phase is not _Phase.OPEN or self._tempDataLen or self.dataBuffer:
            raise BlockingIOError
        if not self.connected:
            raise ConnectionAbortedError
        sent, size = 0, len(data)
        record: bytes | memoryview = data
        send = self._tls.send
        try:
            while True:
                if size > RECORD_BYTES:
                    record = memoryview(data)[sent : sent + RECORD_BYTES]
                sent += send(record)
                if sent == size:
                    return sent
                if size <= RECORD_BYTES:
                    # The client has asked for shorter records (RFC 8449, RFC 6066 section 4).
                    record = memoryview(data)[sent:]
        except (SSL.WantReadError, SSL.WantWriteError) as wanted:
            if isinstance(wanted, SSL.WantReadError):
                self._phase = _Phase.WRITE_STARVED
            # Not the method of the instance, which may count what is written.
            SlimServer.write(self, bytes(record))
            return sent + len(record)
        except SSL.SysCallError as error:
            # The reactor reports it as well.
            raise ConnectionAbortedError from error
        except SSL.Error as error:
            self.abortConnection()  # type: ignore[no-untyped-call]
            raise ConnectionAbortedError from error

    def doWrite(self) -> Any:
        """Write what waits, or go on with what waits until that is possible.

        :returns: why the connection has ended; None if it has not.
        """
        phase = self._phase
        if not self.connected:
            # A read in the same turn has ended it.
            return None
        if phase is _Phase.OPEN:
            return super().doWrite()  # type: ignore[no-untyped-call]
        if self.disconnecting:
            if phase is _Phase.READ_BLOCKED:
                return super().doWrite()  # type: ignore[no-untyped-call]
            # Nothing is read any more, so what waits to be written never can be.
            return CONNECTION_DONE
        after = _AFTER_BLOCKED_READ.get(phase)
        if after is None:
            self.stopWriting()  # type: ignore[no-untyped-call]
            return None
        self._phase = after
        self.startReading()  # type: ignore[no-untyped-call]
        return self.doRead()

    def writeSomeData(self, data: bytes) -> Any:
        """Encrypt and send what the socket takes.

        :param data: begins with the record that the socket has not taken, if there is one.
        :returns: how many bytes are sent; or why the connection has ended.
        """
        view = memoryview(data)[: self.SEND_LIMIT]
        sent = 0
        try:
            while sent < len(view):
                sent += self._tls.send(view[sent : sent + RECORD_BYTES])
        except SSL.WantWriteError:
            pass
        except SSL.WantReadError:
            self._phase = _Phase.WRITE_STARVED
        except SSL.Error:
            return CONNECTION_LOST
        return sent

    # The end.

    def _closeWriteConnection(self) -> None:
        """Signal the client that nothing more comes; everything is written."""
        if self._has_said_end():
            super()._closeWriteConnection()
        else:
            self._writeDisconnected = False

    def _postLoseConnection(self) -> Any:
        """Signal the client that nothing more comes, then close; everything is written.

        :returns: why the connection has ended; None if it has not.
        """
        return super()._postLoseConnection() if self._has_said_end() else None  # type: ignore[no-untyped-call]

    def _has_said_end(self) -> bool:
        """Send close_notify; return False if the socket does not take it yet.

        Twisted then asks again once it does, because nothing else is to be written.
        """
        try:
            self._tls.shutdown()
        except SSL.WantWriteError:
            self.startWriting()  # type: ignore[no-untyped-call]
            return False
        except SSL.Error:
            # The client is gone, which the reactor reports.
            self._phase = _Phase.FAILED
        return True

    def connectionLost(self, reason: Any) -> None:
        """End TLS and close the socket; nothing happens the second time."""
        tls = vars(self).pop("_tls", None)
        is_done = reason.check(ConnectionDone) and self._phase is _Phase.OPEN
        if tls is not None and is_done and not tls.get_shutdown() & SSL.SENT_SHUTDOWN:
            # The answer to the client's close_notify, if the socket takes it.
            with contextlib.suppress(SSL.Error):
                tls.shutdown()
        super().connectionLost(reason)


def secure(port: Any, contexts: Contexts) -> None:
    """Have a port that does not accept yet make TLS connections.

    :param port: a ``tcp.Port``, whose ``transport`` is meant to be replaced.
    :param contexts: where its connections get their certificate from.
    :raises TypeError: it is a port of another kind, whose connections would not be TLS. It is
        closed.
    """
    if not isinstance(port, tcp.Port):
        port.stopListening()
        raise TypeError(f"the reactor's ports are {type(port).__name__}, not tcp.Port of Twisted")
    shared = {"contexts": contexts}
    port.transport = slim_server(port.reactor, port, port._addressType, TlsServer, shared)  # noqa: SLF001
