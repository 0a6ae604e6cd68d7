"""``python -m bench [SCENARIO]...``: measure, and print one table.

Owns: the command line and the order of the scenarios. Must not import: wampush.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import (
    catch_up,
    closings,
    collector,
    connections,
    crowded,
    durable,
    encrypted,
    event_source,
    fairness,
    fanout,
    history,
    kills,
    nodes,
    nodes_faults,
    nodes_path,
    pressure,
    push_path,
    readers,
    send_threads,
    state,
    table,
    upgrades,
)
from bench.faults.faults import FAULTS
from bench.native import BenchError, build
from bench.processes import active_code, cores
from bench.run import Run

SCENARIOS: dict[str, Callable[[Run], Iterable[table.Row]]] = {
    "paced": fanout.paced,
    "burst": fanout.burst,
    "latency": fanout.latency,
    "small": fanout.small,
    "threads": send_threads.threads,
    "connects": connections.connects,
    "stalled": pressure.stalled,
    "stalled-catch-up": catch_up.stalled_catch_up,
    "pressure": pressure.pressure,
    "churn": connections.churn,
    "gc": collector.gc,
    "tls": encrypted.tls,
    "fairness": fairness.fairness,
    "readers": readers.readers,
    "closing": closings.closing,
    "crowded": crowded.crowded,
    "push-path": push_path.push_path,
    "durable": durable.durable,
    "kills": kills.kills,
    "history": history.history,
    "recovery": history.recovery,
    "state": state.state,
    "nodes": nodes.nodes,
    "nodes-path": nodes_path.nodes_path,
    "nodes-faults": nodes_faults.nodes_faults,
    "event-source": event_source.event_source,
    "upgrade": upgrades.upgrade,
    "upgrade-direct": upgrades.upgrade_direct,
}
#: They count faults and measure no time, and take minutes or need Chromium.
ON_REQUEST = frozenset(("kills", "event-source", "upgrade", "upgrade-direct", "nodes-faults"))


def _arguments() -> argparse.Namespace:
    listed = "\n".join(
        f"  {name:16} {(function.__doc__ or '').splitlines()[0]}"
        for name, function in SCENARIOS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure wampush. Each figure is shown with a floor, measured in the same run.",
        epilog=f"scenarios:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help=f"by default all of them but {' and '.join(sorted(ON_REQUEST))}",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        help="repetitions of all scenarios but pressure and churn; medians are shown",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=list(FAULTS),
        metavar="FAULT",
        help=f"of nodes-faults; all by default; may be repeated: {', '.join(FAULTS)}",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="factor for all sizes")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"unknown scenario {unknown[0]!r}; choose from {', '.join(SCENARIOS)}")
    if arguments.fault and "nodes-faults" not in arguments.scenarios:
        parser.error("--fault is an option of the scenario nodes-faults")
    if arguments.rounds < 1 or not 0 < arguments.scale <= 10:
        parser.error("--rounds must be 1 or more, and --scale above 0 and at most 10")
    return arguments


def main() -> int:
    """Run the chosen scenarios and return the exit status."""
    arguments = _arguments()
    server, load = cores()
    os.sched_setaffinity(0, {load})
    try:
        programs = build()
        with tempfile.TemporaryDirectory(prefix="wampush-bench-") as folder:
            run = Run(programs, Path(folder), arguments.scale, arguments.rounds, arguments.fault)
            print(f"server on core {server}, load and publisher on core {load}", end="")
            print("" if server != load else ": only one core, so the figures mean little", end="")
            print(f"; {arguments.rounds} rounds, scale {arguments.scale:g}")
            print(f"speedups: {active_code()}\n\n{table.head()}")
            usual = [name for name in SCENARIOS if name not in ON_REQUEST]
            for name in arguments.scenarios or usual:
                begun = time.monotonic()
                for row in SCENARIOS[name](run):
                    print(table.line(row.cells()), flush=True)
                took = time.monotonic() - begun
                print(f"{name}: {took:.0f} s", file=sys.stderr, flush=True)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
