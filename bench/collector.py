"""The scenario of the garbage collector: gc.

Owns: its sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import contextlib
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.native import BenchError
from bench.processes import Load, Server
from bench.run import Pushes, Run, publish, remark
from bench.table import Row

EVENT_BYTES = 200
_RATE = 100
_MANY = 1_000_000_000
#: Seconds for which others come and go before the measurement begins.
_WARM_UP_SECONDS = 0.5
_PAUSES = re.compile(r'^wampush_gc_pause_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)
_SUM = re.compile(r"^wampush_gc_pause_seconds_sum (\S+)$", re.MULTILINE)


def gc(run: Run) -> list[Row]:
    """Clients connect and stay, others come and go: pauses of the collector; p99, floor: alone.

    As many connect as descriptors allow, at most 9,000.
    """
    clients = run.size(9000, 20)
    longest: list[float] = []
    in_all: list[float] = []
    alone: list[float] = []
    beside: list[float] = []
    faults: list[str] = []
    for _ in range(run.rounds):
        with run.server("wampush", http=True) as server:
            pushes = Pushes(run.size(300, 5), _RATE, EVENT_BYTES)
            quiet = publish(run, server, 1, pushes)
            alone.append(quiet.received["p99_us"] / 1e3)
            # The collection at the start is over before anybody connects.
            before = _Pauses.of(server)
            with _idle(run, server, clients), _churn(run, server):
                busy = publish(run, server, 1, pushes, idle=False)
            beside.append(busy.received["p99_us"] / 1e3)
            faults += [quiet.faults, busy.faults]
            after = _Pauses.of(server)
            longest.append(after.longest_since(before) * 1e3)
            in_all.append((after.total - before.total) * 1e3)
    return [
        Row("gc", f"longest pause, {clients:,} clients, ms, at most", longest, [], digits=1),
        Row("gc", "all pauses together, ms", in_all, [], digits=1),
        Row("gc", "push to client, p99, ms", beside, alone, remark(*faults)),
    ]


@contextlib.contextmanager
def _idle(run: Run, server: Server, clients: int) -> Iterator[None]:
    """Have clients connect, subscribe and stay."""
    with Load(run.programs, server, clients, "-s", "idle", seconds=600) as load:
        load.ready(clients)
        yield


@contextlib.contextmanager
def _churn(run: Run, server: Server) -> Iterator[None]:
    """Have 8 clients at a time connect, subscribe, and leave, as fast as they can."""
    options = ["-L", "-C", str(_MANY), "-s", "churn-%d", "-k", "1000"]
    with Load(run.programs, server, 8, *options, seconds=600, gives_way=True):
        time.sleep(_WARM_UP_SECONDS)
        yield


@dataclass(frozen=True, slots=True)
class _Pauses:
    """What ``/metrics`` shows of the pauses since the start.

    :ivar below: how many took at most so many seconds.
    :ivar total: seconds of all together.
    """

    below: Mapping[float, float]
    total: float

    @classmethod
    def of(cls, server: Server) -> _Pauses:
        """Ask a server."""
        url = f"http://127.0.0.1:{server.http}/metrics"
        with urllib.request.urlopen(url, timeout=30) as response:
            text = response.read().decode()
        below = {float(limit): float(count) for limit, count in _PAUSES.findall(text)}
        total = _SUM.search(text)
        if not below or total is None:
            raise BenchError("/metrics has no wampush_gc_pause_seconds")
        return cls(below, float(total[1]))

    def longest_since(self, before: _Pauses) -> float:
        """Return a bound of the longest pause since then, in seconds; 0 if there was none."""
        new = {limit: count - before.below[limit] for limit, count in self.below.items()}
        most = max(new.values())
        return min(limit for limit, count in new.items() if count == most) if most else 0.0
