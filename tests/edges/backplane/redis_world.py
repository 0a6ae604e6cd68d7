"""Links to a real Redis in the reactor of the tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from twisted.internet import reactor as installed
from twisted.python.threadpool import ThreadPool

from tests.support.redis_server import RedisServer
from tests.support.waiting import PATIENCE
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.ledger import Ledger
from wampush.config.checks.redis import REDIS_ADDRESS
from wampush.config.tables.backplane import BackplaneSettings
from wampush.edges.backplane.redis_bus import RedisBus

reactor: Any = installed
_numbers = count(1)


def _report(message: str, **fields: object) -> None:
    raise AssertionError(message.format(**fields))


def settings(url: str, **more: Any) -> BackplaneSettings:
    """Settings as the configuration would make them, with a prefix that no other test has."""
    checked: Any = REDIS_ADDRESS.check(url)
    more.setdefault("prefix", f"test{next(_numbers)}")
    return BackplaneSettings(checked, **more)


@contextlib.contextmanager
def thread_pool() -> Iterator[None]:
    """Host names are looked up in threads, which only a reactor that runs would start."""
    before, reactor.threadpool = reactor.threadpool, ThreadPool(0, 2)
    reactor.threadpool.start()
    yield
    reactor.threadpool.stop()
    reactor.threadpool = before


class RedisSetting:
    """Buses over one Redis server.

    :param server: the server.
    :param chosen: the settings; those of the server by default.
    """

    def __init__(self, server: RedisServer, chosen: BackplaneSettings | None = None) -> None:
        self.server = server
        self.settings = settings(server.url) if chosen is None else chosen
        self.buses: list[RedisBus] = []
        self.backpressure = Backpressure(10**9, reactor.callLater)
        self.is_cut = False

    def link(self, **more: Any) -> RedisBus:
        """A bus of one more node."""
        ledger = Ledger(time.time, _report)
        fanout = Fanout(
            lambda call: reactor.callLater(0, call),
            self.backpressure,
            ledger,
            seconds=reactor.seconds,
        )
        options: dict[str, Any] = {
            "max_message_bytes": 100_000,
            "topic_bytes": 1024,
            "keeps_history": False,
            **more,
        }
        bus = RedisBus(
            self.settings,
            node=f"node{len(self.buses)}",
            fanout=fanout,
            backpressure=self.backpressure,
            reactor=reactor,
            **options,
        )
        self.buses.append(bus)
        return bus

    def wait_until(self, holds: Callable[[], object], patience: float = PATIENCE / 2) -> None:
        """Run the reactor until something holds."""
        deadline = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < deadline, [each.status() for each in self.buses]
            reactor.iterate(0.01)

    def cut(self) -> None:
        """Stop the server."""
        self.server.stop()
        self.is_cut = True

    def restore(self) -> None:
        """Start it again, if it was stopped."""
        if self.is_cut:
            self.server.start()
        self.is_cut = False

    def stop(self) -> None:
        """End all links, and leave the server running."""
        self.restore()
        for each in self.buses:
            each.stop()
        for _ in range(5):
            reactor.iterate(0.005)
