"""Which backends may connect to the ZeroMQ sockets that are bound.

Owns: CURVE (ZeroMQ RFC 26), the decision about each peer, the mode of ``ipc://`` files, the warning
about sockets that are open to everybody.
Must not import: Autobahn; the other edges.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import zmq
from twisted.logger import Logger
from txzmq import ZmqFactory
from zmq.utils import z85

from wampush.broker.ledger import Ledger, Source
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.zeromq.keys import (
    CLIENTS_SETTING,
    KEY_SETTING,
    check_key_pair,
    read_public_keys,
    read_secret_key,
)
from wampush.edges.zeromq.monitor import PeerMonitor
from wampush.edges.zeromq.peer_limit import PeerLimit
from wampush.edges.zeromq.zap import ZapHandler
from wampush.errors import OperatorError, PushRefused, Refusal
from wampush.excerpts import shown
from wampush.net.addresses import Network, parse_address, parse_network

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = Logger(namespace="wampush.zeromq")

_VERSION: Final = b"1.0"
_DOMAIN: Final = b"wampush"
_REQUEST_FRAMES: Final = 6
#: Seconds for ZeroMQ's handshake; ample for a slow link, as websocket.handshake_timeout is.
HANDSHAKE_SECONDS: Final = 5
#: Connections that the kernel completes before libzmq accepts them, which a thread of its own does
#: at once. When the limit of backends is reached, as many are accepted beyond it.
_BACKLOG: Final = 16
_OPEN: Final = (
    "anyone who can reach {address} may push: set zmq.allow to the addresses of the backends, or "
    "zmq.curve_secret_key_file and zmq.curve_client_keys, or bind 127.0.0.1"
)


def is_allowed(address: str, networks: Iterable[Network]) -> bool:
    """Return whether the address of a peer, as libzmq reports it, is in one of the networks."""
    peer = parse_address(address)
    return peer is not None and any(peer in each for each in networks)


class ZmqSecurity:
    """Decides about peers, and prepares sockets so that libzmq asks.

    :param settings: the ``[zmq]`` table.
    :param ledger: counts the peers that were refused.
    :raises OperatorError: a key cannot be used.
    """

    def __init__(self, settings: ZmqSettings, ledger: Ledger) -> None:
        self._ledger = ledger
        self._networks = [parse_network(each) for each in settings.allow]
        self._ipc_mode = int(settings.ipc_mode, 8)
        self._client_keys_path = settings.curve_client_keys
        self._secret_key: bytes | None = None
        self._client_keys: frozenset[bytes] = frozenset()
        path = settings.curve_secret_key_file
        check_key_pair(path, settings.curve_client_keys)
        if path:
            self._secret_key = read_secret_key(KEY_SETTING, path)
            self._client_keys = self._read_client_keys()

    @property
    def is_restricted(self) -> bool:
        """Whether only some backends may connect."""
        return self._secret_key is not None or bool(self._networks)

    def start(self, factory: ZmqFactory) -> None:
        """Begin to answer libzmq; must precede the first socket that is bound.

        :param factory: txzmq's factory, with the context of the sockets.
        """
        ZapHandler(factory, self.answer)

    def reload(self) -> None:
        """Read the keys of the backends again, for new connections.

        A file that cannot be used changes nothing. Connections that exist stay.
        """
        if self._secret_key is None:
            return
        try:
            self._client_keys = self._read_client_keys()
        except OperatorError as error:
            _log.error(
                "ZeroMQ: could not reload the client keys, keeping the old ones: {error}",
                error=error,
            )
        else:
            _log.info(
                "ZeroMQ: client keys reloaded; {count} may connect",
                count=len(self._client_keys),
            )

    def _read_client_keys(self) -> frozenset[bytes]:
        return read_public_keys(CLIENTS_SETTING, self._client_keys_path)

    def protect(self, socket: zmq.Socket[bytes], address: str) -> None:
        """Prepare a socket that is about to be bound.

        :param address: where it will be bound; libzmq asks about peers of ``tcp://`` sockets only.
        """
        socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_SECONDS * 1000)
        socket.set(zmq.BACKLOG, _BACKLOG)
        if not address.startswith("tcp://"):
            return
        # Set even when everybody may push: libzmq then refuses peers without a greeting (ZMTP 1.0).
        # Otherwise it would take the POST of any web page on this machine for such a peer.
        socket.set(zmq.ZAP_DOMAIN, _DOMAIN)
        # Without it libzmq admits peers while nobody answers.
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        if self._secret_key is not None:
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.CURVE_SECRETKEY, self._secret_key)

    def monitor(
        self, factory: ZmqFactory, socket: zmq.Socket[bytes], address: str, limit: PeerLimit
    ) -> PeerMonitor:
        """Return a monitor of a socket that is about to be bound.

        :param factory: txzmq's factory, with the context of the socket.
        :param address: where it will be bound, for the log.
        :param limit: counts its peers.
        """
        return PeerMonitor(
            factory,
            socket,
            address,
            limit=limit,
            ledger=self._ledger,
            handshake_seconds=HANDSHAKE_SECONDS,
        )

    @contextmanager
    def private_files(self) -> Iterator[None]:
        """Make new files accessible to this user only; :meth:`on_bound` sets the final mode."""
        before = os.umask(0o077)
        try:
            yield
        finally:
            os.umask(before)

    def on_bound(self, address: str) -> None:
        """Set the mode of a bound socket's file, or warn when the socket is open to everybody.

        :param address: where libzmq bound it.
        :raises OperatorError: the mode cannot be set.
        """
        path = address.removeprefix("ipc://")
        if path != address:
            if path.startswith("@"):
                _log.warn("any program on this machine may push to {address}", address=address)
                return
            try:
                Path(path).chmod(self._ipc_mode)
            except OSError as error:
                raise OperatorError(
                    f"zmq.ipc_mode cannot be set for {path!r}: {error.strerror}"
                ) from error
        elif not self.is_restricted and not _is_loopback(address):
            _log.warn(_OPEN, address=address)

    def answer(self, request: Sequence[bytes]) -> list[bytes]:
        """Return the reply to a request of libzmq (ZeroMQ RFC 27)."""
        if len(request) < _REQUEST_FRAMES or request[0] != _VERSION:
            return [_VERSION, request[1] if len(request) > 1 else b"", b"500", b"", b"", b""]
        request_id, address, mechanism = request[1], request[3], request[5]
        status, user = b"400", b""
        try:
            user = self._admit(address.decode("ascii", "replace"), mechanism, request[6:])
            status = b"200"
        except PushRefused as error:
            origin = address.decode("ascii", "backslashreplace")
            self._ledger.refuse(Source.CONNECTION, origin, error, b"", address=origin)
        # The peer gets no reason.
        return [_VERSION, request_id, status, b"", user, b""]

    def _admit(self, address: str, mechanism: bytes, credentials: Sequence[bytes]) -> bytes:
        """Return the name of a peer that may connect: its public key, or b"" without CURVE.

        :raises PushRefused: the peer may not connect.
        """
        if self._networks and not is_allowed(address, self._networks):
            raise PushRefused(Refusal.BACKEND_ADDRESS)
        if self._secret_key is None:
            return b""
        if mechanism != b"CURVE" or len(credentials) != 1:
            name = shown(mechanism.decode("ascii", "backslashreplace"))
            raise PushRefused(Refusal.BACKEND_KEY, f"The mechanism was {name}.")
        key: bytes = z85.encode(credentials[0])
        if key not in self._client_keys:
            raise PushRefused(Refusal.BACKEND_KEY, f"Its public key is {key.decode()}")
        return key


def _is_loopback(address: str) -> bool:
    host = address.removeprefix("tcp://").rpartition(":")[0].strip("[]").partition("%")[0]
    found = parse_address(host)
    return found is not None and found.is_loopback
