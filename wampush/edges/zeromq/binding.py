"""What can go wrong when a ZeroMQ socket is bound or connected.

Owns: sparing files that libzmq would replace, and the remedies in errors for operators.
Must not import: txzmq, the broker.
"""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path

import zmq

from wampush.edges.zeromq.accept_gate import HIDDEN
from wampush.errors import ListenError


def refuse_taken_file(address: str) -> None:
    """Raise an error when an ``ipc://`` address names a file that must not be replaced.

    libzmq replaces whatever is there without asking. A socket that no process listens on, left by
    one that crashed, may be replaced.

    :param address: a ZeroMQ address; those that name no file are ignored.
    :raises ListenError: the file is not a socket, or another program listens there.
    """
    path = address.removeprefix("ipc://")
    if path == address or path.startswith("@"):
        return
    for name in (path, path + HIDDEN):
        if _is_taken(address, name):
            raise ListenError(
                address,
                "another program listens there",
                "stop the other program, or choose another address with --pull",
            )


def _is_taken(address: str, path: str) -> bool:
    """Return whether a program listens on the socket of this name.

    :raises ListenError: the file is not a socket.
    """
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise ListenError(
                address,
                "a file that is not a socket is in the way",
                "remove it, or choose another path",
            )
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.setblocking(False)
            attempt.connect(path)
    except BlockingIOError:
        # A program listens whose queue of new connections is full.
        return True
    except OSError:
        # There is no file, or no process listens; libzmq reports anything else.
        return False
    return True


def listen_error(address: str, error: OSError) -> ListenError:
    """Return the error about an address at which another process could not listen for this one.

    :param error: what the system has reported there.
    """
    own = zmq.ZMQError(error.errno, error.strerror)
    return ListenError(address, str(own), remedy_for(address, own))


def remedy_for(address: str, error: zmq.ZMQError) -> str:
    """Return what an operator can do about an address that libzmq rejects."""
    if error.errno == zmq.EADDRINUSE:
        return "stop the other program, or choose another address with --pull"
    if error.errno in (zmq.EADDRNOTAVAIL, errno.ENODEV):
        return (
            "use an address of this machine, such as tcp://127.0.0.1:5555, or tcp://*:5555 for "
            "all of them"
        )
    if error.errno == errno.EACCES and address.startswith("tcp://"):
        return "choose a port from 1024 on, or start as root with --uid and --gid"
    if address.startswith("ipc://"):
        return "the folder of ipc://PATH must exist, and this user must be allowed to write to it"
    return "an address is tcp://HOST:PORT or ipc://PATH, preceded by connect: to connect to it"
