"""Opening listening sockets.

Owns: TCP sockets, alone or several at one address, UNIX sockets, and files that are in the way.
Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from wampush.parent.sockets.targets import PULL, Listening
from wampush.tcp_options import set_tcp_options

#: What a node appends to the name of a UNIX socket's file to keep new connections away.
HIDDEN: Final = ".full"


def opened_tcp(listening: Listening) -> socket.socket:
    """Return a TCP socket that listens.

    :raises OSError: it cannot be opened.
    """
    target = listening.target
    opened = socket.socket(target.family, socket.SOCK_STREAM)
    with _closed_on_error(opened):
        where: tuple[object, ...] = (target.host, target.port)
        if target.family == socket.AF_INET6:
            where = socket.getaddrinfo(
                target.host, target.port, socket.AF_INET6, socket.SOCK_STREAM
            )[0][4]
        _listen(opened, where, listening.backlog)
    return opened


def opened_beside(others: Iterable[socket.socket], listening: Listening) -> socket.socket:
    """Return one more TCP socket at the address of others; the kernel chooses one per connection.

    The first one was bound without ``SO_REUSEPORT``, so that another program at this address was
    found. It gets that option now (socket(7)); only a program of the same user that sets it, too,
    could join.

    :param others: at least one; all at the same address.
    :raises OSError: it cannot be opened.
    """
    for each in others:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        where = each.getsockname()
    opened = socket.socket(listening.target.family, socket.SOCK_STREAM)
    with _closed_on_error(opened):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _listen(opened, where, listening.backlog)
    return opened


def _listen(opened: socket.socket, where: tuple[object, ...], backlog: int) -> None:
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Clients connect while the node starts.
    set_tcp_options(opened)
    opened.bind(where)
    opened.listen(backlog)


def opened_unix(kind: str, listening: Listening) -> socket.socket:
    """Return a UNIX socket that listens; its file has its mode from the start.

    :param kind: of the listener.
    :raises OSError: it cannot be opened.
    """
    path = listening.target.host
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _closed_on_error(opened):
        opened.setblocking(False)
        if not path.startswith("\0"):
            for each in (path, path + HIDDEN) if kind == PULL else (path,):
                _remove_left_over(each)
            before = os.umask(0o777 & ~listening.mode)
            try:
                opened.bind(path)
            finally:
                os.umask(before)
        else:
            opened.bind(path)
        opened.listen(listening.backlog)
    return opened


def _remove_left_over(path: str) -> None:
    """Remove the file of a socket that no process listens on.

    :raises OSError: it is not a socket, or a process listens on it.
    """
    try:
        is_socket = stat.S_ISSOCK(Path(path).lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError(errno.EADDRINUSE, "a file that is not a socket is in the way")
    with socket.socket(socket.AF_UNIX) as attempt:
        attempt.setblocking(False)
        try:
            attempt.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            # A program listens whose queue of new connections is full.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def remove_file(path: str, file: tuple[int, int]) -> None:
    """Remove the file of a socket, unless another program has put its own in its place.

    :param file: device and number.
    """
    for each in (path, path + HIDDEN):
        with contextlib.suppress(OSError):
            found = Path(each).lstat()
            if (found.st_dev, found.st_ino) == file:
                Path(each).unlink()


@contextlib.contextmanager
def _closed_on_error(opened: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        opened.close()
        raise
