"""Scenarios of topics with history: history, recovery.

Owns: their sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from bench.keeping import Arrival, arrival_rows, arrive, position, serving
from bench.processes import TOPIC, Publisher
from bench.run import Outcome, Pushes, Run, publish, remark
from bench.table import Row

EVENT_BYTES: Final = 200
_HISTORY: Final = "history = 1000"
_MISSED: Final = 100
_OFF: Final = "off"
#: The topics of a server by the name of its row.
_KINDS: Final = {"on": {TOPIC: _HISTORY}, "on for others": {"other": _HISTORY}, _OFF: {}}


def history(run: Run) -> Iterator[Row]:
    """``paced`` and ``burst`` where topics keep 1,000 events; floor: wampush without history."""
    clients = run.size(1000, 2)
    paced = Pushes(run.size(100, 5), 20, EVENT_BYTES)
    burst = Pushes(run.size(300, 10), 0, EVENT_BYTES)
    loads = {"paced": paced, "burst": burst}
    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    for _ in range(run.rounds):
        for kind, topics in _KINDS.items():
            with serving(run, **topics) as server:
                for name, pushes in loads.items():
                    outcome = publish(run, server, clients, pushes)
                    outcomes.setdefault((name, kind), []).append(outcome)
    for name, pushes in loads.items():
        floor = [_figure(each, clients, pushes) for each in outcomes[name, _OFF]]
        unit = "CPU per delivery, us" if pushes.rate else "million deliveries/s"
        for kind in _KINDS:
            if kind != _OFF:
                measured = outcomes[name, kind]
                values = [_figure(each, clients, pushes) for each in measured]
                faults = remark(*(each.faults for each in measured))
                yield Row("history", f"{name}, {kind}: {unit}", values, floor, faults)


def _figure(outcome: Outcome, clients: int, pushes: Pushes) -> float:
    deliveries = clients * pushes.count
    if pushes.rate:
        return outcome.cpu / deliveries * 1e6
    return deliveries / float(outcome.received["span_s"]) / 1e6


def recovery(run: Run) -> list[Row]:
    """10,000 clients come back at once and have missed 100 events; floor: bare connects."""
    clients = run.size(10_000, 10)
    returning: list[Arrival] = []
    bare: list[Arrival] = []
    for _ in range(run.rounds):
        for kind in (returning, bare):
            with serving(run, **{TOPIC: _HISTORY}) as server:
                with Publisher(server, _MISSED, 0, EVENT_BYTES) as publisher:
                    publisher.go()
                    newest = position(server, TOPIC, _MISSED)
                if kind is bare:
                    bare.append(arrive(run, server, clients))
                    continue
                since = {"since": {"epoch": newest["epoch"], "offset": 0}}
                call = json.dumps([2, "1", "wampush.subscribe", TOPIC, since])
                returning.append(arrive(run, server, clients, _MISSED, ["-m", call]))
    faults = remark(*(each.faults for each in returning))
    return arrival_rows("recovery", "100 events missed", returning, bare, faults)
