"""Scenarios of upgrades in a row, under load: upgrade, upgrade-direct.

Owns: their load and their figures. Must not import: other scenarios; wampush.

One session in 50 is subscribed to one of 20 topics, over which a backend pushes steadily over
ZeroMQ, and some to one more that another backend pushes to over HTTP; the others are idle and have
to move as well. The load generator counts connections that end, and holes and repetitions in what
each session gets; a push that waited anywhere shows in the longest time from push to client.

What comes between upgrades is compared with seconds before the first one. These last as long as an
interval of pings, because all sessions connect at about the same time and are pinged at about the
same time from then on. Next to the p99 of all pushes there is the median of the p99 of each second:
on a virtual machine, a few pauses of its host make up most of the slowest hundredth.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.behind_nginx import behind_nginx
from bench.processes import START_SECONDS, Load, Publisher, Server
from bench.run import Run
from bench.supervised import PATIENCE, Supervised, supervised
from bench.table import Row

_SESSIONS: Final = 10_000
_UPGRADES: Final = 20
_TOPICS: Final = 20
#: Topics of sessions, most of them without pushes.
_ALL_TOPICS: Final = 50 * _TOPICS
_RATE: Final = 1000
#: Pushes over HTTP per second.
_HTTP_RATE: Final = 50
_EVENT_BYTES: Final = 200
_PREFIX: Final = "area"
_SETTINGS: Final = "[limits]\nconnections_per_address = 0\n[process]\ndrain = 1\n"
#: Seconds before the first upgrade, an interval of pings; and between the end of an old process and
#: the next upgrade. Each begins a part of its own.
_BEFORE_SECONDS: Final = 30
_BETWEEN_SECONDS: Final = 1.0
#: Parts of a run whose latencies are reported separately.
_BEFORE, _MEANWHILE, _BETWEEN = range(3)

_InFront = Callable[[Path, Server, int], AbstractContextManager[Server]]
"""Takes a folder, the server and the number of clients; gives what the clients connect to."""


@dataclass(slots=True)
class _Figures:
    """What was measured, one value for each round."""

    disconnected: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    repeated: list[float] = field(default_factory=list)
    unaccounted: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    typical_between: list[float] = field(default_factory=list)
    typical_before: list[float] = field(default_factory=list)
    descriptors: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    parent_descriptors: list[float] = field(default_factory=list)
    parent_memory: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def upgrade(run: Run) -> Iterator[Row]:
    """20 upgrades in a row with 10,000 sessions behind nginx and 1,000 pushes/s: who notices."""
    yield from _upgrades(run, "upgrade", behind_nginx)


def upgrade_direct(run: Run) -> Iterator[Row]:
    """The same without nginx."""
    yield from _upgrades(run, "upgrade-direct", _nothing_in_front)


@contextlib.contextmanager
def _nothing_in_front(_folder: Path, server: Server, _clients: int) -> Iterator[Server]:
    yield server


def _upgrades(run: Run, scenario: str, in_front: _InFront) -> Iterator[Row]:
    sessions = run.size(_SESSIONS, _ALL_TOPICS)
    count = run.size(_UPGRADES, 2)
    figures = _Figures()
    for number in range(run.rounds):
        folder = run.folder / f"{scenario}-{number}"
        folder.mkdir()
        with (
            supervised(folder, _SETTINGS) as running,
            in_front(folder, running.server, sessions) as front,
        ):
            _measure(run, running, front, sessions, count, figures)
    what = f"{count} upgrades, {sessions:,} sessions: "
    faults = "; ".join(dict.fromkeys(figures.faults))
    for name, values, floors, digits in (
        ("disconnected", figures.disconnected, [], 0),
        ("events lost", figures.lost, [], 0),
        ("events repeated", figures.repeated, [], 0),
        ("pushes not accepted", figures.unaccounted, [], 0),
        ("median, s", figures.median, [], 1),
        ("slowest, s", figures.slowest, [], 1),
        ("push to client, longest, ms", figures.longest, [], 0),
        ("push to client meanwhile, p99, ms", figures.p99, [], 1),
        ("push to client between, p99, ms", figures.between, figures.before, 1),
        ("the same, median second", figures.typical_between, figures.typical_before, 1),
        ("descriptors left", figures.descriptors, [], 0),
        ("memory, MiB more", figures.memory, [], 1),
        ("descriptors left in the parent", figures.parent_descriptors, [], 0),
        ("memory of the parent, MiB more", figures.parent_memory, [], 1),
    ):
        yield Row(scenario, what + name, values, floors, faults, digits=digits)


def _measure(
    run: Run, running: Supervised, front: Server, sessions: int, count: int, figures: _Figures
) -> None:
    """Upgrade again and again under load."""
    server = running.server
    options = ["-s", f"{_PREFIX}%d", "-k", str(_ALL_TOPICS), "-L"]
    over_http = dataclasses.replace(server, kind="http", feed=server.http)
    parent = dataclasses.replace(server, pid=running.parent)
    with Load(run.programs, front, sessions, *options, seconds=count * PATIENCE) as load:
        load.ready(sessions)
        server.settle()
        descriptors, memory = server.descriptors(), server.memory()
        of_parent, memory_of_parent = parent.descriptors(), parent.memory()
        rate, http_rate = run.size(_RATE, 100), run.size(_HTTP_RATE, 10)
        with (
            Publisher(server, 0, rate, _EVENT_BYTES, topic=_PREFIX, topics=_TOPICS) as publisher,
            Publisher(
                over_http, 0, http_rate, _EVENT_BYTES, topic=f"{_PREFIX}{_TOPICS}"
            ) as http_publisher,
        ):
            publisher.go()
            http_publisher.go()
            for _ in range(run.size(_BEFORE_SECONDS, 1)):
                load.begin_part(_BEFORE)
                time.sleep(1.0)
            seconds = [_upgrade(running, load) for _ in range(count)]
            # After the last upgrade, each topic has more pushes, so that a hole would show.
            sent = publisher.finish(), http_publisher.finish()
        server.settle(START_SECONDS)
        figures.descriptors.append(server.descriptors() - descriptors)
        figures.memory.append((server.memory() - memory) / 2**20)
        figures.parent_descriptors.append(parent.descriptors() - of_parent)
        figures.parent_memory.append((parent.memory() - memory_of_parent) / 2**20)
        received = load.finish()
    figures.unaccounted.append(
        sum(
            number - server.total(f'wampush_inputs_accepted_total{{source="{source}"}}')
            for source, number in zip(("zeromq", "http"), sent, strict=True)
        )
    )
    figures.median.append(statistics.median(seconds))
    figures.slowest.append(max(seconds))
    figures.disconnected.append(received["closed_by_server"])
    figures.repeated.append(received["disorder"])
    figures.lost.append(received["gaps"])
    figures.longest.append(received["max_us"] / 1e3)
    apart = [each["p99_us"] / 1e3 for each in received["apart"]]
    figures.before.append(apart[_BEFORE])
    figures.p99.append(apart[_MEANWHILE])
    figures.between.append(apart[_BETWEEN])
    typical = [each["median_p99_us"] / 1e3 for each in received["apart"]]
    figures.typical_before.append(typical[_BEFORE])
    figures.typical_between.append(typical[_BETWEEN])
    if server.complaints():
        figures.faults.append(f"{server.complaints()} tracebacks in {server.log}")


def _upgrade(running: Supervised, load: Load) -> float:
    """Upgrade once; return the seconds until the new process served."""
    load.begin_part(_MEANWHILE)
    seconds = running.replace("upgrade")
    running.wait_until_alone()
    load.begin_part(_BETWEEN)
    time.sleep(_BETWEEN_SECONDS)
    return seconds
