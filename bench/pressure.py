"""Scenarios of overload: stalled clients, a backend at full speed.

Owns: their sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.fanout import EVENT_BYTES
from bench.peer import open_session
from bench.processes import Server
from bench.run import Outcome, Pushes, Run, publish, remark
from bench.table import Row

MIB = 2**20
_PROBE_EVERY = 0.1
_MOST_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Stalled:
    """A run with clients that stop reading.

    :param outcome: of the clients that read.
    :param grown: peak memory in MiB, minus what it was before the first push.
    :param kernel: peak of the machine's TCP buffers in MiB, minus what they were before.
    :param kept: MiB that the server had not returned at the end.
    :param left: connections at the end.
    """

    outcome: Outcome
    grown: float
    kernel: float
    kept: float
    left: int


def _with_stalled(run: Run, readers: int, sleepers: int, pushes: Pushes) -> Stalled:
    with run.server("wampush", http=True) as server:
        resident: list[int] = []
        buffers: list[float] = []

        def before() -> None:
            resident.append(server.memory())
            server.forget_peak()
            buffers.append(_tcp_buffers())

        clients = readers + sleepers
        outcome = publish(
            run,
            server,
            clients,
            pushes,
            stalled=sleepers,
            seconds=_MOST_SECONDS,
            before=before,
            during=lambda: buffers.append(_tcp_buffers()),
        )
        peak = server.memory("VmHWM")
        server.settle()
        left = server.health()["connections"]
        kept = server.memory() - resident[0]
        kernel = max(buffers) - buffers[0]
        return Stalled(outcome, (peak - resident[0]) / MIB, kernel, kept / MIB, left)


def _tcp_buffers() -> float:
    """Return the MiB of all TCP buffers of this machine; the kernel counts pages (proc(5))."""
    for text in Path("/proc/net/sockstat").read_text().splitlines():
        if text.startswith("TCP:"):
            return int(text.split()[-1]) * resource.getpagesize() / MIB
    return 0.0


def stalled(run: Run) -> list[Row]:
    """3,000 events of 8 KB, 200 per second, to 1,000 clients of which 100 stop reading.

    For comparison, the same with all 1,000 reading, and with the floor, which has no queues.
    """
    readers, sleepers = run.size(900, 4), run.size(100, 2)
    pushes = Pushes(run.size(3000, 20), 200, 8192)
    calm: list[Outcome] = []
    floors: list[Outcome] = []
    rounds: list[Stalled] = []
    for _ in range(run.rounds):
        for kind, outcomes in (("floor", floors), ("wampush", calm)):
            with run.server(kind) as server:
                clients = readers + sleepers
                outcomes.append(publish(run, server, clients, pushes, seconds=_MOST_SECONDS))
        rounds.append(_with_stalled(run, readers, sleepers, pushes))

    def p99(outcomes: Iterable[Outcome]) -> list[float]:
        return [each.received["p99_us"] / 1e3 for each in outcomes]

    with_stalled = [each.outcome for each in rounds]
    faults = remark(*(each.faults for each in (*with_stalled, *calm)))
    left = f"{max(each.left for each in rounds)} connections left"
    seconds = [each.seconds for each in with_stalled], [each.seconds for each in floors]
    return [
        Row("stalled", "p99 of readers, ms", p99(with_stalled), p99(floors), faults),
        Row(
            "stalled",
            "the same; floor: wampush, none stalled",
            p99(with_stalled),
            p99(calm),
            faults,
        ),
        Row("stalled", "seconds until all had everything", *seconds),
        Row("stalled", "memory growth, peak, MiB", [each.grown for each in rounds], [], digits=1),
        Row("stalled", "TCP buffers, peak, MiB", [each.kernel for each in rounds], [], digits=1),
        Row("stalled", "memory kept, MiB", [each.kept for each in rounds], [], left, digits=1),
    ]


class Probe:
    """A new client that connects every tenth of a second.

    :param server: where.
    """

    def __init__(self, server: Server) -> None:
        self._port = server.port
        self._due = 0.0
        self.times: list[float] = []

    def __call__(self) -> None:
        """Connect if it is time, and record how long it takes until WELCOME."""
        begun = time.monotonic()
        if begun < self._due:
            return
        self._due = begun + _PROBE_EVERY
        open_session(self._port).close()
        self.times.append(time.monotonic() - begun)


def pressure(run: Run) -> list[Row]:
    """1,000,000 pushes of 200 B at full speed to 10 clients, while new ones connect."""
    clients, count = 10, run.size(1_000_000, 1000)
    outcomes: dict[str, Outcome] = {}
    peaks: dict[str, float] = {}
    probes: dict[str, Probe] = {}
    for kind in ("wampush", "floor"):
        with run.server(kind) as server:
            probes[kind] = Probe(server)
            outcomes[kind] = publish(
                run,
                server,
                clients,
                Pushes(count, 0, EVENT_BYTES),
                seconds=_MOST_SECONDS,
                during=probes[kind],
            )
            peaks[kind] = server.memory("VmHWM") / MIB
    server_outcome, floor_outcome = outcomes["wampush"], outcomes["floor"]
    times = [each * 1e3 for each in probes["wampush"].times]
    floor_times = [each * 1e3 for each in probes["floor"].times]
    faults = server_outcome.faults or f"all {clients * count:,} events arrived in order"
    probed = f"{len(times)} connects"
    return [
        Row(
            "pressure",
            "pushes/s",
            [count / server_outcome.received["span_s"]],
            [count / floor_outcome.received["span_s"]],
            faults,
            digits=0,
        ),
        Row("pressure", "peak memory, MiB", [peaks["wampush"]], [peaks["floor"]], digits=1),
        Row(
            "pressure", "connect during it, p50, ms", [median(times)], [median(floor_times)], probed
        ),
        Row("pressure", "connect during it, max, ms", [max(times)], [max(floor_times)], probed),
    ]
