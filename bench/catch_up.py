"""The scenario of slow clients that catch up from the history of their topic.

Owns: its sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.native import BenchError
from bench.processes import Publisher, Server, wampush
from bench.run import Outcome, Pushes, Run, publish, remark
from bench.table import Row

MIB = 2**20
EVENT_BYTES = 200
RATE = 200
_STALLED_SECONDS = 60.0
#: Events are published for as many seconds after that, while the clients catch up.
_AFTER_SECONDS = 10.0
#: Seconds of the runs for comparison, which have no stalled client.
_CALM_SECONDS = 15.0
_MOST_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class _Stall:
    """A run with clients that stop reading for a while.

    :param outcome: of all clients; latencies are those of the ones that always read.
    :param grown: peak memory in MiB, minus what it was before the first push.
    """

    outcome: Outcome
    grown: float


def _fill_history(server: Server, count: int) -> None:
    """Let the topic keep as many events as it can, so that its memory grows no more."""
    with Publisher(server, count, 0, EVENT_BYTES) as publisher:
        publisher.go()
        deadline = time.monotonic() + _MOST_SECONDS
        while not publisher.done():
            if time.monotonic() > deadline:
                raise BenchError("the history was not filled in time")
            time.sleep(0.05)
    server.settle()


def _config(run: Run, history: int) -> Path:
    path = run.folder / "catch-up.toml"
    path.write_text(
        # Clients that read nothing do not answer pings.
        f"[websocket]\nsilence_timeout = {_MOST_SECONDS}\n"
        f'[[topics]]\nmatch = "*"\nhistory = {history}\n'
    )
    return path


def _with_stalled(run: Run, clients: int, stalled: int, seconds: float) -> _Stall:
    count = round((seconds + _AFTER_SECONDS) * RATE)
    history = count + 1000
    with wampush(run.folder, config=_config(run, history)) as server:
        _fill_history(server, history)
        resident: list[int] = []

        def before() -> None:
            resident.append(server.memory())
            server.forget_peak()

        outcome = publish(
            run,
            server,
            clients,
            Pushes(count, RATE, EVENT_BYTES),
            stalled=stalled,
            stalled_for=seconds,
            seconds=_MOST_SECONDS,
            before=before,
        )
        return _Stall(outcome, (server.memory("VmHWM") - resident[0]) / MIB)


def _ms(outcomes: Sequence[Outcome], name: str) -> list[float]:
    return [each.received[name] / 1e3 for each in outcomes]


def _seconds(outcomes: Sequence[Outcome]) -> list[float]:
    return [each.received["catch_up_s"] for each in outcomes]


def stalled_catch_up(run: Run) -> list[Row]:
    """200 events per second to 1,000 clients of which 100 stop reading for 60 s.

    Their topic has a history, so they catch up. For comparison, the same with all of them reading,
    and with the floor, which has no history.
    """
    clients, stalled = run.size(1000, 6), run.size(100, 2)
    seconds = _STALLED_SECONDS * min(1.0, run.scale)
    pushes = Pushes(run.size(round(_CALM_SECONDS * RATE), 20), RATE, EVENT_BYTES)
    rounds = [_with_stalled(run, clients, stalled, seconds) for _ in range(run.rounds)]
    calm: list[Outcome] = []
    floors: list[Outcome] = []
    for _ in range(run.rounds):
        with wampush(run.folder, config=_config(run, pushes.count)) as server:
            calm.append(publish(run, server, clients, pushes, seconds=_MOST_SECONDS))
        with run.server("floor") as server:
            floors.append(publish(run, server, clients, pushes, seconds=_MOST_SECONDS))
    faults = remark(*(each.outcome.faults for each in rounds))
    outcomes = [each.outcome for each in rounds]
    p99, p99_calm = _ms(outcomes, "p99_us"), _ms(calm, "p99_us")
    p99_then = _ms(outcomes, "catch_up_p99_us")
    name = "stalled-catch-up"
    return [
        Row(name, "p99 of the others, ms", p99, _ms(floors, "p99_us"), faults),
        Row(name, "the same; floor: wampush, none stalled", p99, p99_calm, faults),
        Row(name, "the same, while the stalled catch up", p99_then, p99_calm, faults),
        Row(name, "seconds until all have caught up", _seconds(outcomes), [], digits=1),
        Row(name, "memory growth, peak, MiB", [each.grown for each in rounds], [], digits=1),
    ]
