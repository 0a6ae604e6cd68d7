"""Nodes over a real Sentinel: topics with history when a replica takes over from the master."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed

from tests.edges.backplane.redis_world import thread_pool
from tests.edges.backplane.test_redis_bus import begins_failover
from tests.simulation.client import SimulatedClient
from tests.simulation.truth import Taken, Truth
from tests.support.redis_server import RedisServer, running_redis, running_sentinel
from tests.support.waiting import PATIENCE
from wampush.broker.backplane.contract import Accepted
from wampush.broker.ledger import Source
from wampush.broker.publication import EVERYONE, Publication
from wampush.config.load import load
from wampush.edges.auth.authenticator import Authenticator
from wampush.errors import PublicationRefused
from wampush.node.core import make_core, make_requests
from wampush.node.sources import join_over_redis

reactor: Any = installed
TOPIC = "log"


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    with thread_pool():
        yield


class Client(SimulatedClient):
    """Notes what comes, and checks it."""

    got: list[int]

    def _on_event(
        self, topic: str, payload: dict[str, Any], epoch: str = "", offset: int = 0
    ) -> None:
        self.got.append(payload["n"])
        super()._on_event(topic, payload, epoch, offset)


class Node:
    """A node in the reactor of the tests, with a client that checks what it gets."""

    def __init__(self, sentinel: int, truth: Truth) -> None:
        settings = load(
            None,
            {},
            {
                "backplane.url": "redis://mymaster",
                "backplane.sentinels": [f"127.0.0.1:{sentinel}"],
                "topics": [{"match": TOPIC, "history": 100}],
            },
        ).settings
        self._truth = truth
        join = partial(join_over_redis, settings, reactor)
        self._core = make_core(settings, reactor, now=time.time, elapsed=reactor.seconds, join=join)
        authenticator = Authenticator(settings, reactor, time.time)
        _, requests = make_requests(self._core, {}, (), authenticator)
        assert self._core.backplane is not None
        self._backplane = self._core.backplane
        self._backplane.start()
        self._backplane.nodes.start()
        self.client = Client(truth, requests, self._core.backpressure, "", reactor.seconds, {})
        self.got: list[int] = []
        self.client.got = self.got
        self.outcomes: list[Accepted] = []

    @property
    def is_joined(self) -> bool:
        return self._backplane.bus.is_joined

    @property
    def is_live(self) -> bool:
        watch = self.client.watches.get(TOPIC)
        return watch is not None and watch.is_answered and watch.known is not None

    @property
    def is_told(self) -> bool:
        return self.client.watches[TOPIC].is_told

    def push(self, number: int) -> None:
        publication = Publication(TOPIC, b'{"n":%d}' % number)
        self._core.broker.push(Source.HTTP, publication, partial(self._on_done, number))
        self._core.broker.fanout.flush()

    def _on_done(self, number: int, outcome: int | Accepted | PublicationRefused) -> None:
        assert isinstance(outcome, Accepted), outcome
        ((_, position),) = outcome.positions
        self._truth.add(TOPIC, Taken(position, number, EVERYONE))
        self.outcomes.append(outcome)

    def stop(self) -> None:
        self.client.lose()
        self._core.broker.stop()
        self._core.presence.stop()
        self._backplane.nodes.stop()
        self._backplane.stop()
        stopped: list[object] = []
        self._backplane.bus.stop().addCallback(stopped.append)  # type: ignore[attr-defined]
        wait_until(lambda: stopped)


def wait_until(holds: Callable[[], object], nodes: Sequence[Node] = ()) -> None:
    """Run the reactor until something holds.

    :param nodes: what has become of their pushes is shown if it does not.
    """
    deadline = time.monotonic() + PATIENCE
    while not holds():
        reached = "\n".join(f"{each.got} {each.outcomes}" for each in nodes)
        assert time.monotonic() < deadline, reached
        reactor.iterate(0.01)


def wait_for_replica(master: RedisServer) -> None:
    """Wait until a replica has everything."""
    with master.client() as client:
        # WAIT waits for what its own client has written before.
        client.do("SET", "written", "")
        assert client.do("WAIT", 1, 5000) == 1


def isolate(master: RedisServer, replica: RedisServer) -> None:
    """Have the replica get nothing more."""
    with master.client() as client:
        client.do("CONFIG", "SET", "requirepass", "changed")
        client.do("CLIENT", "KILL", "TYPE", "replica")
    with replica.client() as client:
        wait_until(lambda: "master_link_status:down" in str(client.do("INFO", "replication")))


@pytest.mark.parametrize("lacks_some", [False, True])
def test_after_a_failover_nothing_is_missing_without_notice(
    tmp_path: Path, lacks_some: bool
) -> None:
    folders = [tmp_path / name for name in ("master", "replica", "sentinel")]
    for each in folders:
        each.mkdir()
    truth = Truth()
    with (
        running_redis(folders[0], "--repl-diskless-sync-delay", "0") as master,
        running_redis(folders[1], "--replicaof", "127.0.0.1", str(master.port)) as replica,
        running_sentinel(folders[2], master) as sentinel,
    ):
        nodes = [Node(sentinel.port, truth) for _ in range(2)]
        first, second = nodes
        wait_until(lambda: first.is_joined and second.is_joined)
        for node in nodes:
            node.client.subscribe(TOPIC)
        wait_until(lambda: first.is_live and second.is_live)

        def push(numbers: range) -> None:
            """Push, and wait for the answers; what has none is pushed again to the next master."""
            for number in numbers:
                nodes[number % 2].push(number)
            newest = numbers[-1]
            wait_until(lambda: len(first.got) == len(second.got) == newest, nodes)
            wait_until(lambda: len(first.outcomes) + len(second.outcomes) == newest, nodes)

        push(range(1, 6))
        wait_for_replica(master)
        if lacks_some:
            isolate(master, replica)
            push(range(6, 9))
            truth.cut(TOPIC, 5)
        # What is under way when the master ends is kept until there is another one.
        wait_until(lambda: begins_failover(sentinel))
        master.stop()
        for number in range(9, 13):
            nodes[number % 2].push(number)
        wait_until(lambda: len(first.outcomes) + len(second.outcomes) == (12 if lacks_some else 9))
        expected = [1, 2, 3, 4, 5, *([6, 7, 8] if lacks_some else []), 9, 10, 11, 12]
        wait_until(lambda: sorted(first.got) == sorted(second.got) == expected, nodes)
        for node in nodes:
            if lacks_some:
                assert node.is_told
            node.client.check_end()
        for node in nodes:
            node.stop()
