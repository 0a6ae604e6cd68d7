"""Notifications to the service manager (sd_notify(3)).

Owns: the socket that NOTIFY_SOCKET names, and the text of each notification.
Must not import: anything of wampush, Twisted.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, MutableMapping
from time import monotonic_ns
from typing import Final, Self

VARIABLE: Final = "NOTIFY_SOCKET"

#: Seconds that a notification waits while the service manager reads none.
PATIENCE: Final = 1.0


class Notifier:
    """Sends notifications to the service manager; without one, it does nothing.

    :param address: of the service manager's datagram socket: an absolute path, or ``@`` and an
        abstract name; "" where no service manager waits for notifications.
    :param report: gets a sentence about a notification that cannot be sent.
    """

    def __init__(self, address: str, report: Callable[[str], object]) -> None:
        self._shown = address
        self._report = report
        self._address = b""
        self._socket: socket.socket | None = None
        if not address:
            return
        if address[0] not in "/@":
            report(f"{VARIABLE} is {address!r}; it must be an absolute path, or @ and a name")
            return
        name = os.fsencode(address)
        self._address = b"\0" + name[1:] if address.startswith("@") else name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    @classmethod
    def of(cls, environment: MutableMapping[str, str], report: Callable[[str], object]) -> Self:
        """Return the notifier for a process.

        :param environment: of the process. NOTIFY_SOCKET is removed from it, so that programs which
            this process starts do not speak for it.
        :param report: gets a sentence about a notification that cannot be sent.
        """
        return cls(environment.pop(VARIABLE, ""), report)

    @property
    def is_connected(self) -> bool:
        """Whether there is a service manager to notify."""
        return self._socket is not None

    def ready(self, status: str = "") -> None:
        """Report that the service has started, or has reloaded its configuration.

        :param status: what the service manager shows about the service, in one line; "" to leave
            what it shows.
        """
        self._send("READY=1", _status_line(status))

    def reloading(self) -> None:
        """Report that the service reloads its configuration; :meth:`ready` ends that."""
        # Type=notify-reload needs the time, to tell this reload from an earlier one.
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> None:
        """Report that the service is stopping.

        :param status: as of :meth:`ready`.
        """
        self._send("STOPPING=1", _status_line(status))

    def feed_watchdog(self) -> None:
        """Report that the service works; none of these waits, because another one follows."""
        self._send("WATCHDOG=1", patience=0.0)

    def close(self) -> None:
        """Send no more notifications."""
        closed, self._socket = self._socket, None
        if closed is not None:
            closed.close()

    def _send(self, *lines: str, patience: float = PATIENCE) -> None:
        if self._socket is None:
            return
        text = "\n".join(line for line in lines if line)
        self._socket.settimeout(patience)
        try:
            self._socket.sendto(text.encode(errors="backslashreplace"), self._address)
        except OSError as error:
            why = error.strerror or str(error)
            self._report(f"cannot send {lines[0]} to {VARIABLE} {self._shown!r}: {why}")


def _status_line(status: str) -> str:
    return f"STATUS={' '.join(status.split())}" if status else ""
