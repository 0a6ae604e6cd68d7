"""The scenario of fairness: pushes on a quiet topic while others ask for more than their share.

Owns: the loads, and what a quiet topic feels of them. Must not import: other scenarios.

Whatever makes a load gives way to what measures: it has the lowest priority on its core.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.native import BenchError
from bench.processes import GIVE_WAY, Load, Publisher, Server, cores, spawn, stop, wampush
from bench.run import Outcome, Pushes, Run, publish, remark
from bench.table import Row

EVENT_BYTES = 200
RATE = 100
#: Seconds for which a load is on before the measurement begins.
_WARM_UP_SECONDS = 0.5
_MANY = 1_000_000_000
_PERMISSIONS = "".join(
    f'[[permissions]]\nmatch = "area{number}.*"\nactions = ["subscribe"]\nto = ["anyone"]\n'
    for number in range(200)
)

Notes = list[str]
Start = Callable[[Run, Server, Notes], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Weight:
    """A load on the server.

    :param name: for the table.
    :param start: puts it on the server until the block ends, and notes what it has done.
    :param config: the server's TOML.
    """

    name: str
    start: Start
    config: str = ""


def _attackers(kind: str, *, on_http: bool = False, procedure: str = "wampush.time") -> Start:
    @contextlib.contextmanager
    def start(run: Run, server: Server, notes: Notes) -> Iterator[None]:
        del run
        port = server.http if on_http else server.port
        command = [*GIVE_WAY, sys.executable, "-m", "bench.attacker", kind, str(port), procedure]
        process = spawn(cores()[1], command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise BenchError("the attackers did not start")
            begun = time.monotonic()
            yield
            took = time.monotonic() - begun
            process.stdin.close()
            counts = json.loads(process.stdout.readline())
            done = [f"{count / took:,.0f} {what}/s" for what, count in sorted(counts.items())]
            notes.append(", ".join(done) or "nothing was answered")
        finally:
            stop(process)

    return start


def _pushes(clients: int, rate: float, size: int, options: Sequence[str] = ()) -> Start:
    """Push to clients of another topic."""

    @contextlib.contextmanager
    def start(run: Run, server: Server, notes: Notes) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            opened = ["-s", "busy", *options]
            load = Load(run.programs, server, clients, *opened, seconds=600, gives_way=True)
            stack.enter_context(load)
            load.ready(clients)
            publisher = Publisher(server, _MANY, rate, size, topic="busy", gives_way=True)
            with publisher:
                publisher.go()
                begun = time.monotonic()
                yield
                took = time.monotonic() - begun
            received = load.finish()
            per_second = received["events"] / took
            notes.append(f"{per_second:,.0f} deliveries/s, {received['closed_by_server']} dropped")

    return start


@contextlib.contextmanager
def _busy_core(run: Run, server: Server, notes: Notes) -> Iterator[None]:
    """Keep the clients' core busy without any load on the server."""
    del run, server, notes
    process = spawn(cores()[1], [*GIVE_WAY, sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        stop(process)


WEIGHTS = (
    Weight("no load, clients' core busy", _busy_core),
    Weight("50 clients, 95 calls/s each", _attackers("calls")),
    Weight("4 clients publish 64 KiB, 95/s each", _attackers("large")),
    Weight("4 reconnect for 1,900 calls each", _attackers("reconnecting")),
    Weight("backend at full speed, 300 clients", _pushes(300, 0, EVENT_BYTES)),
    Weight("100 KB to 1,000 clients, 2/s", _pushes(1000, 2, 100_000)),
    Weight("1 MB/s to one that reads nothing", _pushes(1, 100, 10_000, ("-z", "1"))),
    Weight("4 peers pipeline HTTP requests", _attackers("http", on_http=True)),
    Weight("20 burst 1,900 calls together", _attackers("together")),
    Weight(
        "3 burst 1,900 wampush.session, 200 rules",
        _attackers("sessions", procedure="wampush.session"),
        _PERMISSIONS,
    ),
)


def fairness(run: Run) -> Iterator[Row]:
    """100 pushes/s on a quiet topic while others ask for more than their share; floor: alone."""
    for weight in WEIGHTS:
        alone: list[Outcome] = []
        beside: list[Outcome] = []
        notes: Notes = []
        for _ in range(run.rounds):
            _measure(run, weight, alone, beside, notes)
        faults = remark(*(each.faults for each in (*alone, *beside)))
        for field, label in (("p50_us", "p50"), ("p99_us", "p99")):
            values = [each.received[field] / 1e3 for each in beside]
            floors = [each.received[field] / 1e3 for each in alone]
            said = remark(*notes[:1], faults)
            yield Row("fairness", f"{weight.name}, {label}, ms", values, floors, said)


def _measure(
    run: Run, weight: Weight, alone: list[Outcome], beside: list[Outcome], notes: Notes
) -> None:
    """Measure a quiet topic without and with a load, on the same server."""
    pushes = Pushes(run.size(300, 5), RATE, EVENT_BYTES)
    config = run.folder / "fairness.toml"
    config.write_text(weight.config)
    with wampush(run.folder, http=True, config=config) as server:
        alone.append(publish(run, server, 1, pushes))
        with weight.start(run, server, notes):
            time.sleep(_WARM_UP_SECONDS)
            beside.append(publish(run, server, 1, pushes, idle=False))
