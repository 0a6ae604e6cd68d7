"""The system's limit on open descriptors.

Owns: raising it, and how its descriptors are shared out.
Must not import: anything of wampush.
"""

from __future__ import annotations

import codecs
import resource
from dataclasses import dataclass
from typing import Final

#: Descriptors for everything but counted connections: listeners, log files, requests to
#: applications, and connections that are accepted only to be refused.
RESERVED_DESCRIPTORS: Final = 128
#: HTTP connections and backends may each take this part of the others at most.
_LARGEST_SHARE: Final = 4


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


def raise_descriptor_limit() -> tuple[int, int]:
    """Raise the soft limit on open descriptors to the hard limit.

    :returns: the soft limit before and after.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return before, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def load_codecs() -> None:
    """Load the codec that Python otherwise loads with the first host name that it handles.

    Loading opens files, which fails while no descriptor is free.
    """
    codecs.lookup("idna")
