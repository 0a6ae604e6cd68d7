"""Scenario of nodes whose links, processes and Redis fail under load: nodes-faults.

Owns: its sizes and its rows; ``bench.faults`` has the rest. Must not import: other scenarios.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.faults.faults import FAULTS, Times, run_fault
from bench.faults.installation import running
from bench.faults.load import Load, Size
from bench.native import BenchError
from bench.run import Run
from bench.table import Row

#: Events of each publisher before and after a fault.
_CALM: Final = 200
#: Seconds for which Redis, and a node, are stopped.
_PAUSE: Final = 20.0
_FREEZE: Final = 60.0
_MOST_SHOWN: Final = 20


def nodes_faults(run: Run) -> Iterator[Row]:
    """Three nodes and Redis killed, frozen, cut off, upgraded under load: broken promises."""
    times = Times(pause=run.size(int(_PAUSE), 1), freeze=run.size(int(_FREEZE), 1))
    size = Size(readers=4, pause=0.005, calm=run.size(_CALM, 5), patience=5.0)
    for name in run.faults or FAULTS:
        found: list[float] = []
        acknowledged: list[float] = []
        seconds: list[float] = []
        for number in range(run.rounds):
            folder = run.folder / f"{name}-{number}"
            folder.mkdir()
            breaches, count, took = asyncio.run(_one(folder, name, size, times))
            found.append(len(breaches))
            acknowledged.append(count)
            seconds.append(took)
            for each in breaches[:_MOST_SHOWN]:
                print(f"BREACH {name}: {each}", file=sys.stderr, flush=True)
        told = f"{sum(acknowledged):,.0f} events acknowledged, {sum(seconds):.0f} s"
        yield Row("nodes-faults", f"{name}: promises broken", found, [], told, digits=0)


async def _one(folder: Path, name: str, size: Size, times: Times) -> tuple[list[str], int, float]:
    """Return the breaches, how many events were acknowledged, and how long it took."""
    async with running(folder) as installation, Load(installation, size) as load:
        begun = time.monotonic()
        try:
            breaches = await run_fault(installation, load, name, times)
        except BenchError as error:
            breaches = [str(error)]
        count = sum(len(each.acknowledged) for each in load.http)
        return breaches, count, time.monotonic() - begun
