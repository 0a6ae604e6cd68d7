"""Scenario of several nodes: nodes.

Owns: two nodes and their Redis, and the figures of what goes through it. Must not import: other
scenarios.

Redis is Debian's redis-server without persistence, on the core of the first node. The second node
shares the other core with the load generator and the publisher, as far as the machine has only two.

The floor is two bare programs in place of the nodes, over the same Redis. How long the nodes wait
for their cores is shown: with any other program on such a core, each event that meets it waits for
the end of that program's slice, two or three milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from bench.native import BenchError
from bench.peer import frame, open_session
from bench.processes import (
    START_SECONDS,
    Load,
    Publisher,
    Server,
    cores,
    floor,
    free_ports,
    wampush,
)
from bench.redis_server import Redis
from bench.run import Pushes, Run, publish, remark
from bench.table import Row

EVENT_BYTES: Final = 200
#: What the first figure is measured at, in events per second.
_RATE: Final = 1000
_SUBSCRIBERS: Final = 10
_TOPICS_OF_A_CLIENT: Final = 1000


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The nodes and what joins them."""

    redis: Redis
    first: Server
    second: Server

    def cpu(self) -> list[float]:
        """Return the seconds of CPU that each of them has used."""
        return [self.first.cpu(), self.second.cpu(), self.redis.cpu()]


@contextlib.contextmanager
def _running(run: Run) -> Iterator[_Nodes]:
    """Run a Redis and two nodes."""
    with free_ports(1) as (port,), contextlib.ExitStack() as stack:
        redis = Redis(run.folder, port)
        redis.start()
        stack.callback(redis.stop)
        config = run.folder / f"nodes-{port}.toml"
        config.write_text(
            f'[backplane]\nurl = "redis://127.0.0.1:{port}"\n'
            f"[limits]\nsubscriptions_per_session = {2 * _TOPICS_OF_A_CLIENT}\n",
            encoding="utf-8",
        )
        first = stack.enter_context(wampush(run.folder, http=True, config=config))
        other = wampush(run.folder, http=True, config=config, core=cores()[1])
        second = stack.enter_context(other)
        for each in (first, second):
            _until_joined(each)
        yield _Nodes(redis, first, second)


@contextlib.contextmanager
def _bare(run: Run, redis: Redis) -> Iterator[_Nodes]:
    """Run the floor of two nodes, over their Redis; it ends when that does."""
    with contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(floor(run.programs, redis=redis.port, core=core))
            for core in cores()
        )
        yield _Nodes(redis, first, second)


def _until_joined(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.health()["backplane"]["state"] != "joined":
        if time.monotonic() > deadline:
            raise BenchError("a node does not join the other one")
        time.sleep(0.01)


def nodes(run: Run) -> Iterator[Row]:
    """Two nodes over a Redis: latency, cost of a delivery, events per second, resubscribing."""
    with _running(run) as joined:
        with _bare(run, joined.redis) as bare:
            yield from _latency(run, joined, bare)
            yield _fan_out(run, joined)
            yield from _throughput(run, joined, bare)
        yield _again(run, joined)


@dataclass(frozen=True, slots=True)
class _Latency:
    """How long events at a steady rate took from node to node.

    :param quantiles: p50, p99, and the p99 of the median second, in milliseconds.
    :param waited: for how long each node waited for its core, as a part of the time.
    """

    quantiles: tuple[float, float, float]
    waited: tuple[float, float]
    faults: str


def _latency(run: Run, joined: _Nodes, bare: _Nodes) -> Iterator[Row]:
    nodes = [_latency_of(run, joined)]
    floors = [_latency_of(run, bare)]
    for _ in range(1, run.rounds):
        nodes.append(_latency_of(run, joined))
        floors.append(_latency_of(run, bare))
    first, second = (sum(each.waited[node] for each in nodes) / len(nodes) for node in range(2))
    waits = f"waiting for a core: first node {first:.1%}, second node {second:.1%} of the time"
    about = remark(*(each.faults for each in (*nodes, *floors)))
    for index, name in enumerate(("p50", "p99", "p99 of the median second")):
        yield Row(
            "nodes",
            f"push to client of the other node at {_RATE}/s, {name}, ms",
            [each.quantiles[index] for each in nodes],
            [each.quantiles[index] for each in floors],
            about if index else remark(about, waits),
        )


def _latency_of(run: Run, joined: _Nodes) -> _Latency:
    count = run.size(5000, 20)
    _until_nothing_is_followed(joined)
    with Load(run.programs, joined.second, 1, "-e", str(count)) as load:
        load.ready(1)
        _until_followed(joined.second, 1)
        with Publisher(joined.first, count, _RATE, EVENT_BYTES) as publisher:
            before, begun = (joined.first.waited(), joined.second.waited()), time.monotonic()
            publisher.go()
            for _ in range(count // _RATE - 1):
                time.sleep(1)
                load.begin_part(0)
            received = load.wait()
            seconds = time.monotonic() - begun
            after = joined.first.waited(), joined.second.waited()
    whole = received["apart"][0]["median_p99_us"]
    p50, p99, median = (each / 1e3 for each in (received["p50_us"], received["p99_us"], whole))
    waited = (after[0] - before[0]) / seconds, (after[1] - before[1]) / seconds
    return _Latency((p50, p99, median), waited, _missing(received["events"], count))


def _fan_out(run: Run, joined: _Nodes) -> Row:
    """Measure what a delivery costs the node of the clients; floor: a single node."""
    clients, count = run.size(1000, 2), run.size(100, 5)
    values: list[float] = []
    alone: list[float] = []
    faults = []
    for _ in range(run.rounds):
        _until_nothing_is_followed(joined)
        with _Followed(run, joined.first, clients, count) as load:
            _until_followed(joined.first, 1)
            joined.first.settle()
            with Publisher(joined.second, count, 20, EVENT_BYTES) as publisher:
                before = joined.first.cpu()
                publisher.go()
                received = load.wait()
                values.append((joined.first.cpu() - before) / (clients * count) * 1e6)
            faults.append(_missing(received["events"], clients * count))
        with run.server("wampush") as server:
            outcome = publish(run, server, clients, Pushes(count, 20, EVENT_BYTES))
            alone.append(outcome.cpu / (clients * count) * 1e6)
    what = f"CPU per delivery to {clients} clients, us; floor: a single node"
    return Row("nodes", what, values, alone, remark(*faults))


@dataclass(frozen=True, slots=True)
class _Throughput:
    """What happened while as much was published at both nodes as they took.

    :param rate: events per second.
    :param shares: of a core, for the nodes and Redis.
    """

    rate: float
    shares: tuple[float, ...]
    faults: str

    @property
    def cost(self) -> float:
        """The microseconds of CPU of the nodes and Redis per event."""
        return sum(self.shares) / self.rate * 1e6


def _throughput(run: Run, joined: _Nodes, bare: _Nodes) -> Iterator[Row]:
    """Publish at both nodes as fast as they take it."""
    nodes: list[_Throughput] = []
    floors: list[_Throughput] = []
    for _ in range(run.rounds):
        nodes.append(_throughput_of(run, joined))
        floors.append(_throughput_of(run, bare))
    means = [sum(each) / len(nodes) for each in zip(*(each.shares for each in nodes), strict=True)]
    names = ("first node", "second node", "Redis")
    busy = ", ".join(f"{name} {mean:.0%}" for name, mean in zip(names, means, strict=True))
    about = remark(*(each.faults for each in (*nodes, *floors)), f"of a core: {busy}")
    what = f"events/s in through one Redis to 2 nodes, {_SUBSCRIBERS} subscribers each"
    rates = [each.rate for each in nodes], [each.rate for each in floors]
    yield Row("nodes", what, *rates, about, digits=0)
    costs = [each.cost for each in nodes], [each.cost for each in floors]
    yield Row("nodes", "CPU of both nodes and Redis per event, us", *costs, "")


def _throughput_of(run: Run, joined: _Nodes) -> _Throughput:
    """Publish once; both publishers and load generators share the second core with a node."""
    count = run.size(50_000, 50)
    _until_nothing_is_followed(joined)
    with contextlib.ExitStack() as stack:
        sides = (joined.first, joined.second)
        loads = [
            stack.enter_context(_Followed(run, each, _SUBSCRIBERS, 2 * count)) for each in sides
        ]
        _until_followed(joined.second, 1)
        pushing = [stack.enter_context(Publisher(each, count, 0, EVENT_BYTES)) for each in sides]
        used, begun = joined.cpu(), time.monotonic()
        for each in pushing:
            each.go()
        received = [each.wait() for each in loads]
        seconds = time.monotonic() - begun
        now = joined.cpu()
    return _Throughput(
        2 * count / seconds,
        tuple((after - before) / seconds for before, after in zip(used, now, strict=True)),
        remark(*(_missing(each["events"], 2 * count * _SUBSCRIBERS) for each in received)),
    )


def _again(run: Run, joined: _Nodes) -> Row:
    """Restart Redis under a node with many topics."""
    topics = run.size(50_000, 100)
    values: list[float] = []
    for _ in range(run.rounds):
        _until_nothing_is_followed(joined)
        with contextlib.ExitStack() as stack:
            for begin in range(0, topics, _TOPICS_OF_A_CLIENT):
                session = stack.enter_context(open_session(joined.second.port))
                names = [f"topic{number}" for number in range(begin, begin + _TOPICS_OF_A_CLIENT)]
                session.sendall(b"".join(frame(json.dumps([5, name]).encode()) for name in names))
            _until_followed(joined.second, topics)
            known = joined.redis.channels()
            joined.redis.stop()
            joined.redis.start()
            begun = time.monotonic()
            while joined.redis.channels() < known:
                if time.monotonic() > begun + START_SECONDS:
                    raise BenchError("not all topics were subscribed to again")
                time.sleep(0.002)
            values.append(time.monotonic() - begun)
    return Row("nodes", f"{topics} topics followed again after a restart, s", values, [])


class _Followed(Load):
    """Clients that are all open once it is entered."""

    def __init__(self, run: Run, server: Server, clients: int, count: int) -> None:
        super().__init__(run.programs, server, clients, "-e", str(count), seconds=90.0)
        self._clients = clients

    def __enter__(self) -> Self:
        self.ready(self._clients)
        return self


def _until_followed(server: Server, topics: int) -> None:
    """Wait until Redis knows the topics of a node; the floor always follows its one."""
    deadline = time.monotonic() + START_SECONDS
    while server.http and server.health()["backplane"]["topics"] < topics:
        if time.monotonic() > deadline:
            raise BenchError("a node does not follow its topics")
        time.sleep(0.01)
    time.sleep(0.2)


def _until_nothing_is_followed(joined: _Nodes) -> None:
    """Wait until nothing is left of the clients before."""
    deadline = time.monotonic() + START_SECONDS
    nodes = [each for each in (joined.first, joined.second) if each.http]
    while any(each.health()["backplane"]["topics"] for each in nodes):
        if time.monotonic() > deadline:
            raise BenchError("a node still follows topics of clients that have gone")
        time.sleep(0.01)


def _missing(received: int, expected: int) -> str:
    return f"{expected - received:,} of {expected:,} events missing" if received < expected else ""
