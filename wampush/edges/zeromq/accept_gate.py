"""Keeping new connections away from a listening socket that a library accepts from.

Owns: the two ways of doing so: a packet filter for TCP, another name for a UNIX socket.
Must not import: anything of wampush.

Closing such a socket would end the connections that libzmq has accepted from it, and a library that
cannot accept for lack of descriptors tries again without a pause, or aborts the process.

Connections that exist are not affected. Over TCP, a peer's system goes on trying to connect and
succeeds once the gate is open (Linux only, socket(7), ``SO_ATTACH_FILTER``). The file of a UNIX
socket gets another name meanwhile, so programs find none, and ZeroMQ's try again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

_log = Logger(namespace="wampush.zeromq")

# <linux/filter.h>: one instruction, BPF_RET | BPF_K, that keeps 0 bytes of each packet.
_DROP_ALL: Final = struct.pack("=HBBI", 0x06, 0, 0, 0)
# <asm-generic/socket.h>; Python's socket module does not have them.
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
#: What is appended to the name of a UNIX socket's file.
HIDDEN: Final = ".full"


class Gate:
    """Keeps new connections away from a socket, or lets them through.

    :param listener: the listening socket; :meth:`release` closes this copy.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.listener: Final = listener
        self._is_open = True
        #: Whether the system has allowed it so far.
        self._works = True

    def shut(self) -> None:
        """Keep new connections away, as far as the system allows."""
        if self._is_open and self._works:
            self._try(self._shut)
            self._is_open = not self._works

    def open(self) -> None:
        """Let new connections through again."""
        if not self._is_open:
            self._is_open = True
            self._try(self._open)

    def has_waiting(self) -> bool:
        """Return whether a connection waits to be accepted."""
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        return bool(poll.poll(0))

    def _try(self, change: Callable[[], None]) -> None:
        try:
            change()
        except OSError as error:
            self._works = False
            _log.error(
                "the system does not let wampush keep new connections away from {name}: {error}",
                name=self.listener.getsockname(),
                error=error,
            )

    def release(self) -> None:
        """Open the gate for good, and close this copy of the socket."""
        self.open()
        self.listener.close()

    def _shut(self) -> None:
        path = _path(self.listener)
        if path:
            os.rename(path, path + HIDDEN)  # noqa: PTH104 (the path may be bytes that are not text)
        elif sys.platform == "linux" and self.listener.family != socket.AF_UNIX:
            instruction = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
            program = struct.pack("@HP", 1, ctypes.addressof(instruction))
            self.listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def _open(self) -> None:
        path = _path(self.listener)
        if path and not os.path.lexists(path + HIDDEN):
            # Another process that listens on it has opened it, too.
            return
        if path:
            # Unlike a rename, a link does not replace what another program put there meanwhile.
            os.link(path + HIDDEN, path)
            os.unlink(path + HIDDEN)  # noqa: PTH108 (like the rename)
        elif sys.platform == "linux" and self.listener.family != socket.AF_UNIX:
            # Likewise: then there is no filter any more.
            with contextlib.suppress(FileNotFoundError):
                self.listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, struct.pack("i", 0))


def _path(listener: socket.socket) -> str:
    """Return the path of a UNIX socket; "" when there is none."""
    name = listener.getsockname() if listener.family == socket.AF_UNIX else ""
    return name if isinstance(name, str) else ""
