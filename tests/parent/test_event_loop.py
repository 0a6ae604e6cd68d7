"""The loop of the parent."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from time import monotonic

import pytest

from wampush.parent.event_loop import EventLoop


@pytest.fixture
def seen() -> list[object]:
    return []


@pytest.fixture
def loop(seen: list[object]) -> Iterator[EventLoop]:
    before = signal.getsignal(signal.SIGUSR2)
    made = EventLoop((signal.SIGUSR2,), seen.append)
    yield made
    made.close()
    signal.signal(signal.SIGUSR2, before)


def test_signals_are_handled_in_the_loop(loop: EventLoop, seen: list[object]) -> None:
    signal.raise_signal(signal.SIGUSR2)
    assert seen == []
    loop.run(lambda: None, lambda _: loop.stop())
    assert seen == [signal.SIGUSR2]


def test_descriptors_are_watched_until_they_are_not(loop: EventLoop, seen: list[object]) -> None:
    read_end, write_end = os.pipe()

    def on_readable() -> None:
        seen.append(os.read(read_end, 10))
        loop.unwatch(read_end)
        loop.stop()

    loop.watch(read_end, on_readable)
    assert loop.watches(read_end)
    os.write(write_end, b"x")
    loop.run(lambda: None, lambda _: None)
    assert seen == [b"x"]
    assert not loop.watches(read_end)
    assert not loop.watches(-1)
    os.close(read_end)
    os.close(write_end)


def test_a_function_that_is_watched_no_longer_is_not_called(loop: EventLoop) -> None:
    pipes = [os.pipe() for _ in range(2)]
    called: list[int] = []

    def on_readable(own: int, other: int) -> None:
        called.append(own)
        loop.unwatch(own)
        loop.unwatch(other)
        loop.stop()

    (first, _), (second, _) = pipes
    loop.watch(first, lambda: on_readable(first, second))
    loop.watch(second, lambda: on_readable(second, first))
    for _, write_end in pipes:
        os.write(write_end, b"x")
    loop.run(lambda: None, lambda _: None)
    assert len(called) == 1
    for each in pipes:
        os.close(each[0])
        os.close(each[1])


def test_time_comes_when_it_is_due(loop: EventLoop) -> None:
    due = monotonic() + 0.05
    times: list[float] = []

    def on_time(now: float) -> None:
        if now >= due:
            times.append(now)
            loop.stop()

    loop.run(lambda: due, on_time)
    assert times[0] >= due
