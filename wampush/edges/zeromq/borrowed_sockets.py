"""Looking at sockets that a library owns, of which only the descriptor's number is known.

Owns: the descriptor that such a socket is copied to, so that this works when none is free.
Must not import: anything of wampush.

The library may close the socket at any moment in a thread of its own, and its number may then mean
another file. Copying is atomic, so whatever is found out about the copy holds for what is done with
it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: A folder with a name for each descriptor of this process.
_DESCRIPTORS: Final = "/dev/fd"
#: Addresses of a listener that accepts on all of this machine.
_ANY: Final = ("0.0.0.0", "::")  # noqa: S104 (nothing is bound here)


class BorrowedSockets:
    """Copies sockets of a library, one at a time, to a descriptor that is set aside."""

    def __init__(self) -> None:
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._copy = os.dup(self._nothing)

    @contextmanager
    def borrow(self, number: int) -> Iterator[socket.socket | None]:
        """Lend a copy of a socket.

        :param number: of its descriptor.
        :returns: the copy, valid inside of the ``with``; None when this is not a socket any more.
        """
        copy: socket.socket | None = None
        try:
            os.dup2(number, self._copy, inheritable=False)
            copy = socket.socket(fileno=self._copy)
        except OSError:
            copy = None
        try:
            yield copy
        finally:
            if copy is not None:
                copy.detach()
            # Otherwise the connection would stay open after the library has closed it.
            os.dup2(self._nothing, self._copy, inheritable=False)

    def has_accepted(self, listener: socket.socket) -> bool:
        """Return whether this process has a connection that a listener accepted.

        The system knows of a connection before the library reports it.
        """
        with os.scandir(_DESCRIPTORS) as found:
            return any(self._is_accepted(int(each.name), listener) for each in found)

    def _is_accepted(self, number: int, listener: socket.socket) -> bool:
        with self.borrow(number) as found:
            if found is None or found.family != listener.family:
                return False
            is_listener = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            return not is_listener and accepted_by(found, listener)

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._nothing)
        os.close(self._copy)


def accepted_by(connection: socket.socket, listener: socket.socket) -> bool:
    """Return whether a listener accepted a connection."""
    if connection.family != listener.family:
        return False
    own, listening = connection.getsockname(), listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return bool(own == listening)
    return bool(own[1] == listening[1] and listening[0] in (*_ANY, own[0]))
