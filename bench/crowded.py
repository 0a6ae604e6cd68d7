"""The scenario of a crowd: more backends and clients than descriptors, and those that are inside.

Owns: its sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.native import BenchError
from bench.processes import GIVE_WAY, Server, cores, spawn, stop, wampush
from bench.run import Outcome, Pushes, Run, publish, remark
from bench.table import Row

_DESCRIPTORS = 1024
_INSIDERS = 10
_RATE = 50
_PROBE_EVERY = 0.1
_TIMESTAMP = re.compile(r"^\S+")
_NUMBER = re.compile(r"\d+")
_SUPPRESSED = re.compile(r" \(\d+ similar messages? suppressed\)")


class HealthProbe:
    """Asks for ``/healthz`` ten times a second, on a new connection each time.

    :param server: that is asked.
    """

    def __init__(self, server: Server) -> None:
        self._url = f"http://127.0.0.1:{server.http}/healthz"
        self._due = 0.0
        #: Seconds that each response took.
        self.times: list[float] = []
        self.failures: list[str] = []

    def __call__(self) -> None:
        """Ask if it is time."""
        begun = time.monotonic()
        if begun < self._due:
            return
        self._due = begun + _PROBE_EVERY
        try:
            with urllib.request.urlopen(self._url, timeout=10) as response:
                response.read()
        except OSError as error:
            self.failures.append(f"/healthz: {error}")
        self.times.append(time.monotonic() - begun)


@contextlib.contextmanager
def _crowd(server: Server, backends: int, clients: int) -> Iterator[None]:
    arguments = [str(each) for each in (server.port, server.feed, backends, clients)]
    command = [*GIVE_WAY, sys.executable, "-m", "bench.crowd", *arguments]
    process = spawn(cores()[1], command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise BenchError("the crowd did not come")
        yield
    finally:
        stop(process)


def most_per_second(log: Path) -> int:
    """Return how often the most frequent kind of line was logged in one second.

    Lines that differ in numbers only are of one kind.
    """
    kinds: Counter[tuple[str, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        stamp = _TIMESTAMP.match(line)
        if stamp is not None:
            text = _SUPPRESSED.sub("", line[stamp.end() :])
            kinds[stamp[0], _NUMBER.sub("0", text)] += 1
    return max(kinds.values(), default=0)


def crowded(run: Run) -> list[Row]:
    """2,000 backends and 2,000 clients at once, 1,024 descriptors; floor: the same server before.

    Ten clients and a backend are inside already: their pushes, health checks, lines of the log.
    """
    size = run.size(2000, 20)
    calm: list[Outcome] = []
    outcomes: list[Outcome] = []
    before: list[HealthProbe] = []
    during: list[HealthProbe] = []
    lines: list[float] = []
    pushes = Pushes(run.size(500, 5), _RATE, 200)
    for _ in range(run.rounds):
        with wampush(run.folder, http=True, most_files=_DESCRIPTORS) as server:
            before.append(HealthProbe(server))
            calm.append(publish(run, server, _INSIDERS, pushes, during=before[-1]))
            during.append(HealthProbe(server))
            with contextlib.ExitStack() as stack:
                outcomes.append(
                    publish(
                        run,
                        server,
                        _INSIDERS,
                        pushes,
                        before=lambda: stack.enter_context(_crowd(server, size, size)),
                        during=during[-1],
                    )
                )
            assert server.log is not None
            lines.append(float(most_per_second(server.log)))
    faults = remark(*(each.faults for each in outcomes), *(f for p in during for f in p.failures))
    rows = [
        Row(
            "crowded",
            "longest /healthz, ms",
            [max(probe.times) * 1e3 for probe in during],
            [max(probe.times) * 1e3 for probe in before],
            faults,
        )
    ]
    for field, label in (("p50_us", "p50"), ("p99_us", "p99")):
        values = [each.received[field] / 1e3 for each in outcomes]
        floors = [each.received[field] / 1e3 for each in calm]
        rows.append(Row("crowded", f"pushes to those inside, {label}, ms", values, floors))
    rows.append(Row("crowded", "lines of one kind in a second", lines, [1.0], digits=0))
    return rows
