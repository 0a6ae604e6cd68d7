"""The channel between the parent process and a node.

Owns: the form of a message, its version, and its way through the socket.
Must not import: Twisted; anything of wampush.

The socket is a pair of ``SOCK_SEQPACKET`` sockets, so that a message arrives as a whole, together
with its descriptors. A message is a JSON object with ``version`` and ``kind``; receivers ignore
fields and kinds that they do not know, because the two ends may be of different releases.
"""

from __future__ import annotations

import json
import os
import select
import socket
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Of the messages that this release sends.
VERSION: Final = 1
#: Names the node's end of the channel in its environment; settings begin with WAMPUSH_.
VARIABLE: Final = "_WAMPUSH_CONTROL"
#: Has the number of the worker whose node a process is.
WORKER_VARIABLE: Final = "_WAMPUSH_WORKER"
#: Bytes of a message; the longest have the text of an error.
MAX_BYTES: Final = 65_536
#: Descriptors of a message.
MAX_DESCRIPTORS: Final = 8
#: Characters of a text in a message.
MAX_TEXT: Final = 4000
#: Seconds that the other end has to read.
PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Message:
    """What has arrived.

    :param kind: of the message.
    :param fields: the others, ``version`` included.
    :param descriptors: that came with it; the receiver closes them.
    """

    kind: str
    fields: Mapping[str, Any]
    descriptors: Sequence[int] = ()

    def text(self, name: str) -> str:
        """Return a field that is a text; "" for one that is missing or not a text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """Return a field that is a whole number; 0 for one that is missing or not a number."""
        value = self.fields.get(name)
        return value if isinstance(value, int) else 0

    def close_descriptors(self) -> None:
        """Close the descriptors of a message that nobody wants."""
        for each in self.descriptors:
            os.close(each)


class ControlChannel:
    """One end of the channel.

    :param end: the socket, which this object owns from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end

    @classmethod
    def pair(cls) -> tuple[ControlChannel, ControlChannel]:
        """Return the two ends of a new channel."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    @classmethod
    def of_descriptor(cls, descriptor: int) -> ControlChannel:
        """Return the end that this process has inherited.

        :raises OSError: the descriptor is not such a socket.
        """
        os.set_inheritable(descriptor, False)
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """Return the descriptor; -1 once the channel is closed."""
        return self._socket.fileno()

    def send(
        self,
        kind: str,
        fields: Mapping[str, object] | None = None,
        *,
        descriptors: Sequence[int] = (),
        patience: float = PATIENCE,
    ) -> None:
        """Send a message.

        :param descriptors: are sent as copies.
        :param patience: seconds to wait for the other end to read earlier messages.
        :raises ConnectionError: the other end is closed, or has not read.
        """
        text = json.dumps({"version": VERSION, "kind": kind, **(fields or {})}).encode()
        try:
            try:
                socket.send_fds(self._socket, [text], descriptors)
            except BlockingIOError:
                self._wait(select.POLLOUT, patience)
                socket.send_fds(self._socket, [text], descriptors)
        except ConnectionError:
            raise
        except OSError as error:
            raise ConnectionError(f"cannot send {kind!r}: {error}") from error

    def receive(self) -> Message | None:
        """Return the next message; None when none has arrived.

        :raises ConnectionError: the other end is closed, or has sent what is not a message.
        """
        try:
            # socket.recv_fds of Python 3.11 ignores its flags.
            data, controls, _, _ = self._socket.recvmsg(
                MAX_BYTES,
                socket.CMSG_LEN(MAX_DESCRIPTORS * array("i").itemsize),
                socket.MSG_CMSG_CLOEXEC,
            )
        except (BlockingIOError, InterruptedError):
            return None
        except ConnectionError:
            raise
        except OSError as error:
            raise ConnectionError(str(error)) from error
        descriptors = _descriptors_in(controls)
        if not data:
            raise ConnectionError("the other end is closed")
        message = _parsed(data, descriptors)
        if message is None:
            for each in descriptors:
                os.close(each)
            raise ConnectionError(f"not a message: {data[:100]!r}")
        return message

    def wait(self, patience: float) -> Message | None:
        """Wait for the next message; return None when none has arrived in time.

        :param patience: seconds.
        :raises ConnectionError: see :meth:`receive`.
        """
        self._wait(select.POLLIN, patience)
        return self.receive()

    def close(self) -> None:
        """Close this end, which the other one notices."""
        self._socket.close()

    def _wait(self, event: int, patience: float) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        poll.poll(patience * 1000)


def _descriptors_in(controls: Sequence[tuple[int, int, bytes]]) -> Sequence[int]:
    found = array("i")
    for level, kind, data in controls:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return tuple(found)


def _parsed(data: bytes, descriptors: Sequence[int]) -> Message | None:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    kind = fields.get("kind") if isinstance(fields, dict) else None
    return Message(kind, fields, tuple(descriptors)) if isinstance(kind, str) else None
