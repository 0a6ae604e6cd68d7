"""Scenario of upgrades in a row, under load: upgrade.

Owns: its load and its figures. Must not import: other scenarios; wampush.

One session in 50 is subscribed to one of 20 topics, over which a backend pushes steadily; the
others are idle and have to move as well. The load generator counts connections that end, and holes
and repetitions in what each session gets; a push that waited anywhere shows in the longest time
from push to client.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.processes import START_SECONDS, Load, Publisher
from bench.run import Run
from bench.supervised import PATIENCE, Supervised, supervised
from bench.table import Row

_SESSIONS: Final = 10_000
_UPGRADES: Final = 20
_TOPICS: Final = 20
#: Topics of sessions, most of them without pushes.
_ALL_TOPICS: Final = 50 * _TOPICS
_RATE: Final = 1000
_EVENT_BYTES: Final = 200
_PREFIX: Final = "area"
_SETTINGS: Final = "[limits]\nconnections_per_address = 0\n[process]\ndrain = 1\n"


@dataclass(slots=True)
class _Figures:
    """What was measured, one value for each round."""

    disconnected: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    repeated: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    descriptors: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def upgrade(run: Run) -> Iterator[Row]:
    """20 upgrades in a row with 10,000 sessions and 1,000 pushes/s: who notices anything."""
    sessions = run.size(_SESSIONS, _ALL_TOPICS)
    count = run.size(_UPGRADES, 2)
    figures = _Figures()
    for number in range(run.rounds):
        folder = run.folder / f"upgrade-{number}"
        folder.mkdir()
        with supervised(folder, _SETTINGS) as running:
            _measure(run, running, sessions, count, figures)
    what = f"{count} upgrades, {sessions:,} sessions: "
    faults = "; ".join(dict.fromkeys(figures.faults))
    for name, values, digits in (
        ("disconnected", figures.disconnected, 0),
        ("events lost", figures.lost, 0),
        ("events repeated", figures.repeated, 0),
        ("slowest, s", figures.slowest, 1),
        ("push to client, longest, ms", figures.longest, 0),
        ("push to client, p99, ms", figures.p99, 1),
        ("descriptors left", figures.descriptors, 0),
        ("memory, MiB more", figures.memory, 1),
    ):
        yield Row("upgrade", what + name, values, [], faults, digits=digits)


def _measure(run: Run, running: Supervised, sessions: int, count: int, figures: _Figures) -> None:
    """Upgrade again and again under load."""
    server = running.server
    options = ["-s", f"{_PREFIX}%d", "-k", str(_ALL_TOPICS), "-L"]
    with Load(run.programs, server, sessions, *options, seconds=count * PATIENCE) as load:
        load.ready(sessions)
        server.settle()
        descriptors, memory = server.descriptors(), server.memory()
        rate = run.size(_RATE, 100)
        with Publisher(server, 0, rate, _EVENT_BYTES, topic=_PREFIX, topics=_TOPICS) as publisher:
            publisher.go()
            slowest = max(running.replace("upgrade") for _ in range(count))
            # After the last upgrade, each topic has more pushes, so that a hole would show.
            publisher.finish()
        server.settle(START_SECONDS)
        figures.descriptors.append(server.descriptors() - descriptors)
        figures.memory.append((server.memory() - memory) / 2**20)
        received = load.finish()
    figures.slowest.append(slowest)
    figures.disconnected.append(received["closed_by_server"])
    figures.repeated.append(received["disorder"])
    figures.lost.append(received["gaps"])
    figures.longest.append(received["max_us"] / 1e3)
    figures.p99.append(received["p99_us"] / 1e3)
    if server.complaints():
        figures.faults.append(f"{server.complaints()} tracebacks in {server.log}")
