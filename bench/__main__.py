"""``python -m bench [SCENARIO]...``: measure, and print one table.

Owns: the command line and the order of the scenarios. Must not import: wampush.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from bench import table
from bench.faults.faults import FAULTS
from bench.native import BenchError, build
from bench.processes import active_code, cores
from bench.run import Run

#: The module of each scenario. It has a function of the scenario's name.
SCENARIOS: Final[Mapping[str, str]] = {
    "paced": "fanout",
    "burst": "fanout",
    "latency": "fanout",
    "small": "fanout",
    "threads": "send_threads",
    "connects": "connections",
    "stalled": "pressure",
    "stalled-catch-up": "catch_up",
    "pressure": "pressure",
    "churn": "connections",
    "gc": "collector",
    "tls": "encrypted",
    "fairness": "fairness",
    "readers": "readers",
    "closing": "closings",
    "crowded": "crowded",
    "push-path": "push_path",
    "durable": "durable",
    "kills": "kills",
    "history": "history",
    "recovery": "history",
    "state": "state",
    "nodes": "nodes",
    "nodes-path": "nodes_path",
    "nodes-faults": "nodes_faults",
    "event-source": "event_source",
    "upgrade": "upgrades",
    "upgrade-direct": "upgrades",
}
#: They count faults and measure no time, and take minutes or need Chromium.
ON_REQUEST = frozenset(("kills", "event-source", "upgrade", "upgrade-direct", "nodes-faults"))


def function_of(name: str) -> Callable[[Run], Iterable[table.Row]]:
    """Return the function of a scenario; the modules of the others are not imported."""
    module = import_module(f"bench.{SCENARIOS[name]}")
    found: Callable[[Run], Iterable[table.Row]] = getattr(module, name.replace("-", "_"))
    return found


def _scenarios() -> str:
    """Return a line about each scenario."""
    return "\n".join(
        f"  {name:16} {(function_of(name).__doc__ or '').splitlines()[0]}" for name in SCENARIOS
    )


class _Help(argparse.Action):
    """Prints the help; only then, the modules of all scenarios are imported."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show this help message and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        parser.epilog = f"scenarios:\n{_scenarios()}"
        parser.print_help()
        parser.exit()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure wampush. Each figure is shown with a floor, measured in the same run.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action=_Help)
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
                for row in function_of(name)(run):
                    print(table.line(row.cells()), flush=True)
                took = time.monotonic() - begun
                print(f"{name}: {took:.0f} s", file=sys.stderr, flush=True)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
