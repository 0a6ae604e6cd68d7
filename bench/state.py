"""The scenario of present state: what new subscribers of a topic get at once.

Owns: its sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import orjson

from bench.in_memory import Client, Node, Socket
from bench.keeping import Arrival, arrival_rows, arrive, backend, position, serving
from bench.native import BenchError
from bench.peer import frame, open_session
from bench.processes import Server
from bench.run import Run, remark
from bench.table import Row
from wampush.config.tables.topics import TopicSettings

_EVENT_BYTES: Final = 200
#: SUBSCRIBEs of which the fastest counts: other load on the machine can only add time.
_TRIES: Final = 30
_TABLE: Final = "table"
_ONE: Final = "one"


def state(run: Run) -> Iterator[Row]:
    """1,000 keys for one client, a last value for 10,000; floors: the same bytes, no value."""
    keys = run.size(1000, 10)
    yield from _code(run, keys)
    yield from _answers(run, keys)
    clients = run.size(10_000, 10)
    measured: list[Arrival] = []
    floor: list[Arrival] = []
    for _ in range(run.rounds):
        with serving(run, last="last = true") as server, backend(server) as push:
            push(orjson.dumps({"category": "last", "n": 1, "t": time.monotonic_ns()}))
            position(server, "last", 1)
            measured.append(arrive(run, server, clients, 1, ["-s", "last"]))
        with serving(run, last="last = true") as server:
            floor.append(arrive(run, server, clients, 0, ["-s", "other"]))
    faults = remark(*(each.faults for each in measured))
    yield from arrival_rows("state", "last value", measured, floor, faults)


def _code(run: Run, keys: int) -> list[Row]:
    """Measure the code for a SUBSCRIBE after a change; floor: join the frames."""
    rows = [_row(number) for number in range(keys)]
    node = Node(run.rounds * _TRIES, [TopicSettings(_TABLE, last_by="id", max_keys=keys)])
    for row in rows:
        node.push(row)
    front, send = b"\x81\x7e\x00\xd4" + _head(_TABLE), Socket().send
    values: list[float] = []
    floors: list[float] = []
    sends: list[float] = []
    for _ in range(run.rounds):
        times: list[float] = []
        least: list[float] = []
        for _ in range(_TRIES):
            client = Client(node, counts=True)
            client.subscribe("none")
            node.push(rows[0])
            already = len(client.sends)
            begun = time.perf_counter()
            client.subscribe(_TABLE)
            times.append(time.perf_counter() - begun)
            sends.append(float(len(client.sends) - already))
            if sum(client.sends[already:]) != keys * _frame_bytes(_TABLE, _EVENT_BYTES):
                raise BenchError("the client did not get all keys")
            begun = time.perf_counter()
            send(b"".join([b"".join((front, row, b"]")) for row in rows]))
            least.append(time.perf_counter() - begun)
        values.append(min(times) * 1e3)
        floors.append(min(least) * 1e3)
    return [
        Row("state", f"{keys:,} keys, sends", [max(sends)], [1.0], digits=0),
        Row("state", f"{keys:,} keys, after a change: code, ms", values, floors, digits=3),
    ]


def _answers(run: Run, keys: int) -> list[Row]:
    """Measure the time from a SUBSCRIBE to the last byte; floor: one event of the same size."""
    figures: dict[str, list[float]] = {"after a change": [], "unchanged": [], _ONE: []}
    size = keys * _frame_bytes(_TABLE, _EVENT_BYTES)
    for _ in range(run.rounds):
        table = f'last_by = "id"\nmax_keys = {keys}'
        with serving(run, table=table, one="last = true") as server, backend(server) as push:
            for number in range(keys):
                push(_row(number))
            single = orjson.dumps({"category": _ONE, "p": "x" * size})
            push(single)
            position(server, _ONE, 1)
            times: dict[str, list[float]] = {name: [] for name in figures}
            for number in range(1, _TRIES + 1):
                push(_row(0))
                position(server, _TABLE, keys + number)
                times["after a change"].append(_milliseconds(server, _TABLE, size))
                times["unchanged"].append(_milliseconds(server, _TABLE, size))
                times[_ONE].append(_milliseconds(server, _ONE, _frame_bytes(_ONE, len(single))))
            for name, each in times.items():
                figures[name].append(min(each))
    floor = figures.pop(_ONE)
    return [
        Row("state", f"{keys:,} keys, {name}: to the page, ms", values, floor, digits=3)
        for name, values in figures.items()
    ]


def _milliseconds(server: Server, topic: str, size: int) -> float:
    """Return the time from a SUBSCRIBE until so many bytes have come."""
    subscribe = frame(orjson.dumps([5, topic]))
    buffer = bytearray(size)
    with closing(open_session(server.port)) as session:
        begun = time.perf_counter()
        session.sendall(subscribe)
        left = memoryview(buffer)
        while left:
            count = session.recv_into(left)
            if not count:
                raise BenchError("the server has closed the connection")
            left = left[count:]
        return (time.perf_counter() - begun) * 1e3


def _head(topic: str) -> bytes:
    return b'[8,"%s",' % topic.encode()


def _frame_bytes(topic: str, payload: int) -> int:
    size = len(_head(topic)) + payload + 1
    return size + (2 if size < 126 else 4 if size < 65_536 else 10)


def _row(number: int) -> bytes:
    """Return a push about a row of the table."""
    front = b'{"category":"%s","id":%d,"p":"' % (_TABLE.encode(), 100_000 + number)
    return front + b"x" * (_EVENT_BYTES - len(front) - 2) + b'"}'
