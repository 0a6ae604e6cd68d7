"""The scenario of readers: those that read steadily are not dropped, however much comes at once.

Owns: the bursts, the readers and how fast they read. Must not import: other scenarios.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.processes import wampush
from bench.run import Outcome, Pushes, Run, publish, remark
from bench.table import Row

_MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Burst:
    """What comes at once, and for whom.

    :param name: for the table.
    :param pushes: the events.
    :param readers: clients.
    :param rate: bytes per second that each of them reads.
    :param times: how often the burst comes, each time to new readers on the same server.
    """

    name: str
    pushes: Pushes
    readers: int
    rate: int
    times: int = 1

    @property
    def least_seconds(self) -> float:
        """The time that a reader needs for all of it."""
        return self.pushes.count * self.pushes.size / self.rate


BURSTS = (
    Burst("1,500 x 4 KB by one client", Pushes(1500, 0, 4000, as_client=True), 40, 3_000_000),
    Burst("1 MiB to readers of 400 KB/s", Pushes(1, 0, 2**20), 400, 400_000),
    # A page in a browser reads about that fast.
    Burst("3 x 600 kB to pages", Pushes(3, 0, 600_000), 3, 20_000_000, times=5),
)


def readers(run: Run) -> Iterator[Row]:
    """Bursts of large events to clients that read steadily: clients dropped, seconds; floor: ideal.

    The floor of the time is what the clients need to read that much.
    """
    for burst in BURSTS:
        outcomes: list[Outcome] = []
        count = run.size(burst.readers, 2)
        slow = ("-r", str(burst.rate))
        for _ in range(run.rounds):
            with wampush(run.folder) as server:
                outcomes += [
                    publish(run, server, count, burst.pushes, seconds=_MOST_SECONDS, options=slow)
                    for _ in range(run.size(burst.times, 1))
                ]
        dropped = [float(each.received["closed_by_server"]) for each in outcomes]
        faults = remark(*(each.faults for each in outcomes))
        what = f"of {count:,} readers in {len(outcomes)} bursts; {faults}".removesuffix("; ")
        worst = [max(dropped)]
        seconds = [each.seconds for each in outcomes]
        yield Row("readers", f"{burst.name}: dropped", worst, [0.0], what, digits=0)
        yield Row("readers", f"{burst.name}: s", seconds, [burst.least_seconds])
