"""Listening on endpoints.

Owns: opening ports for endpoint strings, the errors that operators see, options of sockets.
Must not import: the broker, the edges.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet import tcp
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore
from twisted.python.failure import Failure

from wampush.errors import ListenError
from wampush.excerpts import printable
from wampush.net.accepting.accept_errors import limit_accept_errors
from wampush.net.accepting.slim_sockets import accept_slim
from wampush.net.accepting.tls_sockets import TlsServer
from wampush.systemd.passed_sockets import problem_of
from wampush.tcp_options import set_tcp_options

#: Connections that the kernel completes before they are accepted: room for a mass reconnect.
BACKLOG: Final = 4096

#: Connections that a port accepts in one reactor turn. Twisted accepts more and more of them, and
#: even one that is refused keeps its descriptor until the next turn; these have to fit into
#: ``descriptors.RESERVED_DESCRIPTORS``. A crowd that connects delays others less, too.
ACCEPTS_PER_TURN: Final = 16
#: Likewise with TLS, where most of the handshake follows at once, and takes some hundred
#: microseconds.
TLS_ACCEPTS_PER_TURN: Final = 4

#: Why a port takes no connections when it has been closed.
CLOSED: Final = "it is closed"

#: ``IListeningPort``; mypy does not accept zope interfaces as types.
ListeningPort = Any

_SYSTEMD_REMEDY: Final = (
    "start wampush through a .socket unit whose FileDescriptorName= is the name in the endpoint"
)
_SHAPE: Final = (
    "an endpoint is like tcp:8080:interface=127.0.0.1 or unix:/run/wampush.sock "
    "(Twisted endpoint strings)"
)


def listen(
    reactor: IReactorCore, text: str, factory: Any, carrier: str | None = None
) -> ListeningPort:
    """Listen on an endpoint.

    :param reactor: opens the port.
    :param text: a Twisted endpoint string, as configured.
    :param factory: makes the protocols (``IProtocolFactory``).
    :param carrier: the endpoint to open instead, when the factory itself adds what ``text`` asks
        for, such as TLS.
    :raises ListenError: the string is not an endpoint, or its address cannot be used.
    """
    endpoint = _endpoint(reactor, text, carrier)
    outcome: list[Any] = []
    try:
        waiting: Deferred[Any] = endpoint.listen(factory)
    except (ValueError, OverflowError, OSError) as error:
        raise ListenError(text, str(error), _SHAPE) from error
    waiting.addBoth(outcome.append)
    if not outcome:
        raise ListenError(text, "it does not listen at once", "use a tcp:, ssl: or unix: endpoint")
    port = outcome[0]
    if isinstance(port, Failure):
        raise listen_error(text, port.value or RuntimeError(str(port)))
    _require_domain(port, text)
    _tune(port, text)
    limit_accept_errors(port)
    if isinstance(port, tcp.Port):
        _limit_accepts(port, is_passed=_is_passed(text))
    return port


def _is_passed(text: str) -> bool:
    """Return whether the service manager has opened the socket of an endpoint."""
    return text.removeprefix("haproxy:").startswith("systemd:")


def _endpoint(reactor: IReactorCore, text: str, carrier: str | None) -> Any:
    """Return the endpoint of a string; the parameters are those of :func:`listen`.

    :raises ListenError: the string is not an endpoint, or names files that cannot be used.
    """
    try:
        return serverFromString(reactor, carrier or text)
    # Endpoint parsers raise whatever their int(), lookups and keyword arguments raise.
    except OSError as error:
        raise ListenError(
            text,
            f"{str(error.filename)!r} cannot be read: {error.strerror}",
            "name an existing file that this user may read",
        ) from error
    except LookupError as error:
        if not _is_passed(text):
            raise ListenError(text, _not_understood(text, error), _SHAPE) from error
        problem = problem_of(text, os.environ)
        raise ListenError(text, problem, _SYSTEMD_REMEDY) from error
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ListenError(text, _not_understood(text, error), _SHAPE) from error
    except (SSL.Error, crypto.Error) as error:
        raise ListenError(
            text,
            "its key or certificate cannot be used",
            "privateKey and certKey must name PEM files with a key and its certificate",
        ) from error


def _not_understood(text: str, error: Exception) -> str:
    """Return what is wrong with an endpoint string of a kind that the settings do not check."""
    kind = text.partition(":")[0]
    if str(error).startswith("Unknown endpoint type"):
        return f"unknown endpoint type {kind!r}"
    return f"the arguments after {kind}: are not valid ({error})"


def listen_error(text: str, error: BaseException) -> ListenError:
    """Return the error that explains a failure to listen."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    if isinstance(cause, socket.gaierror):
        problem = "its interface is neither an IP address nor a known host name"
        return ListenError(text, problem, "interface= must be an address of this machine")
    if isinstance(cause, OSError):
        return ListenError(text, cause.strerror or str(cause), _remedy(text, cause))
    return ListenError(text, str(cause), _SHAPE)


def _remedy(text: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "stop the other program, or choose another address or port"
    if text.startswith("unix:"):
        return "use a path in an existing folder that this user may write to"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "choose a port from 1024 on, or start as root with --uid and --gid"
    return "interface= must be an address of this machine"


def _require_domain(port: ListeningPort, text: str) -> None:
    """Refuse a socket from systemd of another domain than its endpoint says.

    Addresses would be read wrongly: those of the clients, too.

    :raises ListenError: it is of another domain.
    """
    adopted: Any = getattr(port, "socket", None)
    if not isinstance(adopted, socket.socket):
        return
    domain = socket.AddressFamily(adopted.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN))
    if domain == adopted.family:
        return
    port.stopListening()
    name = domain.name.removeprefix("AF_")
    remedy = f"write domain={name}"
    if domain == socket.AF_UNIX:
        remedy = "write ListenStream=127.0.0.1:8080 in the .socket unit, or listen on unix:"
    raise ListenError(text, f"the socket that systemd passes is of domain {name}", remedy)


def _tune(port: ListeningPort, text: str) -> None:
    """Set the options that accepted sockets inherit, which saves system calls for each of them."""
    listening: Any = getattr(port, "socket", None)
    if not isinstance(listening, socket.socket):
        return
    if isinstance(port, tcp.Port) and listening.family in (socket.AF_INET, socket.AF_INET6):
        set_tcp_options(listening)
    if "backlog=" not in text:
        listening.listen(BACKLOG)


def _limit_accepts(port: ListeningPort, *, is_passed: bool) -> None:
    """Let a port accept at most :data:`ACCEPTS_PER_TURN` connections in a turn, fewer with TLS.

    :param is_passed: whether clients may have connected before the socket got its options.
    """
    kind = port.transport
    if kind is tcp.Server or issubclass(kind, TlsServer):
        most = ACCEPTS_PER_TURN if kind is tcp.Server else TLS_ACCEPTS_PER_TURN
        accept_slim(port, most, set_tcp_options if is_passed else None)
        return
    accept: Callable[[], object] = port.doRead

    def accept_some() -> None:
        # Twisted adapts this attribute after each turn.
        port.numberAccepts = min(port.numberAccepts, ACCEPTS_PER_TURN)
        accept()

    port.doRead = accept_some


def change_owner(path: str, user: int, group: int) -> None:
    """Give a file to an account, so that it can open it again, or remove it if it is a socket.

    :param path: of the file.
    :param user: the user id.
    :param group: the group id.
    :raises ListenError: the system does not allow it.
    """
    try:
        os.chown(path, user, group)
    except OSError as error:
        raise ListenError(
            path,
            f"cannot change its owner to user {user}, group {group}: {error.strerror}",
            "start as root, or without --uid and --gid",
        ) from error


def socket_files(ports: Iterable[ListeningPort]) -> list[str]:
    """Return the paths of ports that are UNIX sockets in the file system."""
    names = [port.getHost().name for port in ports if isinstance(port.getHost(), UNIXAddress)]
    return [os.fsdecode(name) for name in names if name and not name.startswith(b"\0")]


def listening_problem(port: ListeningPort) -> str:
    """Return why a port takes no connections; "" if it does."""
    if not getattr(port, "connected", True):
        return CLOSED
    listening: Any = getattr(port, "socket", None)
    if isinstance(listening, socket.socket):
        if listening.fileno() < 0:
            return CLOSED
        if sys.platform == "linux" and not listening.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            return "it does not listen"
        if not all(map(os.path.exists, socket_files([port]))):
            return "its file has been removed"
    return ""


def is_loopback(port: ListeningPort) -> bool:
    """Return whether only this machine can reach a port."""
    address = port.getHost()
    if isinstance(address, UNIXAddress):
        return True
    try:
        return ipaddress.ip_address(getattr(address, "host", "")).is_loopback
    except ValueError:
        return False


def describe(port: ListeningPort) -> str:
    """Return the address of a port, for the log.

    Of a UNIX socket it is its path as in the URLs of nginx: between ``unix:`` and ``:``.
    """
    address: Any = port.getHost()
    if isinstance(address, UNIXAddress):
        name = os.fsdecode(address.name or b"").replace("\0", "@")
        return f"unix:{printable(name)}:"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
