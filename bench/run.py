"""What every scenario gets, and the run that most of them share.

Owns: sizes and rounds, publishing to open clients, the remark about what went wrong.
Must not import: the scenarios.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.native import Programs
from bench.processes import Load, Publisher, Server, floor, wampush


@dataclass(frozen=True, slots=True)
class Run:
    """One call of the benchmark.

    :param programs: the load generator and the floor.
    :param folder: for logs.
    :param scale: sizes are multiplied by it.
    :param rounds: how often the short scenarios are repeated.
    """

    programs: Programs
    folder: Path
    scale: float
    rounds: int

    def size(self, full: int, least: int) -> int:
        """A size of this run.

        :param full: at scale 1.
        :param least: below which the scenario has no meaning.
        """
        return max(least, round(full * self.scale))

    @contextlib.contextmanager
    def server(self, kind: str, http: bool = False, watched: bool = False) -> Iterator[Server]:
        """A fresh server: "wampush", "floor", or "floor-each", the floor with a send an event."""
        if kind == "wampush":
            with wampush(self.folder, http, watched) as server:
                yield server
        else:
            with floor(self.programs, kind == "floor-each") as server:
                yield server


@dataclass(frozen=True, slots=True)
class Pushes:
    """What is published.

    :param count: events.
    :param rate: events a second, 0 for as fast as they are taken.
    :param size: bytes of an event's payload.
    """

    count: int
    rate: float
    size: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of pushes came to.

    :param received: what the load generator says.
    :param cpu: seconds that the server used from the first push to the last delivery.
    :param seconds: from the first push to the last delivery.
    :param faults: what went wrong, "" for nothing.
    """

    received: dict[str, Any]
    cpu: float
    seconds: float
    faults: str


def publish(
    run: Run,
    server: Server,
    clients: int,
    pushes: Pushes,
    *,
    stalled: int = 0,
    seconds: float = 60.0,
    before: Callable[[], object] | None = None,
    during: Callable[[], object] | None = None,
) -> Outcome:
    """Open clients, publish to them, wait until they have everything.

    :param clients: how many, stalled ones included.
    :param pushes: what they get.
    :param stalled: how many of the clients stop reading when all are open.
    :param seconds: after which the run ends with what has come.
    :param before: called when all are open and the server is quiet.
    :param during: called over and over meanwhile.
    """
    options = ["-e", str(pushes.count), "-z", str(stalled)]
    with Load(run.programs, server, clients, *options, seconds=seconds) as load:
        load.ready(clients)
        server.settle()
        with Publisher(server, pushes.count, pushes.rate, pushes.size) as publisher:
            if before is not None:
                before()
            cpu = server.cpu()
            begun = time.monotonic()
            publisher.go()
            received = load.wait(during)
            used = server.cpu() - cpu
            took = time.monotonic() - begun
    faults = _faults(server, received, clients - stalled, pushes.count)
    return Outcome(received, used, took, faults)


def _faults(server: Server, received: dict[str, Any], clients: int, count: int) -> str:
    faults = []
    missing = clients * count - received["events"]
    if received["complete"] < clients:
        faults.append(f"{clients - received['complete']} clients did not get everything")
    # Stalled clients get the first events too, so that there may be more than expected.
    if missing > 0:
        faults.append(f"{missing:,} of {clients * count:,} events missing")
    named = ("gaps", "disorder", "closed_by_server")
    faults += [f"{name} {received[name]}" for name in named if received[name]]
    if server.complaints():
        faults.append(f"{server.complaints()} tracebacks in {server.log}")
    return "; ".join(faults)


def remark(*faults: str) -> str:
    """One text of the faults of several rounds."""
    return "; ".join(dict.fromkeys(each for each in faults if each))
