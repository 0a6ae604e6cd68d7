"""The store in memory: the contract of all variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.broker.mirrors.store_contract import RULES, STEPS
from tests.broker.mirrors.store_contract import Setting as Contract
from tests.broker.world import FakeClock
from wampush.broker.backplane.memory_bus import MemoryBus
from wampush.broker.mirrors.contract import Cursor, Entry, SharedStore
from wampush.broker.mirrors.memory_store import MemoryStore
from wampush.broker.publication import Publication


class _Listener:
    """Records messages of one topic."""

    def __init__(self) -> None:
        self.found: list[bytes] = []

    def on_message(self, channel: str, message: bytes) -> None:
        assert channel
        self.found.append(message)

    def on_followed(self, channels: object) -> None:
        assert channels

    def on_joined(self) -> None:
        pass

    def on_left(self, problem: str) -> None:
        assert problem


class Setting:
    """A store in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock.call_later)
        self.store = MemoryStore(self.bus, RULES, lambda: self.clock.now, self.clock.call_later)
        self.store.slice_rows = 2
        self.recorders: dict[str, _Listener] = {}

    def end(self, node: str) -> SharedStore:
        link = self.bus.link()
        link.start(_Listener())
        self.settle()
        return self.store.link(node, link)

    def settle(self) -> None:
        for _ in range(5):
            self.clock.advance(0)

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def messages(self, topic: str) -> Sequence[bytes]:
        if topic not in self.recorders:
            recorder = self.recorders[topic] = _Listener()
            link = self.bus.link()
            link.start(recorder)
            self.settle()
            link.follow([f"t:{topic}"])
        self.settle()
        return self.recorders[topic].found

    def remember(self) -> Any:
        return self.store.remember()

    def go_back(self, state: Any) -> None:
        self.store.go_back(state)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_contract(step: Callable[[Contract], None]) -> None:
    setting = Setting()
    if step.__name__ == "much_is_read_in_slices":
        setting.store.slice_rows = 1
    else:
        setting.store.slice_rows = 100
    step(setting)


def test_answers_are_lost_with_the_link() -> None:
    setting = Setting()
    link = setting.bus.link()
    link.start(_Listener())
    setting.settle()
    end = setting.store.link("n", link)
    answers: list[object] = []
    setting.bus.delay = 1.0
    end.publish(Entry(1, Publication("log", b"1")), answers.append)
    end.read("log", Cursor(0, 0), answers.append)
    # What has arrived is carried out, even if nobody learns of it.
    setting.clock.advance(1.0)
    link.cut("a test")
    assert not end.is_joined
    assert end.problem == "a test"
    end.tops(["log"], answers.append)
    setting.clock.advance(1.0)
    setting.clock.advance(1.0)
    assert answers == [None, None, None]
    (top,) = setting.store.tops(["log"])
    assert top is not None
    assert top.position.offset == 1


def test_an_emptied_store_begins_again() -> None:
    setting = Setting()
    setting.store.publish("n", Entry(1, Publication("log", b"1")))
    (before,) = setting.store.tops(["log"])
    setting.store.empty()
    assert setting.store.tops(["log"]) == [None]
    setting.store.publish("n", Entry(1, Publication("log", b"1")))
    (after,) = setting.store.tops(["log"])
    assert before is not None
    assert after is not None
    assert before.position.epoch != after.position.epoch
