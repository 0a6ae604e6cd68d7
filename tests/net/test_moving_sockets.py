"""A socket that leaves one transport for another: nothing shows on the wire, nothing is lost."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from tests.support.two_nodes import PumpedReactor
from wampush.net import moving_sockets


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
        return near, far


class Reader(Protocol):
    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.data += data


@pytest.mark.parametrize("pair", [socket.socketpair, tcp_pair], ids=["unix", "tcp"])
def test_the_wire_notices_nothing(pair) -> None:
    near, far = pair()
    reactor = PumpedReactor()
    near.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    first = Reader()
    transport = moving_sockets.attach(near.detach(), first, reactor)
    sent = b"".join(b"%06d" % number for number in range(200_000))
    transport.write(sent)
    for _ in range(3):
        reactor.turn()
    far.send(b"hello")
    assert moving_sockets.carrier_of(transport) is transport
    descriptor, unsent = moving_sockets.detach(transport)
    assert 0 < len(unsent) < len(sent)
    for late in (transport.loseConnection, transport.abortConnection):
        late()
    transport.write(b"too late")
    reactor.turn()
    second = Reader()
    moved = moving_sockets.attach(os.dup(descriptor), second, reactor)
    os.close(descriptor)
    moved.resumeProducing()
    moved.write(unsent)
    far.setblocking(False)
    received = b""
    while len(received) < len(sent):
        reactor.turn()
        try:
            received += far.recv(1 << 20)
        except BlockingIOError:
            continue
    assert received == sent
    assert (first.data, second.data) == (b"", b"hello")
    assert "Reader" in repr(moved)
    moved.abortConnection()
    reactor.turn()
    far.close()


def test_the_carrier_of_a_wrapped_transport_is_the_one_below() -> None:
    near, far = socket.socketpair()
    wrapped: Any = Reader()
    wrapper = ProtocolWrapper(WrappingFactory(None), wrapped)
    transport = moving_sockets.attach(near.detach(), wrapper, PumpedReactor())
    wrapper.transport = transport
    assert moving_sockets.carrier_of(wrapper) is transport
    assert moving_sockets.carrier_of(object()) is None
    transport.TLS = True
    assert moving_sockets.carrier_of(wrapper) is None
    os.close(moving_sockets.detach(transport)[0])
    far.close()


def test_a_client_that_is_gone_is_an_error_and_leaves_no_descriptor() -> None:
    lonely = socket.socket()
    descriptor = lonely.detach()
    with pytest.raises(OSError, match="not connected"):
        moving_sockets.attach(descriptor, Reader(), PumpedReactor())
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_tls_has_no_carrier() -> None:
    near, far = socket.socketpair()
    transport = moving_sockets.attach(near.detach(), Reader(), PumpedReactor())

    class Secured:
        """As Twisted's ``TLSMemoryBIOProtocol``: its handle is the state of TLS, not a socket."""

        def __init__(self) -> None:
            self.transport = transport

        def getHandle(self) -> object:  # noqa: N802 - Twisted's name
            return object()

    assert moving_sockets.carrier_of(Secured()) is None
    os.close(moving_sockets.detach(transport)[0])
    far.close()
