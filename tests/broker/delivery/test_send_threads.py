"""Sends are split from a number of receivers on, and threads are started by the first split."""

from __future__ import annotations

from typing import Any

import pytest

from tests.broker.world import DirectOutbox, Wire, World
from wampush.broker.delivery.direct_sends import DirectSends, SendEach
from wampush.broker.delivery.send_threads import SPLIT_SENDS, SendThreads


class Extension:
    """Records who sends how much."""

    def __init__(self, error: OSError | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.started: list[int] = []
        self.lines: list[str] = []
        self._error = error

    def _sends(self, name: str) -> SendEach:
        def send_each(handles: list[Any], chunks: list[bytes]) -> list[tuple[int, int]]:
            self.calls.append((name, len(handles)))
            return [(0, len(chunks[0]) - 1)]

        return send_each

    def start(self, count: int) -> SendEach:
        self.started.append(count)
        if self._error is not None:
            raise self._error
        return self._sends("together")

    def threads(self, count: int) -> SendThreads:
        def report(problem: str) -> None:
            self.lines.append(problem)

        return SendThreads(count, self._sends("alone"), self.start, report)


def send(threads: SendThreads, count: int) -> list[tuple[int, int]]:
    return threads.send_each([object()] * count, [b"abc"] * count)


def test_few_sends_are_not_split() -> None:
    extension = Extension()
    threads = extension.threads(4)
    for count in (1, 2, SPLIT_SENDS - 1):
        assert send(threads, count) == [(0, 2)]
    assert extension.calls == [("alone", 1), ("alone", 2), ("alone", SPLIT_SENDS - 1)]
    assert extension.started == []
    assert (threads.active, threads.count) == (1, 4)


def test_many_are_split_and_threads_are_started_once() -> None:
    extension = Extension()
    threads = extension.threads(4)
    for count in (SPLIT_SENDS, 1000, 1):
        assert send(threads, count) == [(0, 2)]
    assert extension.calls == [("together", SPLIT_SENDS), ("together", 1000), ("alone", 1)]
    assert extension.started == [4]
    assert threads.active == 4
    assert extension.lines == []


def test_one_thread_sends_where_no_other_can_be_started() -> None:
    extension = Extension(BlockingIOError(11, "Resource temporarily unavailable"))
    threads = extension.threads(2)
    for _ in range(3):
        assert send(threads, 100) == [(0, 2)]
    assert extension.calls == [("alone", 100)] * 3
    assert threads.active == 1
    (line,) = extension.lines
    assert line == (
        "process.send_threads = 2 has no effect: a thread cannot be started ([Errno 11] Resource "
        "temporarily unavailable); raise the limit on threads (TasksMax of systemd, ulimit -u)"
    )


def test_rests_of_outboxes_are_kept_as_of_one_thread() -> None:
    world = World()
    outboxes = []
    for number in range(SPLIT_SENDS):
        outbox: Any = DirectOutbox(1000, world.pressure, Wire(number % 3), world.format(""))
        outbox.handle = outbox
        outboxes.append(outbox)
    outboxes[1].wire.dead = True

    def start(_: int) -> SendEach:
        def send_each(handles: list[Any], chunks: list[bytes]) -> list[tuple[int, int]]:
            return [
                (index, -32 if each.wire.dead else each.wire.take(chunks[index]))
                for index, each in enumerate(handles)
            ]

        return send_each

    def alone(handles: list[Any], _: list[bytes]) -> list[tuple[int, int]]:
        raise AssertionError(len(handles))

    threads = SendThreads(2, alone, start, pytest.fail)
    DirectSends(threads.send_each).send(outboxes, [b"xyz"] * SPLIT_SENDS)
    assert outboxes[1].closed
    assert all(each.blocked for each in outboxes)
    assert [each.queued for each in outboxes[2:5]] == [1, 3, 2]
