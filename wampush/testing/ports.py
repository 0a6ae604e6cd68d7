"""Free TCP ports on loopback that stay reserved between choosing and listening.

Owns: the sockets that hold them. Must not import: anything of wampush.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Yield free ports that nothing else on this machine is given meanwhile.

    Each port is held by a socket that is bound and does not listen; Linux lets a server with
    SO_REUSEADDR listen next to it, and gives the port to nobody who asks for any free one.

    :param count: how many.
    """
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        for _ in range(count):
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
            ports.append(holder.getsockname()[1])
        yield ports
