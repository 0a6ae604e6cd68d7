"""Which sockets of an address get new connections.

Owns: the program that the kernel runs for each of them.
Must not import: anything of wampush.

The kernel spreads connections over all sockets of a group (``SO_REUSEPORT``), whether or not
somebody accepts from them. A program of classic BPF leaves out those of workers that do not serve
(socket(7), ``SO_ATTACH_REUSEPORT_CBPF``, Linux 4.6). What waits at a socket stays there.
"""

from __future__ import annotations

import socket
import struct
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

# <asm-generic/socket.h>; Python's socket module does not have them.
_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_SO_DETACH_REUSEPORT_BPF: Final = 68
# <linux/bpf_common.h>, <linux/filter.h>
_LOAD: Final = 0x20
_MODULO: Final = 0x94
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_RANDOM: Final = 0xFFFFF000 + 56
_INSTRUCTION: Final = struct.Struct("=HBBI")


def steer(one: socket.socket, places: Sequence[int]) -> None:
    """Have new connections go to some of the sockets of a group only, chosen at random.

    :param one: any of them.
    :param places: of those that get connections, in the order in which they began to listen.
    :raises OSError: the system does not allow that.
    """
    program = array("B", b"".join(_INSTRUCTION.pack(*each) for each in _program(places)))
    address, size = program.buffer_info()
    one.setsockopt(
        socket.SOL_SOCKET,
        _SO_ATTACH_REUSEPORT_CBPF,
        struct.pack("@HP", size // _INSTRUCTION.size, address),
    )


def spread(one: socket.socket) -> None:
    """Have new connections go to all sockets of a group.

    :param one: any of them.
    :raises OSError: the system does not allow that.
    """
    # There is no program yet, or none any more.
    with suppress(FileNotFoundError):
        one.setsockopt(socket.SOL_SOCKET, _SO_DETACH_REUSEPORT_BPF, 0)


def _program(places: Sequence[int]) -> Sequence[tuple[int, int, int, int]]:
    """Return the instructions: code, jump if true, jump if false, value."""
    *most, last = places
    instructions = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(places))]
    for number, place in enumerate(most):
        instructions += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, place)]
    return [*instructions, (_RETURN, 0, 0, last)]
