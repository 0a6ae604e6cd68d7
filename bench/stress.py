"""``python -m bench.stress``: random clients whose observations must keep an invariant.

Clients subscribe, unsubscribe, publish, stall and die at random, while a backend pushes bursts of
small and large events to a server with short queues. The invariant is in ``bench.stress_client``.
The seed is printed; it determines what happens, but not when.

Owns: the run. Must not import: wampush.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import zmq
import zmq.asyncio

from bench.core_waits import CoreWaits
from bench.native import BenchError
from bench.processes import Server, cores, wampush
from bench.stress_client import Phase, Stream, StressClient

QUEUE_BYTES = 262_144
PUSH_TOPICS = tuple(f"push-{number}" for number in range(12))
CHAT_TOPICS = tuple(f"chat-{number}" for number in range(4))
TOPICS = PUSH_TOPICS + CHAT_TOPICS
BACKEND = "backend"
_MOST_SHOWN = 20
_CATCH_UP_SECONDS = 30.0
#: Seconds that the clients may wait for a core within the last one, and still count as readers: a
#: burst is larger than a queue, and takes no longer.
_MOST_WAITED = 0.05


@dataclass(slots=True)
class Stress:
    """One run.

    :param server: the daemon under stress.
    :param seconds: how long it runs.
    :param clients: how many at the same time.
    :param chance: makes the random decisions.
    """

    server: Server
    seconds: float
    clients: int
    chance: random.Random
    sent: Counter[Stream] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    living: dict[int, StressClient] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    pushed: int = 0
    waits: CoreWaits = field(default_factory=CoreWaits)

    async def run(self) -> None:
        """Run clients and backend, then compare what was sent and seen."""
        deadline = time.monotonic() + self.seconds
        watching = asyncio.create_task(self.waits.watch())
        pushing = asyncio.create_task(self._push(deadline))
        lives = [asyncio.create_task(self._lives(each, deadline)) for each in range(self.clients)]
        await pushing
        await asyncio.gather(*lives)
        await self._compare()
        watching.cancel()
        for client in self.living.values():
            client.dying = True
            client.die(self.chance)
        await asyncio.to_thread(self.server.settle)
        health = await asyncio.to_thread(self.server.health)
        for name in ("sessions", "topics", "connections"):
            if health[name]:
                self.breaches.append(f"{health[name]} {name} left after all clients are gone")
        for reason, count in health["ends"].items():
            self.counts[f"ended by the server as {reason}"] = count

    async def _push(self, deadline: float) -> None:
        context = zmq.asyncio.Context()
        push = context.socket(zmq.PUSH)
        push.connect(f"tcp://127.0.0.1:{self.server.feed}")
        chance = self.chance
        while time.monotonic() < deadline:
            burst = chance.choice((1, 1, 2, 5, 20, 100))
            for _ in range(burst):
                await push.send(self._next_push())
            await asyncio.sleep(burst / 300)
        push.close()
        context.term()

    def _next_push(self) -> bytes:
        topic = self.chance.choice(PUSH_TOPICS)
        large = self.chance.random() < 0.1
        size = self.chance.randrange(8000, 60_000) if large else self.chance.randrange(500)
        stream = (topic, BACKEND)
        event = {"category": topic, "from": BACKEND, "n": self.sent[stream], "g": self.pushed}
        self.sent[stream] += 1
        self.pushed += 1
        return orjson.dumps({**event, "p": "x" * size})

    async def _lives(self, number: int, deadline: float) -> None:
        """Run one client after another."""
        life = 0
        while time.monotonic() < deadline:
            client = StressClient(
                f"{number}.{life}", self.sent, self.breaches.append, self._could_read
            )
            life += 1
            try:
                await client.open(self.server.port, self.chance.choice((0, 4096, 65_536)))
            except (OSError, TimeoutError) as error:
                if not self._could_read():
                    # A server that is being replaced gives handshakes a second to be completed.
                    continue
                self.breaches.append(f"client {client.name}: cannot connect: {error!r}")
                return
            self.living[number] = client
            self.counts["lives"] += 1
            await self._live(client, deadline)
            self.counts["events seen"] += client.watch.seen
            if client.lost and not client.dying:
                self.counts["dropped as slow"] += 1
            if client.lost or client.dying:
                self.ended.add(client.name)
                del self.living[number]

    async def _live(self, client: StressClient, deadline: float) -> None:
        chance = self.chance
        everything = chance.random() < 0.2
        for topic in TOPICS if everything else chance.sample(TOPICS, chance.randrange(1, 7)):
            client.subscribe(topic)
        while not client.lost and time.monotonic() < deadline:
            await asyncio.sleep(chance.random() * 0.4)
            act = chance.random()
            topic = chance.choice(TOPICS)
            if act < 0.5:
                self._change(client, topic)
            elif act < 0.88:
                client.publish(chance.choice(CHAT_TOPICS), "y" * chance.randrange(200))
                self.counts["published"] += 1
            elif act < 0.97:
                left = max(0.1, deadline - time.monotonic())
                await client.stall(min(left, chance.random() ** 2 * 8))
                self.counts["stalls"] += 1
            elif not client.lost:
                client.die(chance)
                self.counts["deaths"] += 1
                return

    def _change(self, client: StressClient, topic: str) -> None:
        phase = client.watch.phase(topic)
        if phase is Phase.OFF:
            client.subscribe(topic)
            self.counts["subscribed"] += 1
        elif phase is Phase.ON:
            client.unsubscribe(topic)
            self.counts["unsubscribed"] += 1

    async def _compare(self) -> None:
        """Check that every client that is still connected receives everything sent before."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        lacking: list[str] = []
        while time.monotonic() < deadline:
            lacking = [
                f"client {client.name} lacks {what}"
                for client in self.living.values()
                if not client.lost
                for what in client.watch.behind(self.ended | self._lost())
            ]
            if not lacking:
                break
            await asyncio.sleep(0.1)
        self.breaches += lacking

    def _could_read(self) -> bool:
        """Return whether the clients were not kept from reading by other work on the machine."""
        if self.waits.lately() <= _MOST_WAITED:
            return True
        self.counts["ends while they waited for a core"] += 1
        return False

    def _lost(self) -> set[str]:
        return {client.name for client in self.living.values() if client.lost}


def report(run: Stress, more: str = "") -> int:
    """Print what happened and every breach; return the number of breaches.

    :param more: follows the counts.
    """
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(run.counts.items()))
    print(f"pushes {run.pushed:,}, {counts}{more}")
    for breach in run.breaches[:_MOST_SHOWN]:
        print(f"BREACH {breach}")
    print(f"{len(run.breaches)} breaches")
    return len(run.breaches)


def exit_status(run: Callable[[int], int], seed: int | None) -> int:
    """Run on the core of clients, and return the exit status.

    :param run: takes a seed, and returns the number of breaches.
    :param seed: of an earlier run; None for another one.
    """
    os.sched_setaffinity(0, {cores()[1]})
    try:
        return 1 if run(secrets.randbelow(2**32) if seed is None else seed) else 0
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def stress(seconds: float, clients: int, seed: int) -> int:
    """Run, print what happened and every breach, and return the number of breaches."""
    print(f"stress: {clients} clients for {seconds:g} s, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="wampush-stress-") as name:
        folder = Path(name)
        config = folder / "wampush.toml"
        config.write_text(
            f"[clients]\nqueue_bytes = {QUEUE_BYTES}\n"
            f"[pushes]\nmax_message_bytes = {QUEUE_BYTES // 4}\n"
        )
        with wampush(folder, http=True, config=config) as server:
            run = Stress(server, seconds, clients, random.Random(seed))
            asyncio.run(run.run())
            if server.complaints() and server.log is not None:
                run.breaches.append("tracebacks in the server's log:\n" + server.log.read_text())
    return report(run)


def main() -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.stress", description=stress.__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None, help="a printed seed, to repeat a run")
    arguments = parser.parse_args()
    return exit_status(
        lambda seed: stress(arguments.seconds, arguments.clients, seed), arguments.seed
    )


if __name__ == "__main__":
    raise SystemExit(main())
