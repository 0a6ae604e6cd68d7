"""Flushes look at the clock between steps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.broker.world import DirectOutbox, Wire, World, send_each
from wampush.broker.delivery.direct_sends import DirectSends
from wampush.broker.delivery.flush_steps import FLUSH_STEP, FLUSH_STEP_BYTES, FlushSteps

COUNT = 10 * FLUSH_STEP


def outboxes_with(chunk: bytes) -> list[Any]:
    world = World()
    made: list[Any] = []
    for _ in range(COUNT):
        outbox: Any = DirectOutbox(10_000_000, world.pressure, Wire(None), world.format(""))
        outbox.handle = outbox
        outbox.append(chunk)
        made.append(outbox)
    return made


@pytest.fixture(params=[False, True], ids=["one-by-one", "at-once"])
def direct(request: pytest.FixtureRequest) -> DirectSends | None:
    sends: Any = send_each
    return DirectSends(sends) if request.param else None


def flushed(steps: FlushSteps, outboxes: list[Any], seconds: float) -> int:
    """How many are flushed if each look at the clock takes a second."""
    now = iter(range(1, COUNT + 1))
    left = outboxes[::-1]
    steps.flush_until(left, seconds, lambda: next(now))
    done = [each for each in outboxes if not each.queued]
    assert done + left[::-1] == outboxes
    return len(done)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_each_thread_has_a_step_between_two_looks(direct: DirectSends | None, threads: int) -> None:
    steps = FlushSteps(direct, threads)
    assert flushed(steps, outboxes_with(b"x"), 1.5) == 2 * threads * FLUSH_STEP
    assert flushed(steps, outboxes_with(b"x"), COUNT) == COUNT


@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_is_shorter_with_large_chunks(direct: DirectSends | None, threads: int) -> None:
    steps = FlushSteps(direct, threads)
    quarter = b"x" * (FLUSH_STEP_BYTES // 4)
    assert flushed(steps, outboxes_with(quarter), 0) == 4 * threads
    assert flushed(steps, outboxes_with(quarter * 12), 0) == 1


def test_the_empty_and_the_blocked_are_left_alone(direct: DirectSends | None) -> None:
    outboxes = outboxes_with(b"x")[:4]
    outboxes[0].flush()
    outboxes[1].wire.room = 0
    outboxes[1].flush()
    FlushSteps(direct, 1).flush_until(outboxes[::-1], 0, lambda: 0)
    assert [each.flushes for each in outboxes] == [1, 1, 1, 1]
