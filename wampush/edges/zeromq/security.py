"""Who may connect to the ZeroMQ sockets that are bound.

Owns: CURVE (ZeroMQ RFC 26), the handler that libzmq asks about each peer (ZAP, ZeroMQ RFC 27), the
mode of ``ipc://`` files, the warning about sockets that are open to everybody.
Must not import: Autobahn; of the edges only ``zmq_keys``.

libzmq asks over a socket of the same context, ``inproc://zeromq.zap.01``. The handler is a reader
of the reactor like any other ZeroMQ socket here; no thread is needed. Until it answers, the peer's
handshake waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import zmq
from twisted.logger import Logger
from txzmq import ZmqConnection, ZmqFactory
from zmq.utils import z85

from wampush.broker.ledger import Ledger, Source
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.zeromq import keys as zmq_keys
from wampush.errors import OperatorError, PushRefused, Refusal, shown
from wampush.net.addresses import Network, network, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = Logger(namespace="wampush")

_ZAP_ADDRESS: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"
_DOMAIN: Final = b"wampush"
_REQUEST_FRAMES: Final = 6
#: Requests answered in a reactor turn, so that a flood of connections leaves time for the rest.
_TURN_REQUESTS: Final = 100
#: Milliseconds for ZeroMQ's handshake; ample for a slow link, as websocket.handshake_timeout is.
_HANDSHAKE_MILLISECONDS: Final = 5000
_OPEN: Final = (
    "pushes from anybody who reaches {address} are taken: set zmq.allow to the addresses of the "
    "backends, or zmq.curve_secret_key_file and zmq.curve_client_keys, or bind 127.0.0.1"
)


def is_allowed(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address of a peer, as libzmq tells it, is in one of the networks."""
    peer = parsed(address)
    return peer is not None and any(peer in each for each in networks)


class ZapHandler(ZmqConnection):
    """Answers libzmq's questions about peers.

    :param factory: txzmq's factory, with the context of the sockets that are asked about.
    :param security: decides.
    """

    socketType = zmq.REP
    read_scheduled: Any

    def __init__(self, factory: ZmqFactory, security: ZmqSecurity) -> None:
        self._security = security
        super().__init__(factory)
        self.socket.bind(_ZAP_ADDRESS)

    def doRead(self) -> None:
        """Answer what waits, so many a turn; the descriptor is edge-triggered."""
        if self.read_scheduled is not None:
            if self.read_scheduled.active():
                self.read_scheduled.cancel()
            self.read_scheduled = None
        if self.factory is None:
            return
        for _ in range(_TURN_REQUESTS):
            try:
                request = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                if not self.socket.get(zmq.EVENTS) & zmq.POLLIN:
                    return
                continue
            self.socket.send_multipart(self._security.answer(request), zmq.NOBLOCK)
        self.read_scheduled = self.factory.reactor.callLater(0, self.doRead)


class ZmqSecurity:
    """Decides about peers, and prepares sockets so that libzmq asks.

    :param settings: the ``[zmq]`` table.
    :param ledger: counts the peers that were refused.
    :raises OperatorError: when a key can not be used.
    """

    def __init__(self, settings: ZmqSettings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._networks = [network(each) for each in settings.allow]
        self._ipc_mode = int(settings.ipc_mode, 8)
        self._clients_from = settings.curve_client_keys
        self._secret: bytes | None = None
        self._clients: frozenset[bytes] = frozenset()
        path = settings.curve_secret_key_file
        zmq_keys.check_pair(path, settings.curve_client_keys)
        if path:
            self._secret = zmq_keys.secret_key(zmq_keys.KEY_SETTING, path)
            self._clients = self._read_clients()

    @property
    def asks(self) -> bool:
        """Whether anything is decided at all."""
        return self._secret is not None or bool(self._networks)

    def start(self, factory: ZmqFactory) -> None:
        """Begin to answer; before the first socket is bound."""
        ZapHandler(factory, self)

    def reload(self) -> None:
        """Read the keys of the backends again, for new connections; a broken file changes nothing.

        Connections that are there stay.
        """
        if self._secret is None:
            return
        try:
            self._clients = self._read_clients()
        except OperatorError as error:
            _log.error("ZeroMQ goes on with the client keys it has: {error}", error=error)
        else:
            _log.info("ZeroMQ: {count} client keys may connect", count=len(self._clients))

    def _read_clients(self) -> frozenset[bytes]:
        return zmq_keys.public_keys(zmq_keys.CLIENTS_SETTING, self._clients_from)

    def protect(self, socket: zmq.Socket[bytes], address: str) -> None:
        """Prepare a socket that is about to be bound."""
        if not address.startswith("tcp://"):
            return
        socket.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_MILLISECONDS)
        # Also where everybody may push: libzmq then refuses peers without a greeting (ZMTP 1.0). It
        # would take the POST of any web page in a browser on this machine for one of them.
        socket.set(zmq.ZAP_DOMAIN, _DOMAIN)
        # Without it libzmq lets peers in while nobody answers.
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        if self._secret is not None:
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.CURVE_SECRETKEY, self._secret)

    @contextmanager
    def files_are_ours(self) -> Iterator[None]:
        """While it lasts, new files are for our user only; a mode is given when it is over."""
        before = os.umask(0o077)
        try:
            yield
        finally:
            os.umask(before)

    def bound(self, address: str) -> None:
        """A socket is bound: give its file the mode, or warn when it is open to everybody.

        :param address: what libzmq says where it is.
        :raises OperatorError: when the mode can not be set.
        """
        path = address.removeprefix("ipc://")
        if path != address:
            if path.startswith("@"):
                _log.warn("anybody on this machine may push to {address}", address=address)
                return
            try:
                Path(path).chmod(self._ipc_mode)
            except OSError as error:
                raise OperatorError(f"zmq.ipc_mode of {path!r}: {error.strerror}") from error
        elif not self.asks and not _is_loopback(address):
            _log.warn(_OPEN, address=address)

    def answer(self, request: Sequence[bytes]) -> list[bytes]:
        """The reply to a request of libzmq (ZeroMQ RFC 27)."""
        if len(request) < _REQUEST_FRAMES or request[0] != _VERSION:
            return [_VERSION, request[1] if len(request) > 1 else b"", b"500", b"", b"", b""]
        request_id, address, mechanism = request[1], request[3], request[5]
        status, user = b"400", b""
        try:
            user = self._admit(address.decode("ascii", "replace"), mechanism, request[6:])
            status = b"200"
        except PushRefused as error:
            origin = address.decode("ascii", "backslashreplace")
            self._ledger.refuse(Source.CONNECTION, origin, error, b"")
        # The peer is told nothing but that it may not.
        return [_VERSION, request_id, status, b"", user, b""]

    def _admit(self, address: str, mechanism: bytes, credentials: Sequence[bytes]) -> bytes:
        """The name of a peer that may connect.

        :raises PushRefused: when it may not.
        """
        if self._networks and not is_allowed(address, self._networks):
            raise PushRefused(Refusal.BACKEND_ADDRESS)
        if self._secret is None:
            return b""
        if mechanism != b"CURVE" or len(credentials) != 1:
            raise PushRefused(Refusal.BACKEND_KEY, f"The mechanism was {shown(mechanism)}.")
        key: bytes = z85.encode(credentials[0])
        if key not in self._clients:
            raise PushRefused(Refusal.BACKEND_KEY, f"Its public key is {key.decode()}")
        return key


def _is_loopback(address: str) -> bool:
    host = address.removeprefix("tcp://").rpartition(":")[0].strip("[]").partition("%")[0]
    found = parsed(host)
    return found is not None and found.is_loopback
