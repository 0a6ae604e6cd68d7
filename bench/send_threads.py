"""The scenario of several threads that send: threads.

Owns: its sizes and figures. Must not import: other scenarios.

The time is that of the server, from the arrival of a push until all its sends are done, as
``/metrics`` has it; it is asked between pushes, so that the time of each is known. The second
thread needs the core on which the clients run, so their process is stopped meanwhile: the events
wait in the kernel, and are read and checked afterwards. What else runs on the machine keeps the
second thread from its core: the fastest push of a round is one during which nothing did. CPU time
is measured apart, while nobody asks.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from bench.native import BenchError
from bench.processes import Load, Publisher, Server, cores, wampush
from bench.run import Run, faults_of, remark
from bench.table import Row

EVENT_BYTES = 200
#: Receivers of an event. Those above 1,024 get it over several turns, of which the first is timed.
CLIENTS = (50, 200, 1000)
_PUSHES = 30
#: Per second: the server is asked several times before the next one comes.
_RATE = 15.0
_ASK_SECONDS = 0.02
_MOST_SECONDS = 60.0
_METRIC = "wampush_push_to_flush_seconds"


@dataclass(slots=True)
class _Figures:
    """What rounds have measured with one number of threads and of clients."""

    wall: list[float] = field(default_factory=list)
    fastest: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def threads(run: Run) -> list[Row]:
    """15 events per second to 50, 200 and 1,000 clients, stopped: two threads; floor: one."""
    sizes = list(dict.fromkeys(run.size(clients, 2) for clients in CLIENTS))
    figures = {(count, clients): _Figures() for count in (1, 2) for clients in sizes}
    faults: list[str] = []
    for _ in range(run.rounds):
        for (count, clients), into in figures.items():
            faults += _measure(run, count, clients, into)
    rows = []
    for clients in sizes:
        one, two = figures[1, clients], figures[2, clients]
        what, found = f"{clients:,} clients", remark(*faults)
        rows += [
            Row("threads", f"{what}, push to last send, ms", two.wall, one.wall, found),
            Row("threads", f"{what}, the fastest, ms", two.fastest, one.fastest, found),
            Row("threads", f"{what}, CPU per delivery, us", two.cpu, one.cpu, found),
        ]
    return rows


def _measure(run: Run, count: int, clients: int, into: _Figures) -> list[str]:
    """Measure once; return what went wrong.

    :param count: of the threads.
    """
    config = run.folder / f"threads-{count}.toml"
    config.write_text(f"[process]\nsend_threads = {count}\n[limits]\nconnections_per_address = 0\n")
    faults: list[str] = []
    with wampush(run.folder, http=True, config=config) as server:
        # What starts the other threads, which then may use the same cores.
        os.sched_setaffinity(server.pid, cores())
        with _crowd(run, server, clients, faults):
            times = _times(server)
        into.wall.append(median(times) * 1e3)
        into.fastest.append(min(times) * 1e3)
        with _crowd(run, server, clients, faults):
            into.cpu.append(_cpu(server) / _PUSHES / clients * 1e6)
    return faults


@contextlib.contextmanager
def _crowd(run: Run, server: Server, clients: int, faults: list[str]) -> Iterator[None]:
    """Have clients that read only afterwards, and note what they have not got."""
    options = ("-e", str(_PUSHES))
    with Load(run.programs, server, clients, *options, seconds=_MOST_SECONDS) as load:
        load.ready(clients)
        server.settle()
        with load.stopped():
            yield
        faults.append(faults_of(server, load.wait(), clients, _PUSHES))


def _times(server: Server) -> list[float]:
    """Publish; return the seconds that each push took."""
    times: list[float] = []
    with Publisher(server, _PUSHES, _RATE, EVENT_BYTES) as publisher:
        pushes, seconds = _timed(server)
        publisher.go()
        deadline = time.monotonic() + _MOST_SECONDS
        while len(times) < _PUSHES:
            if time.monotonic() > deadline:
                raise BenchError(f"only {len(times)} of {_PUSHES} pushes were timed")
            time.sleep(_ASK_SECONDS)
            before, (pushes, seconds) = (pushes, seconds), _timed(server)
            new = round(pushes - before[0])
            times += [(seconds - before[1]) / new] * new if new else []
    return times


def _timed(server: Server) -> tuple[float, float]:
    """Return how many pushes have been timed, and their seconds."""
    pushes, seconds = server.totals(f"{_METRIC}_count", f"{_METRIC}_sum")
    return pushes, seconds


def _cpu(server: Server) -> float:
    """Publish; return the seconds of CPU that the server used."""
    with Publisher(server, _PUSHES, _RATE, EVENT_BYTES) as publisher:
        used = server.cpu()
        publisher.go()
        deadline = time.monotonic() + _MOST_SECONDS
        while not publisher.done():
            if time.monotonic() > deadline:
                raise BenchError("the publisher does not end")
            time.sleep(_ASK_SECONDS)
        server.settle()
        return server.cpu() - used
