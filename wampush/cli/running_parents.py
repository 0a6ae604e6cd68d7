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
from wampush.excerpts import printable_lines
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
    """Return the process ids of all parents that this user may command."""
    try:
        lines = _SOCKETS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise OperatorError(
            f"{_SOCKETS} cannot be read: {error.strerror}; name the process with --pid"
        ) from error
    names = [line.rpartition(f" @{PREFIX}")[2] for line in lines if f" @{PREFIX}" in line]
    # Every program can take such a name, that of a process of another user included.
    return sorted(pid for pid in {int(name) for name in names if name.isdecimal()} if _is_ours(pid))


def owner_of(process: int) -> int | None:
    """Return the user id of a process; None if there is no such process, or it is hidden."""
    try:
        return Path(f"/proc/{process}").stat().st_uid
    except OSError:
        return None


def _is_ours(process: int) -> bool:
    """Return whether this user may command a process."""
    owner = owner_of(process)
    return owner is not None and os.geteuid() in (0, owner)


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
            if process != pid:
                raise OperatorError(
                    f"process {process} answers instead of process {pid}; use kill -USR2 {pid} for "
                    f"an upgrade, or kill -HUP {pid} for a reload"
                )
            if os.geteuid() not in (0, user):
                raise OperatorError(
                    f"process {pid} belongs to another user; run the command as that user, or root"
                )
            connection.send(json.dumps({"version": 1, "command": command}).encode())
            answer = json.loads(connection.recv(MAX_BYTES) or b"{}")
        except (OSError, ValueError, RecursionError) as error:
            raise OperatorError(
                f"process {pid} does not answer as a parent process of wampush: {error}"
            ) from error
    found = answer if isinstance(answer, dict) else {}
    text = found.get("text")
    # The parent of another user must not write to the terminal of root as it likes.
    shown = printable_lines(text) if isinstance(text, str) else "no answer"
    return Outcome(found.get("done") is True, shown)
