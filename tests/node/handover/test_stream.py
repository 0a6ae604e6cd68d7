"""The stream: descriptors with their records, small socket buffers, the end of either side."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.support.two_nodes import PumpedReactor
from wampush.node.handover.records import Kind, Record
from wampush.node.handover.stream import TURN_BYTES, Listener, RecordStream


class Side(Listener):
    """Takes as many descriptors as a record says."""

    def __init__(self, end: socket.socket, reactor: PumpedReactor) -> None:
        self.stream = RecordStream(end, reactor, self)
        self.stream.start()
        self.records: list[tuple[int, Any, bytes]] = []
        self.descriptors: list[int] = []
        self.problem = ""
        self.drained = 0

    def on_record(self, record: Record, descriptors: Callable[[int], Sequence[int]]) -> None:
        self.descriptors += descriptors(record.values.get("count", 0))
        self.records.append((record.kind, record.values, bytes(record.body)))

    def on_drained(self) -> None:
        self.drained += 1

    def on_broken(self, problem: str) -> None:
        self.problem = problem


class Both:
    def __init__(self) -> None:
        self.reactor = PumpedReactor()
        ends = socket.socketpair()
        for each in ends:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        self.one, self.other = (Side(each, self.reactor) for each in ends)

    def run(self) -> None:
        while self.one.stream.backlog or self.other.stream.backlog:
            self.reactor.turn()
        for _ in range(20):
            self.reactor.turn()


@pytest.fixture
def both() -> Iterator[Both]:
    sides = Both()
    yield sides
    for side in (sides.one, sides.other):
        side.stream.close()
        for each in side.descriptors:
            os.close(each)


def test_a_side_that_pauses_takes_no_record_until_it_resumes(both: Both) -> None:
    taken, stream = both.other.records, both.other.stream
    on_record = both.other.on_record

    def take_and_pause(record: Record, descriptors: Callable[[int], Sequence[int]]) -> None:
        on_record(record, descriptors)
        stream.pause()

    both.other.on_record = take_and_pause  # type: ignore[method-assign]
    for number in range(50):
        both.one.stream.send(Kind.PUSH, {"n": number}, (b"x" * 100,))
    for count in range(1, 51):
        for _ in range(5):
            both.reactor.turn()
        assert [each[1]["n"] for each in taken] == list(range(count))
        # Twice is the same.
        stream.resume()
        stream.resume()
    both.one.stream.close()
    both.run()
    assert both.other.problem == "the other process has ended"
    stream.pause()
    stream.resume()


def test_a_stream_that_ends_before_it_resumes_takes_nothing_more(both: Both) -> None:
    both.one.stream.send(Kind.PUSH, {"n": 0})
    both.one.stream.send(Kind.PUSH, {"n": 1})
    both.other.stream.pause()
    both.other.stream.resume()
    both.other.stream.close()
    both.run()
    assert both.other.records == []


def test_records_arrive_in_order_both_ways(both: Both) -> None:
    for number in range(50):
        both.one.stream.send(Kind.PUBLICATION, {"n": number}, (b"x" * 1000, b"y"))
        both.other.stream.send(Kind.TAKEN, {"n": number})
    both.run()
    assert [each[1]["n"] for each in both.other.records] == list(range(50))
    assert {each[2] for each in both.other.records} == {b"x" * 1000 + b"y"}
    assert [each[1]["n"] for each in both.one.records] == list(range(50))
    assert both.one.drained
    assert both.one.stream.backlog == 0


def test_descriptors_come_with_their_records_and_are_closed_here(both: Both) -> None:
    ends = []
    for number in range(3):
        pairs = [socket.socketpair() for _ in range(number)]
        for _, far in pairs:
            far.send(b"%d" % number)
            ends.append(far)
        given = [near.detach() for near, _ in pairs]
        both.one.stream.send(Kind.SESSIONS, {"count": number}, (b"z" * 9000,), given)
        both.one.stream.send(Kind.PUBLICATION, {}, (b"between",))
        both.run()
    received = [socket.socket(fileno=each) for each in both.other.descriptors]
    both.other.descriptors = []
    assert [each.recv(10) for each in received] == [b"1", b"2", b"2"]
    for near, far in zip(received, ends, strict=True):
        near.close()
        # No other descriptor of that end is open.
        assert far.recv(1) == b""
        far.close()


def test_the_end_of_one_side_is_told_once(both: Both) -> None:
    near, far = socket.socketpair()
    both.one.stream.send(Kind.PUBLICATION, {}, (b"x" * TURN_BYTES,))
    both.other.stream.close()
    both.run()
    assert both.one.problem
    both.one.problem = ""
    both.one.stream.send(Kind.SESSIONS, {"count": 1}, (), (near.detach(),))
    assert far.recv(1) == b""
    both.one.stream.connectionLost(None)
    assert not both.one.problem
    far.close()


def test_sockets_that_were_not_sent_are_closed_with_the_stream(both: Both) -> None:
    near, far = socket.socketpair()
    both.one.stream.send(Kind.PUBLICATION, {}, (b"x" * 100_000,))
    both.one.stream.send(Kind.SESSIONS, {"count": 1}, (), (near.detach(),))
    both.one.stream.close()
    both.one.stream.close()
    assert far.recv(1) == b""
    far.close()
    assert both.one.stream.logPrefix() == "handover"


def test_too_few_descriptors_break_the_stream(both: Both) -> None:
    both.one.stream.send(Kind.SESSIONS, {"count": 2})
    both.run()
    assert both.other.problem == "2 descriptors belong to a record; 0 came"


def test_what_is_no_record_breaks_the_stream(both: Both) -> None:
    both.one.stream._socket.send(b"\xff" * 20)
    both.run()
    assert "a record of" in both.other.problem
    assert both.one.problem == "the other process has ended"
