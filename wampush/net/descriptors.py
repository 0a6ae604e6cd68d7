"""The system's limit on open descriptors.

Owns: raising it, and how many descriptors are set aside.
Must not import: anything of wampush.
"""

from __future__ import annotations

import resource
from typing import Final

#: Descriptors for everything but connections of clients and to the HTTP port: listeners, ZeroMQ,
#: log files.
RESERVED_DESCRIPTORS: Final = 128


def raise_descriptor_limit() -> tuple[int, int]:
    """Raise the soft limit on open descriptors to the hard limit.

    :returns: the soft limit before and after.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return before, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
