"""The socket over which ``wampush upgrade`` and ``wampush reload`` reach a parent.

Owns: its name, who may use it, and the form of question and answer.
Must not import: Twisted.

The name is in the abstract namespace, where it needs no file and no setting, and every program of
the same network namespace can look it up.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

#: What the names of these sockets begin with; the process id follows.
PREFIX: Final = "wampush-parent-"
#: Bytes of a question or an answer.
MAX_BYTES: Final = 65_536
_CREDENTIALS: Final = struct.Struct("3i")
_BACKLOG: Final = 8

Answer = Callable[[bool, str], None]


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return the process id and the user id of the other end, as the kernel knows them."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(data)
    return process, user


class CommandSocket:
    """Takes commands.

    :param on_command: takes a command, and what takes the outcome of it.
    :raises OSError: another program has the name, which every program can take.
    """

    def __init__(self, on_command: Callable[[str, Answer], object]) -> None:
        self._on_command = on_command
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listening.setblocking(False)
            self._listening.bind(f"\0{PREFIX}{os.getpid()}")
            self._listening.listen(_BACKLOG)
        except OSError:
            self._listening.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor of the listening socket."""
        return self._listening.fileno()

    def accept(self) -> socket.socket | None:
        """Accept a connection; None when there is none, or from another user."""
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return None
        connection.setblocking(False)
        _, user = peer_of(connection)
        if user in (0, os.geteuid()):
            return connection
        _answer(connection, False, "only the user that started wampush, and root, may do that")
        return None

    def read(self, connection: socket.socket) -> None:
        """Carry out the command that has arrived; the outcome ends the connection."""
        try:
            data = connection.recv(MAX_BYTES)
            command = json.loads(data)["command"] if data else ""
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            command = ""
        if isinstance(command, str) and command:
            self._on_command(command, lambda is_done, text: _answer(connection, is_done, text))
        else:
            _answer(connection, False, "this is not a command")

    def close(self) -> None:
        """Take no more commands."""
        self._listening.close()


def _answer(connection: socket.socket, is_done: bool, text: str) -> None:
    # Somebody who has gone away needs no answer.
    with contextlib.suppress(OSError):
        connection.send(json.dumps({"version": 1, "done": is_done, "text": text}).encode())
    connection.close()
