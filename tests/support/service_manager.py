"""The end of the notification socket that systemd would have."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import PATIENCE


class NotifySocket:
    """A datagram socket as in NOTIFY_SOCKET, and what arrives at it.

    :param name: as in NOTIFY_SOCKET.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self._socket.settimeout(PATIENCE)

    def receive(self) -> list[str]:
        """The lines of the next notification, without its time."""
        lines = self._socket.recv(65_536).decode().split("\n")
        return [line.partition("=")[0] if line.startswith("MONOTONIC") else line for line in lines]

    def receive_state(self) -> list[str]:
        """The lines of the next notification that does not only feed the watchdog."""
        while (lines := self.receive()) == ["WATCHDOG=1"]:
            pass
        return lines

    def close(self) -> None:
        """Receive nothing more."""
        self._socket.close()


@contextlib.contextmanager
def notify_socket(folder: Path) -> Iterator[NotifySocket]:
    """Listen for notifications in a folder for the length of the block."""
    opened = NotifySocket(str(folder / "notify"))
    try:
        yield opened
    finally:
        opened.close()
