"""What scenarios share: sizes and rounds, and publishing to open clients.

Owns: one call of the benchmark, a run of pushes, and the remarks about failures.
Must not import: the scenarios.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.native import ROOT, Programs
from bench.processes import Load, Publisher, Server, floor, wampush


@dataclass(frozen=True, slots=True)
class Run:
    """One call of the benchmark.

    :param programs: the load generator and the floor.
    :param folder: for logs.
    :param scale: factor for all sizes.
    :param rounds: repetitions of the short scenarios.
    :param faults: which of the faults of ``nodes-faults`` are inflicted; all if it is empty.
    """

    programs: Programs
    folder: Path
    scale: float
    rounds: int
    faults: Sequence[str] = ()

    def size(self, full: int, least: int) -> int:
        """Return a size scaled for this run.

        :param full: at scale 1.
        :param least: the smallest size with which the scenario makes sense.
        """
        return max(least, round(full * self.scale))

    @staticmethod
    def folder_on_disk() -> tempfile.TemporaryDirectory[str]:
        """Return a folder that the block may write to; that of the logs may be in memory."""
        cache = ROOT / ".cache"
        cache.mkdir(exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="bench-", dir=cache)

    @contextlib.contextmanager
    def server(self, kind: str, http: bool = False, watched: bool = False) -> Iterator[Server]:
        """Run a server: "wampush", "floor", or "floor-each", the floor with a send per event."""
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
    :param rate: events per second; 0 for as fast as they are accepted.
    :param size: bytes of an event's payload.
    :param as_client: whether a WebSocket client publishes instead of a backend.
    """

    count: int
    rate: float
    size: int
    as_client: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run of pushes.

    :param received: the report of the load generator.
    :param cpu: seconds that the server used from the first push to the last delivery.
    :param seconds: from the first push to the last delivery.
    :param faults: what went wrong; "" for nothing.
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
    stalled_for: float = 0.0,
    seconds: float = 60.0,
    options: Sequence[str] = (),
    idle: bool = True,
    before: Callable[[], object] | None = None,
    during: Callable[[], object] | None = None,
) -> Outcome:
    """Open clients, publish to them, and wait until they have everything.

    :param clients: how many, including stalled ones.
    :param pushes: what is published.
    :param stalled: how many clients stop reading once all are open.
    :param stalled_for: seconds after which they read again and shall get everything; 0 for never.
    :param seconds: time limit, after which the run ends with what was received.
    :param options: further ones of the load generator, see ``native/load.c``.
    :param idle: whether to wait for the server to be idle before the first push.
    :param before: called when all are open and the server is idle.
    :param during: called repeatedly during the run.
    """
    options = ["-e", str(pushes.count), "-z", str(stalled), "-Z", str(stalled_for), *options]
    with Load(run.programs, server, clients, *options, seconds=seconds) as load:
        load.ready(clients)
        if idle:
            server.settle()
        with Publisher(
            server, pushes.count, pushes.rate, pushes.size, as_client=pushes.as_client
        ) as publisher:
            if before is not None:
                before()
            cpu = server.cpu()
            begun = time.monotonic()
            publisher.go()
            received = load.wait(during)
            used = server.cpu() - cpu
            took = time.monotonic() - begun
    whole = clients if stalled_for else clients - stalled
    faults = faults_of(server, received, whole, pushes.count)
    return Outcome(received, used, took, faults)


def faults_of(server: Server, received: dict[str, Any], clients: int, count: int) -> str:
    """Return what went wrong in a run of pushes; "" for nothing.

    :param received: the report of the load generator.
    :param clients: how many shall have received everything.
    :param count: events.
    """
    faults = []
    missing = clients * count - received["events"]
    if received["complete"] < clients:
        faults.append(f"{clients - received['complete']} clients did not get everything")
    # Stalled clients receive the first events too, so there may be more than expected.
    if missing > 0:
        faults.append(f"{missing:,} of {clients * count:,} events missing")
    named = ("gaps", "disorder", "closed_by_server")
    faults += [f"{name} {received[name]}" for name in named if received[name]]
    if server.complaints():
        faults.append(f"{server.complaints()} tracebacks in {server.log}")
    return "; ".join(faults)


def remark(*faults: str) -> str:
    """Join the faults of several rounds, each once."""
    return "; ".join(dict.fromkeys(each for each in faults if each))
