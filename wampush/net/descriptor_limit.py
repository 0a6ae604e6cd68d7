"""The system's limit on open descriptors.

Owns: raising it, and how its descriptors are shared out.
Must not import: anything of wampush.
"""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Descriptors for everything but counted connections: listeners, log files, requests to
#: applications, and connections that are accepted only to be refused.
RESERVED_DESCRIPTORS: Final = 128
#: Descriptors for which the process has room from the start; half a MiB of the kernel's memory.
_ROOM: Final = 65_536
#: HTTP connections and backends may each take this part of the others at most.
_LARGEST_SHARE: Final = 4
#: The lowest limits with a bound ``ipc://`` address. libzmq aborts the process when it finds no
#: descriptor for a connection from there, and it accepts in a thread of its own. A burst by four
#: processes has ended a daemon with 256 descriptors, and none with 512 or more.
_LOWEST_FOR_IPC: Final = 512
_LOWEST_FOR_IPC_OF_OTHERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Shares:
    """How many connections of each kind may be open at the same time.

    :param clients: to the WebSocket listeners.
    :param http: to the HTTP port.
    :param backends: to the ZeroMQ sockets that are bound.
    """

    clients: int
    http: int
    backends: int


def share_out(allowed: int, wanted: Shares) -> Shares:
    """Return how many connections fit, so that no kind can use up what another one needs.

    :param allowed: the limit on open descriptors.
    :param wanted: as configured; 0 for a kind that is off.
    :returns: at least 1 of each kind that is on.
    """
    room = max(0, allowed - RESERVED_DESCRIPTORS)
    http, backends = (
        min(each, max(1, room // _LARGEST_SHARE)) for each in (wanted.http, wanted.backends)
    )
    clients = min(wanted.clients, max(1, room - http - backends))
    return Shares(clients, http, backends)


def needed_for_ipc(addresses: Iterable[str], mode: int) -> int:
    """Return the lowest limit with which bursts at bound ``ipc://`` addresses do no harm.

    :param addresses: those of ``zmq.pull``.
    :param mode: of the files of these sockets.
    :returns: 0 without such an address.
    """
    bound = [each for each in addresses if each.startswith("ipc://")]
    if not bound:
        return 0
    # Abstract addresses have no file and no mode.
    admits_others = mode & 0o077 or any(each.startswith("ipc://@") for each in bound)
    return _LOWEST_FOR_IPC_OF_OTHERS if admits_others else _LOWEST_FOR_IPC


def raise_descriptor_limit() -> tuple[int, int]:
    """Raise the soft limit on open descriptors to the hard limit.

    :returns: the soft limit before and after.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return before, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def make_room(allowed: int) -> None:
    """Let the kernel's table of this process's descriptors be as large as it may get.

    It grows by doubling. In a process with several threads, each time waits until all cores have
    left the old table (``expand_fdtable`` in fs/file.c of Linux): 10 to 20 ms on a busy machine, in
    which nothing else happens. So it is best done at the start, and at once.

    :param allowed: the limit on open descriptors.
    """
    with Path(os.devnull).open("rb") as any_file:
        try:
            highest = fcntl.fcntl(any_file, fcntl.F_DUPFD_CLOEXEC, min(allowed, _ROOM) - 1)
        except OSError as error:
            # The highest one has been inherited, so that the table is as large as it gets.
            if error.errno != errno.EMFILE:
                raise
        else:
            os.close(highest)


def load_codecs() -> None:
    """Load the codec that Python otherwise loads with the first host name that it handles.

    Loading opens files, which fails while no descriptor is free.
    """
    codecs.lookup("idna")
