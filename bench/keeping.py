"""Servers whose topics keep something, and many clients that arrive at once.

Owns: their settings, filling topics, the figures of an arrival. Must not import: scenarios.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import zmq

from bench.native import BenchError
from bench.peer import frame, open_session, receive
from bench.processes import Load, Server, wampush
from bench.run import Run
from bench.table import Row

#: Clients that are opening at once.
_AT_ONCE: Final = 500
_PATIENCE_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.002
_LINGER_MS: Final = 1000


def serving(run: Run, **topics: str) -> AbstractContextManager[Server]:
    """Run wampush with topics.

    :param topics: their options, as TOML.
    """
    path = run.folder / "topics.toml"
    entries = [f'[[topics]]\nmatch = "{name}"\n{options}\n' for name, options in topics.items()]
    path.write_text("".join(entries))
    return wampush(run.folder, config=path)


@contextmanager
def backend(server: Server) -> Iterator[Callable[[bytes], object]]:
    """Connect a backend, and hand over its function that pushes."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.setsockopt(zmq.LINGER, _LINGER_MS)
        push.connect(f"tcp://127.0.0.1:{server.feed}")
        yield push.send


def position(server: Server, topic: str, offset: int) -> dict[str, Any]:
    """Wait until a topic has had so many events, and return its position."""
    call = frame(json.dumps([2, "1", "wampush.history", topic, {"limit": 1}]).encode())
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with closing(open_session(server.port)) as session:
        while time.monotonic() < deadline:
            session.sendall(call)
            answer: dict[str, Any] = json.loads(receive(session))[2]
            if answer["offset"] >= offset:
                return answer
            time.sleep(_POLL_SECONDS)
    raise BenchError(f"{topic!r} did not get {offset} events in {_PATIENCE_SECONDS:.0f} s")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the arrival of many clients took.

    :param seconds: until the last one was open or, if it was to get events, had them.
    :param cpu: seconds of the server.
    :param memory: bytes by which the peak of its memory has grown.
    :param faults: what went wrong; "" for nothing.
    """

    seconds: float
    cpu: float
    memory: int
    faults: str


def arrive(
    run: Run, server: Server, clients: int, events: int = 0, options: Sequence[str] = ()
) -> Arrival:
    """Let clients connect and subscribe at once.

    :param events: that each of them is to get then.
    :param options: further ones of the load generator.
    """
    server.settle()
    server.forget_peak()
    before, used = server.memory("VmHWM"), server.cpu()
    options = ["-c", str(_AT_ONCE), *options, *(["-e", str(events)] if events else [])]
    with Load(run.programs, server, clients, *options) as load:
        result = load.ready(clients)
        seconds = float(result["seconds"])
        faults = ""
        if events:
            result = load.wait()
            seconds = float(result["seconds"])
            missing = clients * events - result["events"]
            if missing or result["gaps"] or result["disorder"]:
                faults = f"{missing:,} of {clients * events:,} events missing or in disorder"
        else:
            server.settle()
            load.finish()
        server.settle()
        cpu = server.cpu() - used
    return Arrival(seconds, cpu, server.memory("VmHWM") - before, faults)


def arrival_rows(
    scenario: str, what: str, measured: Sequence[Arrival], floor: Sequence[Arrival], remark: str
) -> list[Row]:
    """Return the figures of arrivals beside those without."""
    rows: list[tuple[str, Callable[[Arrival], float]]] = [
        ("s until all have it", lambda each: each.seconds),
        ("CPU, s", lambda each: each.cpu),
        ("growth of peak memory, MiB", lambda each: each.memory / 2**20),
    ]
    return [
        Row(scenario, f"{what}: {name}", list(map(get, measured)), list(map(get, floor)), remark)
        for name, get in rows
    ]
