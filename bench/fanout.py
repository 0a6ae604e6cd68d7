"""Scenarios of delivery: paced, burst, latency, small.

Owns: their sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

from bench.run import Outcome, Pushes, Run, publish, remark
from bench.table import Row

EVENT_BYTES = 200
#: Numbers of clients of a small topic, as most topics are.
SMALL = (1, 10, 50)


def _rounds(
    run: Run, kinds: tuple[str, ...], clients: int, pushes: Pushes
) -> dict[str, list[Outcome]]:
    """Measure the kinds of server in turns, so that a busy minute affects all of them."""
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in kinds}
    for _ in range(run.rounds):
        for kind in kinds:
            with run.server(kind) as server:
                outcomes[kind].append(publish(run, server, clients, pushes))
    return outcomes


def _latencies(name: str, server: list[Outcome], floor: list[Outcome]) -> list[Row]:
    faults = remark(*(each.faults for each in server))
    rows = []
    for field, label in (("p50_us", "p50"), ("p99_us", "p99")):
        values = [each.received[field] / 1e3 for each in server]
        floors = [each.received[field] / 1e3 for each in floor]
        rows.append(Row(name, f"push to client, {label}, ms", values, floors, faults))
    return rows


def paced(run: Run) -> list[Row]:
    """20 events per second to 1,000 clients for 5 seconds: CPU per delivery, latency."""
    clients, count = run.size(1000, 2), run.size(100, 5)
    outcomes = _rounds(run, ("wampush", "floor"), clients, Pushes(count, 20, EVENT_BYTES))
    server, floor = outcomes["wampush"], outcomes["floor"]
    deliveries = clients * count
    cpu = Row(
        "paced",
        "CPU per delivery, us",
        [each.cpu / deliveries * 1e6 for each in server],
        [each.cpu / deliveries * 1e6 for each in floor],
        remark(*(each.faults for each in server)),
    )
    return [cpu, *_latencies("paced", server, floor)]


def burst(run: Run) -> list[Row]:
    """300 events at once to 1,000 clients: deliveries per second."""
    clients, count = run.size(1000, 2), run.size(300, 10)
    kinds = ("wampush", "floor", "floor-each")
    outcomes = _rounds(run, kinds, clients, Pushes(count, 0, EVENT_BYTES))
    speeds = {
        kind: [clients * count / each.received["span_s"] / 1e6 for each in outcomes[kind]]
        for kind in kinds
    }
    faults = remark(*(each.faults for each in outcomes["wampush"]))
    server = speeds["wampush"]
    what = "million deliveries/s"
    return [
        Row("burst", f"{what}, floor: joined", server, speeds["floor"], faults),
        Row("burst", f"{what}, floor: one by one", server, speeds["floor-each"], faults),
    ]


def latency(run: Run) -> list[Row]:
    """100 events per second to one client for 5 seconds: latency."""
    count = run.size(500, 5)
    outcomes = _rounds(run, ("wampush", "floor"), 1, Pushes(count, 100, EVENT_BYTES))
    return _latencies("latency", outcomes["wampush"], outcomes["floor"])


def small(run: Run) -> list[Row]:
    """100 events per second to 1, 10 and 50 clients: CPU per push and per delivery."""
    pushes = Pushes(run.size(500, 5), 100, EVENT_BYTES)
    outcomes: dict[tuple[str, int], list[Outcome]] = {}
    for _ in range(run.rounds):
        for kind in ("wampush", "floor"):
            with run.server(kind) as running:
                for clients in SMALL:
                    outcome = publish(run, running, clients, pushes)
                    outcomes.setdefault((kind, clients), []).append(outcome)
    rows = []
    for clients in SMALL:
        server, floor = outcomes["wampush", clients], outcomes["floor", clients]
        figures = {"push": pushes.count, "delivery": pushes.count * clients}
        rows += [
            Row(
                "small",
                f"{clients} client(s), CPU per {what}, us",
                [each.cpu / times * 1e6 for each in server],
                [each.cpu / times * 1e6 for each in floor],
                remark(*(each.faults for each in server)),
            )
            for what, times in figures.items()
            if clients > 1 or what == "push"
        ]
    return rows
