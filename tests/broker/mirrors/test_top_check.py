"""The look at where topics are: when, how many at once, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.broker.mirrors.mirror_world import SharedWorld, events
from wampush.broker.mirrors.contract import OnTops
from wampush.broker.mirrors.top_check import BATCH, INTERVAL, JITTER, TopCheck


def test_what_a_silent_link_has_lost_is_found_within_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = SharedWorld()
    first, second = shared.node(), shared.node()
    client = second.client("log")
    check = TopCheck(second.store, second.mirrors, shared.clock.call_later, lambda: 1.0)
    check.start()
    check.start()
    second.is_deaf = True
    first.publish("log", b"1")
    second.is_deaf = False
    shared.clock.advance(INTERVAL)
    shared.settle()
    assert events(client, "log") == []
    shared.clock.advance(INTERVAL * JITTER)
    shared.settle()
    assert events(client, "log") == [(1, b"1")]
    assert check.found == 1
    # It looks again and again, but not without the store.
    second.link.cut("a test")
    shared.clock.advance(INTERVAL * (1 + JITTER))
    shared.settle()
    second.link.restore()
    shared.settle()
    asked: list[Sequence[str]] = []
    ask = second.store.tops

    def tops(topics: Sequence[str], on_tops: OnTops) -> None:
        asked.append(topics)
        ask(topics, on_tops)

    monkeypatch.setattr(second.store, "tops", tops)
    shared.clock.advance(INTERVAL * (1 + JITTER))
    shared.settle()
    assert asked == [("log",)]
    assert check.found == 1
    check.stop()
    check.stop()
    shared.clock.advance(10 * INTERVAL)
    shared.settle()
    assert len(asked) == 1


def test_many_topics_are_asked_about_in_several_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedWorld()
    node = shared.node()
    count = BATCH + 7
    for number in range(count):
        assert not node.mirrors.is_ready(f"long{number}", None)
    asked: list[Sequence[str]] = []
    monkeypatch.setattr(node.store, "tops", lambda topics, _: asked.append(topics))
    check = TopCheck(node.store, node.mirrors, shared.clock.call_later, lambda: 0.0)
    check.start()
    for timer in list(shared.clock.pending):
        if timer.function == check._look:
            timer.cancel()
    check._look()
    assert [len(each) for each in asked] == [BATCH, 7]
    check.stop()
