"""The thread that writes the log: order, limit, losses, the end."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.waiting import PATIENCE, eventually
from wampush.node.log.writer import LogWriter


class Output:
    """Where lines go; it can be made to block or fail."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.flows = threading.Event()
        self.flows.set()
        self.is_blocked = threading.Event()
        self.fails = False

    def line(self, text: str) -> Callable[[], None]:
        def write() -> None:
            if not self.flows.is_set():
                self.is_blocked.set()
                assert self.flows.wait(PATIENCE)
            if self.fails:
                raise OSError(errno.ENOSPC, "no space")
            self.lines.append(text)

        return write

    def report(self, lost: int) -> None:
        self.line(f"{lost} lost")()


@pytest.fixture
def output() -> Iterator[Output]:
    made = Output()
    yield made
    made.flows.set()


@pytest.fixture
def blocked(output: Output) -> LogWriter:
    """A writer whose thread waits for its output with the line "first"."""
    writer = LogWriter(output.report, max_queued=10)
    writer.start()
    output.flows.clear()
    writer.submit(output.line("first"), 5)
    assert output.is_blocked.wait(PATIENCE)
    return writer


def test_before_its_start_it_writes_at_once(output: Output) -> None:
    writer = LogWriter(output.report)
    writer.submit(output.line("a"), 1)
    assert output.lines == ["a"]


def test_a_thread_keeps_the_order(output: Output) -> None:
    writer = LogWriter(output.report)
    writer.start()
    for number in range(1000):
        writer.submit(output.line(str(number)), 1)
    writer.finish(PATIENCE)
    assert output.lines == [str(number) for number in range(1000)]


def test_an_output_that_blocks_holds_up_nobody(output: Output, blocked: LogWriter) -> None:
    for text in "abcd":
        blocked.submit(output.line(text), 4)
    assert output.lines == []
    output.flows.set()
    blocked.finish(PATIENCE)
    # Two lines of four fit into ten characters.
    assert output.lines == ["first", "a", "b", "2 lost"]
    blocked.submit(output.line("e"), 4)
    assert output.lines[-1] == "e"


def test_work_without_a_size_is_never_dropped(output: Output, blocked: LogWriter) -> None:
    blocked.submit(output.line("a"), 10)
    blocked.submit(output.line("rotate"))
    output.flows.set()
    blocked.finish(PATIENCE)
    assert output.lines == ["first", "a", "rotate"]


@pytest.mark.parametrize("is_started", [True, False])
def test_an_output_that_fails_is_reported_when_it_works_again(
    output: Output, is_started: bool
) -> None:
    writer = LogWriter(output.report)
    if is_started:
        writer.start()
        writer.finish(PATIENCE)
    output.fails = True
    writer.submit(output.line("a"), 1)
    writer.submit(output.line("b"), 1)
    output.fails = False
    writer.submit(output.line("c"), 1)
    assert output.lines == ["2 lost", "c"]


def test_the_end_waits_only_so_long(output: Output, blocked: LogWriter) -> None:
    began = time.monotonic()
    blocked.finish(0.05)
    for text in "abc":
        blocked.submit(output.line(text), 1)
    assert time.monotonic() - began < PATIENCE / 4
    assert output.lines == []


def test_a_signal_handler_may_log_while_a_line_is_queued(output: Output) -> None:
    writer = LogWriter(output.report)
    writer.start()
    with writer._changed:
        writer.submit(output.line("a"), 1)
    eventually(lambda: list(output.lines), lambda lines: lines == ["a"])


def test_a_child_writes_by_itself(output: Output, blocked: LogWriter) -> None:
    blocked.submit(output.line("of the parent"), 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            blocked.submit(lambda: os.write(writer, b"of the child"), 1)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as received:
        assert received.read() == b"of the child"
    assert os.waitpid(child, 0)[1] == 0
    output.flows.set()
    blocked.finish(PATIENCE)
    assert output.lines == ["first", "of the parent"]
