"""Messages of a ZeroMQ socket, read in bounded numbers.

Owns: both ways to do so: by pyzmq, which is the reference, and by the extension, through the libzmq
that pyzmq has loaded.
Must not import: Twisted, the broker.

A push that comes alone takes three calls of pyzmq: one reads it and makes an object that knows
whether another part follows, one copies it, and one asks whether more waits. Each of them makes
enumerations of plain numbers. The extension does the same in one call.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any, Final

import zmq

from wampush.speedups import EXTENSION

#: Parts of one message that are kept; one more than a push may have. The rest is discarded.
MAX_PARTS: Final = 4
# Plain numbers, because pyzmq's enumerations take longer than what is done with them here.
_NOBLOCK: Final = int(zmq.NOBLOCK)
_POLLIN: Final = int(zmq.POLLIN)
_EVENTS: Final = int(zmq.EVENTS)
#: What the extension needs of libzmq, in the order in which it wants their addresses.
FUNCTIONS: Final = (
    "zmq_msg_init",
    "zmq_msg_close",
    "zmq_msg_recv",
    "zmq_msg_data",
    "zmq_msg_size",
    "zmq_msg_more",
    "zmq_getsockopt",
)
#: Versions of libzmq whose messages have the size that the extension knows.
_KNOWN_VERSIONS: Final = ((4, 1), (5, 0))

Receive = Callable[[Any, bool, int, int], tuple[list[list[bytes]], int, bool, bool]]
"""Reads messages that wait, without waiting for any.

Takes the socket; whether the next part belongs to a message whose first parts were read before; how
many steps to take at most, each of which reads the first :data:`MAX_PARTS` of a message or one part
that is thrown away; and after how many bytes no other message is begun.

Returns the messages, each with its parts; how many steps were taken; whether the next part is to be
skipped; and whether nothing waits. Asking that re-arms the descriptor.
"""


def receive_in_python(
    socket: Any, is_skipping: bool, most: int, most_bytes: int
) -> tuple[list[list[bytes]], int, bool, bool]:
    """Read messages that wait; see :data:`Receive`.

    :raises zmq.ZMQError: the socket is closed, or libzmq reports an error.
    """
    messages: list[list[bytes]] = []
    steps = 0
    while steps < most and most_bytes >= 0:
        steps += 1
        try:
            # Not copied: a frame knows whether another one follows; asking libzmq instead would
            # take one more call per frame.
            frame = socket.recv(_NOBLOCK, False)
        except zmq.Again:
            if _is_empty(socket):
                return messages, steps, is_skipping, True
            continue
        if is_skipping:
            is_skipping = frame.more
        else:
            parts = [frame.bytes]
            # libzmq hands over whole messages, so all parts are there.
            while frame.more and len(parts) < MAX_PARTS:
                frame = socket.recv(_NOBLOCK, False)
                parts.append(frame.bytes)
            is_skipping = frame.more
            messages.append(parts)
            most_bytes -= sum(map(len, parts))
        # Most pushes come alone, and asking takes less time than raising zmq.Again.
        if steps == 1 and _is_empty(socket):
            return messages, steps, is_skipping, True
    return messages, steps, is_skipping, False


def _is_empty(socket: Any) -> bool:
    return not socket.get(_EVENTS) & _POLLIN


def addresses(library: Any = None) -> tuple[int, ...] | None:
    """Return the addresses of :data:`FUNCTIONS` in the libzmq that pyzmq uses.

    :param library: that is asked; None for pyzmq's own.
    :returns: None where they are not known, or its messages are not.
    """
    if not _KNOWN_VERSIONS[0] <= zmq.zmq_version_info() < _KNOWN_VERSIONS[1]:
        return None
    try:
        if library is None:
            # What is asked for in a library is also found in those that it is linked with.
            library = ctypes.CDLL(str(sys.modules[zmq.backend.Socket.__module__].__file__))
        found = [ctypes.cast(getattr(library, name), ctypes.c_void_p) for name in FUNCTIONS]
    except (OSError, AttributeError, KeyError):
        return None
    return tuple([each.value or 0 for each in found])


def receiver(extension: Any = EXTENSION, found: tuple[int, ...] | None = None) -> Receive:
    """Return what reads messages here: the extension, if it is active and knows libzmq.

    :param extension: None if the code in Python is active.
    :param found: the addresses of libzmq's functions; by default, those of :func:`addresses`.
    """
    if extension is None:
        return receive_in_python
    found = addresses() if found is None else found
    if found is None:
        return receive_in_python
    receive: Receive = extension.Receiver(found).receive
    return receive
