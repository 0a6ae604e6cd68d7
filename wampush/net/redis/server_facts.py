"""What a Redis server says about itself.

Owns: how INFO is read, and what must be so for a server that joins nodes. Pure.
Must not import: the broker, the edges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: The version from which on everything works that nodes need.
LEAST_VERSION: Final = 7
#: The only policy that drops no key.
NO_EVICTION: Final = "noeviction"
_LINE: Final = re.compile(rb"^([a-z_]+):([^\r\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The facts.

    :param run_id: names the process; "" if it does not say.
    :param version: as Redis counts, also of Valkey; "" if it does not say.
    :param role: "master" or "slave".
    :param eviction: ``maxmemory-policy``; "" if it does not say.
    """

    run_id: str
    version: str
    role: str
    eviction: str

    def problem(self, *, keeps_history: bool) -> str:
        """Return why the server cannot join nodes; "" if it can.

        :param keeps_history: whether nodes keep keys there that must not get lost.
        """
        major = self.version.partition(".")[0]
        if major.isdigit() and int(major) < LEAST_VERSION:
            return f"it is version {self.version}; version {LEAST_VERSION} or later is needed"
        if self.role == "slave":
            return "it is a replica; the master is needed"
        if keeps_history and self.eviction not in ("", NO_EVICTION):
            return (
                f"its maxmemory-policy {self.eviction} may drop what topics keep; write "
                f"maxmemory-policy {NO_EVICTION} into its configuration, and for now run: "
                f"redis-cli CONFIG SET maxmemory-policy {NO_EVICTION}"
            )
        return ""


def facts_of(info: bytes) -> ServerFacts:
    """Return what the answer to INFO says."""
    found = {
        name.decode(): value.decode(errors="replace").strip() for name, value in _LINE.findall(info)
    }
    return ServerFacts(
        run_id=found.get("run_id", ""),
        version=found.get("redis_version", ""),
        role=found.get("role", ""),
        eviction=found.get("maxmemory_policy", ""),
    )
