"""The parent processes of this machine, and talking to one of them.

Owns: how they are found, and the form of question and answer.
Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from wampush.errors import OperatorError
from wampush.parent.command_socket import MAX_BYTES, PREFIX, peer_of

_SOCKETS: Final = Path("/proc/net/unix")
#: Seconds that a command may take: the start of a node, and the hand-over.
PATIENCE: Final = 600.0


class Outcome(NamedTuple):
    """What became of a command.

    :param is_done: whether it was carried out.
    :param text: about it, in one line.
    """

    is_done: bool
    text: str


def running_parents() -> Sequence[int]:
    """Return the process ids of all parents that this process can see."""
    try:
        lines = _SOCKETS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise OperatorError(
            f"{_SOCKETS} cannot be read: {error.strerror}; name the process with --pid"
        ) from error
    names = [line.rpartition(f" @{PREFIX}")[2] for line in lines if f" @{PREFIX}" in line]
    return sorted({int(name) for name in names if name.isdecimal()})


def chosen_parent(pid: int | None) -> int:
    """Return the process id of the parent that is meant.

    :param pid: what the operator has named; None to find the only one.
    :raises OperatorError: there is none, or there are several.
    """
    if pid is not None:
        return pid
    found = running_parents()
    if not found:
        raise OperatorError(
            "no wampush with a parent process runs here; twistd -n wampush starts one, unless "
            "process.parent is false"
        )
    if len(found) > 1:
        raise OperatorError(
            f"several run here: {', '.join(map(str, found))}; choose one with --pid"
        )
    return found[0]


def ask(pid: int, command: str) -> Outcome:
    """Have a parent carry out a command, and wait for the outcome.

    :param pid: its process id.
    :raises OperatorError: it does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(f"\0{PREFIX}{pid}")
            process, user = peer_of(connection)
            if process != pid or user not in (0, os.geteuid()):
                raise OperatorError(
                    f"process {pid} belongs to another user; run the command as that user, or root"
                )
            connection.send(json.dumps({"version": 1, "command": command}).encode())
            answer = json.loads(connection.recv(MAX_BYTES) or b"{}")
        except (OSError, ValueError) as error:
            raise OperatorError(
                f"process {pid} does not answer as a parent process of wampush: {error}"
            ) from error
    text = answer.get("text")
    return Outcome(answer.get("done") is True, text if isinstance(text, str) else "no answer")
