"""Listening on endpoints, and what the system allows.

Owns: endpoint strings to ports, errors of that for operators, descriptor limits.
Must not import: the broker, the edges.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import resource
import socket
import sys
from collections.abc import Iterable
from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet import tcp
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from wampush.errors import ListenError

#: Descriptors that are connections neither of clients nor to the HTTP port: listeners, ZeroMQ, log
#: files.
RESERVED_DESCRIPTORS: Final = 128
#: Connections that the kernel completes before they are accepted: room for a mass reconnect.
BACKLOG: Final = 4096

#: ``IListeningPort``; zope interfaces are no types to mypy.
ListeningPort = Any

#: What the kernel takes for a client before it has sent what it took earlier. Without it, each
#: client that stops reading gets megabytes of kernel memory that no limit here counts, and filling
#: them slows down all others.
UNSENT_BYTES: Final = 128 * 1024
# tcp(7); the constant is in Python's socket module from 3.12 on.
_TCP_NOTSENT_LOWAT: Final = 25

_SHAPE: Final = (
    "an endpoint is like tcp:8080:interface=127.0.0.1 or unix:/run/wampush.sock "
    "(Twisted endpoint strings)"
)


def raise_descriptor_limit() -> tuple[int, int]:
    """Raise the soft limit of open descriptors to the hard one.

    :returns: the soft limit before and after.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return before, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def listen(
    reactor: IReactorCore, text: str, factory: Any, carrier: str | None = None
) -> ListeningPort:
    """Serve a factory on an endpoint.

    :param text: a Twisted endpoint string, as configured.
    :param factory: makes the protocols (``IProtocolFactory``).
    :param carrier: the endpoint to open instead, where ours does what ``text`` asks for beyond it.
    :raises ListenError: when the string is none, or the address can not be used.
    """
    try:
        endpoint = serverFromString(reactor, carrier or text)
    # Endpoint parsers raise whatever their int(), lookups and keyword arguments raise.
    except OSError as error:
        raise ListenError(
            text,
            f"{str(error.filename)!r} can not be read: {error.strerror}",
            "name a file that is there and that this user may read",
        ) from error
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        raise ListenError(text, _not_understood(text, error), _SHAPE) from error
    except (SSL.Error, crypto.Error) as error:
        raise ListenError(
            text,
            "its key or certificate can not be used",
            "privateKey and certKey name PEM files of a key and its certificate",
        ) from error
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
        raise explained(text, port.value or RuntimeError(str(port)))
    _tune(port, text)
    return port


def _not_understood(text: str, error: Exception) -> str:
    """What is wrong with a string that the settings let pass: one of a kind that few use."""
    kind = text.partition(":")[0]
    if str(error).startswith("Unknown endpoint type"):
        return f"no kind of endpoint is called {kind!r}"
    return f"what follows {kind}: is not understood ({error})"


def explained(text: str, error: BaseException) -> ListenError:
    """What a failure to listen means to an operator."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    if isinstance(cause, socket.gaierror):
        problem = "its interface is neither an address nor a known name"
        return ListenError(text, problem, "let interface= name an address of this machine")
    if isinstance(cause, OSError):
        return ListenError(text, cause.strerror or str(cause), _remedy(text, cause))
    return ListenError(text, str(cause), _SHAPE)


def _remedy(text: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "stop the other program, or choose another address or port"
    if text.startswith("unix:"):
        return "name a path in a folder that is there and that this user may write to"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "choose a port from 1024 on, or start as root, with --uid and --gid"
    return "let interface= name an address of this machine"


def _tune(port: ListeningPort, text: str) -> None:
    """Set what accepted sockets inherit, which saves a system call for each of them."""
    listening: Any = getattr(port, "socket", None)
    if not isinstance(listening, socket.socket):
        return
    if isinstance(port, tcp.Port) and listening.family in (socket.AF_INET, socket.AF_INET6):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            listening.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    if "backlog=" not in text:
        listening.listen(BACKLOG)


def hand_over(path: str, user: int, group: int) -> None:
    """Give the file of a socket to an account, which else could not remove it.

    :raises ListenError: when the system does not allow it.
    """
    try:
        os.chown(path, user, group)
    except OSError as error:
        raise ListenError(
            path,
            f"it can not be given to user {user} and group {group}: {error.strerror}",
            "start as root, or without --uid and --gid",
        ) from error


def files(ports: Iterable[ListeningPort]) -> list[str]:
    """The paths of ports that are UNIX sockets in the file system."""
    names = [port.getHost().name for port in ports if isinstance(port.getHost(), UNIXAddress)]
    return [os.fsdecode(name) for name in names if name and not name.startswith(b"\0")]


def is_loopback(port: ListeningPort) -> bool:
    """Whether only this machine can reach a port."""
    address = port.getHost()
    if isinstance(address, UNIXAddress):
        return True
    try:
        return ipaddress.ip_address(getattr(address, "host", "")).is_loopback
    except ValueError:
        return False


def describe(port: ListeningPort) -> str:
    """The address of a port, for people."""
    address: Any = port.getHost()
    if isinstance(address, UNIXAddress):
        return f"unix:{address.name!r}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


class RejectedConnection(Protocol):
    """Ends its connection; Twisted's TLS cannot do without a protocol, as plain TCP can."""

    def connectionMade(self) -> None:
        """The TCP connection is there."""
        transport: Any = self.transport
        transport.abortConnection()
