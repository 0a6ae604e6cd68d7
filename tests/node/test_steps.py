"""Steps of a node's start and end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.support.redis_server import running_redis
from wampush.broker.ledger import Ledger, Source
from wampush.config.checks.redis import REDIS_ADDRESS
from wampush.config.settings import Settings
from wampush.config.tables.backplane import BackplaneSettings
from wampush.config.tables.topics import TopicSettings
from wampush.errors import CloseReason, OperatorError, PushRefused, Refusal
from wampush.node import steps


class Part:
    def __init__(self, name: str, notes: list[str]) -> None:
        self._name = name
        self._notes = notes

    def start(self) -> None:
        self._notes.append(f"start {self._name}")

    def stop(self, patience: float | None = None) -> Deferred[None]:
        self._notes.append(f"stop {self._name}" + ("" if patience is None else f" {patience}"))
        return Deferred()


def node_with(notes: list[str], *, joined: bool) -> Any:
    return SimpleNamespace(
        backplane=Part("backplane", notes) if joined else None,
        redis_bus=Part("bus", notes) if joined else None,
        websocket=Part("websocket", notes),
        redis=Part("redis", notes),
        broker=SimpleNamespace(
            flush=lambda: notes.append("flush"),
            nodes=Part("nodes", notes) if joined else None,
            occupancy=Part("occupancy", notes),
        ),
        pull=SimpleNamespace(start=lambda: ["tcp://127.0.0.1:5555"]),
    )


@pytest.mark.parametrize("joined", [True, False])
def test_a_node_is_joined_before_its_clients_come(joined: bool) -> None:
    notes: list[str] = []
    steps.serve(node_with(notes, joined=joined))
    begun = ["start websocket", "start redis"]
    assert notes == (["start backplane", *begun, "start nodes"] if joined else begun)


def test_clients_get_what_was_published_before_they_are_ended() -> None:
    notes: list[str] = []
    assert not steps.stop_clients(node_with(notes, joined=True), 3).called
    assert notes == ["flush", "stop websocket 3"]


def test_the_link_ends_after_the_timers() -> None:
    notes: list[str] = []
    assert not steps.leave_others(node_with(notes, joined=True)).called
    # The other nodes learn about the topics first, then about the end.
    assert notes == ["stop occupancy", "stop nodes", "stop backplane", "stop bus"]
    notes.clear()
    assert steps.leave_others(node_with(notes, joined=False)).called
    assert notes == ["stop occupancy"]


def test_addresses_are_logged(log: list[str]) -> None:
    steps.pull(node_with([], joined=False))
    assert log == ["pulling pushes from tcp://127.0.0.1:5555"]


def test_it_counts_by_kind() -> None:
    ledger = Ledger(lambda: 0.0, lambda *_, **__: None)
    for source, count in ((Source.ZEROMQ, 5), (Source.HTTP, 2), (Source.CLIENT, 3)):
        for _ in range(count):
            ledger.accept(source)
    ledger.refuse(Source.ZEROMQ, "a", PushRefused(next(iter(Refusal))), b"")
    ledger.end(CloseReason.SERVER_STOPPED, "b")
    assert steps.summary(ledger, 12_000) == (
        "7 pushes and 3 messages of clients accepted, 1 inputs refused, 1 connections ended "
        "in 3 h 20 min"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_has_two_units(seconds: float, words: str) -> None:
    ledger = Ledger(lambda: 0.0, lambda *_, **__: None)
    assert steps.summary(ledger, seconds).endswith(f" in {words}")


def settings_with(url: str, **topic: Any) -> Settings:
    checked: Any = REDIS_ADDRESS.check(url)
    topics = (TopicSettings("a", **topic),) if topic else ()
    return Settings(backplane=BackplaneSettings(checked), topics=topics)


def test_a_redis_that_cannot_join_nodes_stops_the_start(tmp_path: Path, log: list[str]) -> None:
    steps.look_at_redis(Settings())
    with running_redis(tmp_path, "--maxmemory-policy", "volatile-lru") as server:
        steps.look_at_redis(settings_with(server.url))
        assert log == []
        with pytest.raises(OperatorError, match="maxmemory-policy volatile-lru may drop"):
            steps.look_at_redis(settings_with(server.url, last=True))
    steps.look_at_redis(settings_with(server.url, last=True))
    (line,) = log
    assert line.startswith(f"{server.url}: Connection refused; starting without the other nodes")
