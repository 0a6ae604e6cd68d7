"""Scenarios of connections: connects, churn.

Owns: their sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass

from bench.native import BenchError
from bench.processes import Load, Server
from bench.run import Run
from bench.table import Row

_SIGNAL_SECONDS = 10.0


def connects(run: Run) -> list[Row]:
    """10,000 clients connect and subscribe, 64 at a time: speed, CPU, memory of an idle one."""
    clients = run.size(10_000, 10)
    speed: dict[str, list[float]] = {"wampush": [], "floor": []}
    cpu: dict[str, list[float]] = {"wampush": [], "floor": []}
    memory: dict[str, list[float]] = {"wampush": [], "floor": []}
    for _ in range(run.rounds):
        for kind in ("wampush", "floor"):
            with run.server(kind) as server:
                before, used = server.memory(), server.cpu()
                with Load(run.programs, server, clients) as load:
                    speed[kind].append(load.ready(clients)["per_second"])
                    server.settle()
                    cpu[kind].append((server.cpu() - used) / clients * 1e6)
                    memory[kind].append((server.memory() - before) / clients)
                    load.finish()
    return [
        Row("connects", "connects/s", speed["wampush"], speed["floor"], digits=0),
        Row("connects", "CPU per connect, us", cpu["wampush"], cpu["floor"], digits=1),
        Row("connects", "bytes per idle client", memory["wampush"], memory["floor"], digits=0),
    ]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a server uses while nobody is connected.

    :param memory: resident bytes.
    :param descriptors: open file descriptors.
    :param counts: sessions, topics and connections.
    :param timers: delayed calls and timers on the wheel.
    """

    memory: int
    descriptors: int
    counts: int
    timers: int


def _footprint(server: Server) -> Footprint:
    server.settle()
    timers = _timers(server)
    health = server.health()
    # Counted last, when the connection of the health check is gone too.
    server.settle()
    counts = sum(health[name] for name in ("sessions", "topics", "connections"))
    return Footprint(server.memory(), server.descriptors(), counts, timers)


def _timers(server: Server) -> int:
    """Ask a watched server for its timers."""
    assert server.log is not None
    mark = "timers: "
    already = server.log.read_text().count(mark)
    os.kill(server.pid, signal.SIGUSR1)
    deadline = time.monotonic() + _SIGNAL_SECONDS
    while time.monotonic() < deadline:
        found = server.log.read_text().split(mark)[1:]
        if len(found) > already and "\n" in found[-1]:
            return sum(json.loads(found[-1].splitlines()[0]).values())
        time.sleep(0.01)
    raise BenchError("the server did not report its timers")


def _cycle(run: Run, server: Server, cycles: int) -> float:
    """Let clients connect, subscribe to a topic of their own and leave; returns cycles/s."""
    options = ["-L", "-C", str(cycles), "-s", "churn-%d"]
    with Load(run.programs, server, min(50, cycles), *options) as load:
        load.ready(0)
        result = load.wait()
    if result["cycles"] != cycles:
        raise BenchError(f"{cycles - result['cycles']} of {cycles} cycles failed")
    return cycles / float(result["seconds"])


def churn(run: Run) -> list[Row]:
    """50,000 times connect, subscribe to a new topic, disconnect: what is left afterwards.

    A fifth of that runs first, so that pools and caches have their size when counting begins.
    """
    cycles = run.size(50_000, 100)
    with run.server("wampush", http=True, watched=True) as server:
        fresh = _footprint(server)
        _cycle(run, server, cycles // 5)
        before = _footprint(server)
        speed = _cycle(run, server, cycles)
        after = _footprint(server)
        complaints = server.complaints()
    with run.server("floor") as server:
        _cycle(run, server, cycles // 5)
        floor_memory = server.memory()
        floor_speed = _cycle(run, server, cycles)
        server.settle()
        floor_memory = server.memory() - floor_memory
    faults = f"{complaints} tracebacks" if complaints else ""
    grown = f"fresh {fresh.memory / 2**20:.1f} MiB, before {before.memory / 2**20:.1f} MiB"
    left = (
        ("descriptors left", after.descriptors - before.descriptors),
        ("sessions, topics, connections left", after.counts),
        ("timers left", after.timers - before.timers),
    )
    return [
        Row("churn", "cycles/s", [speed], [floor_speed], faults, digits=0),
        Row(
            "churn",
            "memory grown, bytes per cycle",
            [(after.memory - before.memory) / cycles],
            [floor_memory / cycles],
            grown,
            digits=1,
        ),
        *(Row("churn", what, [float(count)], [], digits=0) for what, count in left),
    ]
