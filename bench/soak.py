"""``python -m bench.soak``: random clients for an hour, while the server is upgraded and reloaded.

Clients and backend are those of ``bench.stress``, with the same invariant: they subscribe, stall
and die at random. Meanwhile the node is replaced again and again: by an upgrade, by a reload with
other settings, and not at all by a reload without. In the end nothing may be left of it: counters
add up, and memory, descriptors and timers are what they were.

Owns: the replacements, and what must be the same in the end. Must not import: wampush.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final

from bench.native import BenchError
from bench.peer import frame, open_session, receive
from bench.processes import Server
from bench.stress import QUEUE_BYTES, Stress, exit_status, report
from bench.supervised import Supervised, supervised

#: Counts the timers of the reactor, because nothing else can see them.
_APP: Final = """\
from twisted.internet import reactor

from wampush.apps import App, Context

app = App()


@app.procedure("soak.timers")
def timers(ctx: Context) -> int:
    return len(reactor.getDelayedCalls())
"""
_KINDS: Final = ("upgrade", "reload with new settings", "reload without")
#: Bytes that may wait for a client. A node that starts takes the cores of the clients for a second,
#: in which they read little; those that stop reading on purpose fall behind by more.
_QUEUE_BYTES: Final = 8 * QUEUE_BYTES
#: Seconds between two lines of the report.
_LINE_SECONDS: Final = 60.0
#: Descriptors and timers by which two idle moments may differ, such as those of a scrape.
_FEW: Final = 2
_MIB: Final = 2**20
#: Memory that the parent, or a node, may have more in the end: that of the allocator.
_MOST_GROWN: Final = 8 * _MIB


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes have at one moment.

    :param memory: resident bytes of the node.
    :param descriptors: of the node.
    :param parent_memory: resident bytes of the parent.
    :param parent_descriptors: of the parent.
    """

    memory: int
    descriptors: int
    parent_memory: int
    parent_descriptors: int

    def text(self) -> str:
        """Return it in words."""
        return (
            f"node {self.memory / _MIB:.1f} MiB, {self.descriptors} descriptors; "
            f"parent {self.parent_memory / _MIB:.1f} MiB, {self.parent_descriptors} descriptors"
        )


def settings(number: int) -> str:
    """Return the configuration.

    :param number: another one is another configuration.
    """
    return (
        f'apps = ["soak_app:app"]\n[clients]\nqueue_bytes = {_QUEUE_BYTES}\n'
        f"[pushes]\nmax_message_bytes = {QUEUE_BYTES // 4}\n"
        f"[limits]\ntopics = {1000 + number}\nconnections_per_address = 0\n[process]\ndrain = 1\n"
    )


@dataclass(slots=True)
class Soak(Stress):
    """One run.

    :param running: the server.
    :param config: its configuration file.
    :param pause: seconds between two replacements.
    """

    running: Supervised = field(kw_only=True)
    config: Path = field(kw_only=True)
    pause: float = field(kw_only=True)
    samples: list[Sample] = field(default_factory=list)
    slowest: float = 0.0
    replacing: asyncio.Task[None] | None = None

    async def soak(self) -> None:
        """Run, and compare the end with the beginning."""
        before = await asyncio.to_thread(self._idle)
        timers = await asyncio.to_thread(_timers, self.server)
        print(f"before: {before.text()}, {timers} timers", flush=True)
        self.replacing = asyncio.create_task(self._replace(time.monotonic() + self.seconds))
        await self.run()
        after = await asyncio.to_thread(self._idle)
        timers_after = await asyncio.to_thread(_timers, self.server)
        print(f"after: {after.text()}, {timers_after} timers", flush=True)
        self._judge(before, after)
        self._expect(timers_after <= timers + _FEW, f"{timers_after - timers} timers left")
        await asyncio.to_thread(self._balance)

    async def _compare(self) -> None:
        # The last replacement may still be under way.
        if self.replacing is not None:
            await self.replacing
        await Stress._compare(self)

    async def _replace(self, deadline: float) -> None:
        """Replace the node again and again."""
        number, printed = 0, time.monotonic()
        while time.monotonic() + self.pause < deadline:
            await asyncio.sleep(self.pause)
            kind = _KINDS[number % len(_KINDS)]
            number += 1
            if kind == _KINDS[1]:
                self.config.write_text(settings(number))
            try:
                took = await asyncio.to_thread(self.running.replace, kind.partition(" ")[0])
            except BenchError as error:
                self.breaches.append(str(error))
                return
            self._expect(bool(took) == (kind != _KINDS[2]), f"{kind}: replaced after {took:g} s")
            self.slowest = max(self.slowest, took)
            self.counts[kind] += 1
            self.samples.append(self._sample())
            if time.monotonic() >= printed + min(_LINE_SECONDS, self.seconds / 4):
                printed = time.monotonic()
                print(f"{number} replacements, {self.pushed:,} pushes: {self.samples[-1].text()}")

    def _idle(self) -> Sample:
        self.running.wait_until_alone()
        self.server.settle()
        return self._sample()

    def _sample(self) -> Sample:
        parent = replace(self.server, pid=self.running.parent)
        return Sample(
            self.server.memory(),
            self.server.descriptors(),
            parent.memory(),
            parent.descriptors(),
        )

    def _judge(self, before: Sample, after: Sample) -> None:
        """Compare descriptors and memory."""
        for who, more in (
            ("the node", after.descriptors - before.descriptors),
            ("the parent", after.parent_descriptors - before.parent_descriptors),
        ):
            self._expect(more <= _FEW, f"{who} has {more} descriptors more")
        grown = after.parent_memory - before.parent_memory
        self._expect(grown <= _MOST_GROWN, f"the parent has {grown / _MIB:.1f} MiB more")
        part = len(self.samples) // 4
        if part:
            early = median(each.memory for each in self.samples[part : 2 * part])
            late = median(each.memory for each in self.samples[-part:])
            more_mib = (late - early) / _MIB
            self._expect(
                late - early <= _MOST_GROWN,
                f"nodes of the last quarter have {more_mib:.1f} MiB more than those of the second",
            )

    def _balance(self) -> None:
        """Compare the counters of the last node, which go on from those before it."""
        self.server.settle()
        total = self.server.total
        pushed = total('wampush_inputs_accepted_total{source="zeromq"}')
        self._expect(pushed == self.pushed, f"{self.pushed} pushes sent, {pushed:.0f} accepted")
        opened = total("wampush_connections_opened_total")
        ended = total("wampush_connections_ended_total")
        self._expect(opened == ended, f"{opened:.0f} connections opened, {ended:.0f} ended")
        for kind in ("upgrade", "reload"):
            done = sum(self.counts[each] for each in _KINDS if each.startswith(kind))
            name = f'wampush_upgrades_total{{kind="{kind}",outcome="done"}}'
            self._expect(total(name) == done, f"{name} is {total(name):.0f}")

    def _expect(self, is_right: bool, what: str) -> None:
        if not is_right:
            self.breaches.append(what)


def _timers(server: Server) -> int:
    """Return how many timers the reactor of the node has."""
    with closing(open_session(server.port)) as session:
        session.sendall(frame(json.dumps([2, "1", "soak.timers"]).encode()))
        answer = json.loads(receive(session))
    if answer[:2] != [3, "1"]:
        raise BenchError(f"the timers cannot be counted: {answer}")
    return int(answer[2])


def soak(seconds: float, clients: int, pause: float, seed: int) -> int:
    """Run, print what happened and every breach, and return the number of breaches."""
    print(f"soak: {clients} clients for {seconds:g} s, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="wampush-soak-") as name:
        folder = Path(name)
        (folder / "soak_app.py").write_text(_APP)
        with supervised(folder, settings(0)) as running:
            run = Soak(
                running.server,
                seconds,
                clients,
                random.Random(seed),
                running=running,
                config=folder / "wampush.toml",
                pause=pause,
            )
            asyncio.run(run.soak())
            if running.server.complaints() and running.server.log is not None:
                run.breaches.append("tracebacks in the log:\n" + running.server.log.read_text())
    return report(run, f"; the slowest replacement took {run.slowest:.1f} s")


def main() -> int:
    """Parse the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=soak.__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--pause", type=float, default=15.0, help="seconds between replacements")
    parser.add_argument("--seed", type=int, default=None, help="a printed seed, to repeat a run")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    return exit_status(
        lambda seed: soak(seconds, arguments.clients, arguments.pause, seed), arguments.seed
    )


if __name__ == "__main__":
    raise SystemExit(main())
