"""Pushes over real ZeroMQ sockets: none lost, each published or refused, on any address."""

from __future__ import annotations

import itertools
import re
import socket
from functools import partial
from pathlib import Path

import pytest
import zmq

from tests.edges.zeromq.pull_world import ANY, Bridge, Pusher, bridge, numbers, push_socket
from tests.support.waiting import PATIENCE
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.errors import Refusal
from wampush.testing.ports import reserved_ports


@pytest.mark.unwatched
def test_a_hundred_thousand_pushes_in_bursts_and_pauses_all_arrive() -> None:
    with bridge() as running:
        pusher = Pusher(
            running.addresses[0],
            range(100_000),
            itertools.cycle([0, 0, 0, 0.001, 0, 0, 0, 0, 0, 0.02]),
        )
        running.until(lambda: len(running.seen) >= 100_000 or pusher.error is not None)
        pusher.close.set()
        assert pusher.error is None
        assert numbers(running.seen) == list(range(100_000))
        assert running.node.broker.ledger.accepted[Source.ZEROMQ] == 100_000
        pusher.join(PATIENCE)


def test_single_pushes_with_pauses_arrive_without_delay() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        for number in range(200):
            backend.send_multipart([b"t", str(number).encode()])
            running.until(lambda number=number: len(running.seen) > number)  # type: ignore[misc]


REFUSED: list[tuple[list[bytes], Refusal]] = [
    ([b""], Refusal.EMPTY),
    ([b"nonsense"], Refusal.NOT_JSON),
    ([b"\xff"], Refusal.NOT_UTF8),
    ([b"[1]"], Refusal.NOT_AN_OBJECT),
    ([b"{}"], Refusal.NO_TOPIC),
    ([b'{"category":["a"]}'], Refusal.TOPIC_NOT_STRING),
    ([b'{"category":{"a":1}}'], Refusal.TOPIC_NOT_STRING),
    ([b'{"category":""}'], Refusal.TOPIC_EMPTY),
    ([b"t" * 1025, b"1"], Refusal.TOPIC_TOO_LONG),
    ([b"t", b""], Refusal.EMPTY),
    ([b"t", b"1", b"[]"], Refusal.BAD_OPTIONS),
    ([b"t", b"1", b"{}", b"4"], Refusal.WRONG_PART_COUNT),
    ([b"t"] * 500, Refusal.WRONG_PART_COUNT),
    ([b"t", b'"' + b"x" * 2000 + b'"'], Refusal.TOO_LARGE),
    ([b"[" * 100_00], Refusal.TOO_LARGE),
    ([b"[" * 1999], Refusal.NOT_JSON),
    ([b"[" * 999 + b"]" * 999], Refusal.NOT_AN_OBJECT),
]


def test_refusals_are_counted_and_harm_nothing() -> None:
    with (
        bridge(max_message_bytes=2000) as running,
        push_socket(running.addresses[0]) as backend,
    ):
        for number, (parts, _) in enumerate(REFUSED):
            backend.send_multipart(parts)
            backend.send_multipart([b"t", str(number).encode()])
        running.until(lambda: len(running.seen) == len(REFUSED))
        expected: dict[Refusal, int] = {}
        for _, refusal in REFUSED:
            expected[refusal] = expected.get(refusal, 0) + 1
        assert running.refused() == expected
        ledger = running.node.broker.ledger
        assert ledger.received[Source.ZEROMQ] == 2 * len(REFUSED)
        assert ledger.accepted[Source.ZEROMQ] == len(REFUSED)
        assert {each.origin for each in ledger.recent} == {ANY}
        assert numbers(running.seen) == list(range(len(REFUSED)))


def test_a_push_of_the_longest_size_arrives() -> None:
    with (
        bridge(max_message_bytes=2000) as running,
        push_socket(running.addresses[0]) as backend,
    ):
        payload = b'"' + b"x" * 1997 + b'"'
        backend.send_multipart([b"t", payload])
        backend.send_multipart([b"t", payload + b" "])
        running.until(lambda: bool(running.refused()))
        assert running.refused() == {Refusal.TOO_LARGE: 1}
        assert running.seen == [Publication("t", payload)]


def test_a_hostile_length_is_cut_off_by_libzmq_and_others_go_on() -> None:
    with (
        bridge(max_message_bytes=1000) as running,
        push_socket(running.addresses[0]) as hostile,
        push_socket(running.addresses[0]) as backend,
    ):
        hostile.send(b"x" * 5_000_000)
        for number in range(50):
            backend.send_multipart([b"t", str(number).encode()])
        running.until(lambda: len(running.seen) == 50)
        assert running.refused() == {}
        # The hostile one is let in again when it behaves.
        hostile.send_multipart([b"t", b"99"])
        running.until(lambda: len(running.seen) == 51)


def test_several_addresses_at_once(tmp_path: Path) -> None:
    ipc = f"ipc://{tmp_path}/pushes"
    with reserved_ports(1) as (port,):
        bound_by_backend = f"tcp://127.0.0.1:{port}"
        with (
            bridge(ANY, ANY, ipc, f"connect:{bound_by_backend}") as running,
            push_socket(bound_by_backend, bind=True) as binding,
        ):
            first, second, third, fourth = running.addresses
            assert first != second
            assert "*" not in first + second
            assert third == ipc
            assert fourth == f"connect:{bound_by_backend}"
            with push_socket(first) as a, push_socket(second) as b, push_socket(ipc) as c:
                for number in range(2000):
                    for name, backend in zip("abcd", (a, b, c, binding), strict=True):
                        backend.send_multipart([name.encode(), str(number).encode()])
                    if number % 100 == 0:
                        running.turns(1)
                running.until(lambda: len(running.seen) == 8000)
            for name in "abcd":
                mine = [each for each in running.seen if each.topic == name]
                assert numbers(mine) == list(range(2000))


def test_the_address_for_programs_of_this_machine(tmp_path: Path) -> None:
    for address, expected in (
        (ANY, r"tcp://127\.0\.0\.1:\d+"),
        ("tcp://0.0.0.0:*", r"tcp://127\.0\.0\.1:\d+"),
        ("tcp://[::]:*", r"tcp://\[::1\]:\d+"),
        (f"ipc://{tmp_path}/pushes", f"ipc://{tmp_path}/pushes"),
    ):
        with bridge("connect:tcp://127.0.0.1:1", address) as running:
            here = running.node.pull.local_address()
            assert here is not None
            assert re.fullmatch(expected, here)
            with push_socket(here) as backend:
                backend.send_multipart([b"t", b"1"])
                running.until(lambda: bool(running.seen))
    with bridge("connect:tcp://127.0.0.1:1") as running:
        assert running.node.pull.local_address() is None


def test_sockets_that_connect_go_on_when_the_others_stop_listening() -> None:
    with reserved_ports(1) as (port,):
        address = f"tcp://127.0.0.1:{port}"
        with push_socket(address, bind=True) as backend, bridge(ANY, f"connect:{address}") as node:
            assert node.node.pull.stop_listening()
            problems = [problem for _, problem in node.node.pull.problems()]
            assert problems == ["it takes nothing new", ""]
            backend.send_multipart([b"t", b"1"])
            node.until(lambda: len(node.seen) == 1)


def test_a_backend_that_binds_later_is_found() -> None:
    with reserved_ports(1) as (port,):
        address = f"tcp://127.0.0.1:{port}"
        with bridge(f"connect:{address}") as running:
            running.turns(20)
            for _ in range(2):
                with push_socket(address, bind=True) as backend:
                    running.seen.clear()
                    backend.send_multipart([b"t", b"1"])
                    running.until(lambda: bool(running.seen))


def test_the_post_of_a_web_page_is_no_push() -> None:
    push = b'{"category":"t"}'
    # Frames of one byte until the push: in ZMTP 1.0 the request line is a frame of 80 bytes.
    body = b"\1\0" * 200 + bytes([len(push) + 1, 0]) + push
    with bridge() as running:
        port = int(running.addresses[0].rpartition(":")[2])
        for step in range(2):
            head = b"POST /" + b"a" * step + b" HTTP/1.1\r\n"
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as page:
                page.sendall(head.ljust(80 + step, b"\1") + body)
                # libzmq ends the connection, at the latest after its time for a handshake.
                page.setblocking(False)
                running.until(partial(has_ended, page))
        assert not running.seen
        with push_socket(running.addresses[0]) as backend:
            backend.send_multipart([b"t", b"1"])
            running.until(lambda: bool(running.seen))


def has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_drain_publishes_what_has_arrived_and_stops_listening() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        running.pressure.hold(Hold.TOTAL)
        for number in range(500):
            backend.send_multipart([b"t", str(number).encode()])
        running.until(lambda: running.node.pull._sockets[0].socket.get(zmq.EVENTS) & zmq.POLLIN)
        running.node.pull.drain()
        # How many had arrived, only libzmq knows.
        count = len(running.seen)
        assert count > 0
        assert numbers(running.seen) == list(range(count))
        backend.send_multipart([b"t", b"500"])
        running.pressure.release(Hold.TOTAL)
        running.turns(20)
        assert len(running.seen) == count
        # Once more, as for the end of a node whose backends went to another one before.
        running.node.pull.drain()
        # The address is free again.
        with bridge(running.addresses[0]):
            pass


def test_socket_files_are_those_of_bound_ipc_addresses(tmp_path: Path) -> None:
    abstract = f"ipc://@{tmp_path.name}"
    with bridge(ANY, f"ipc://{tmp_path}/pushes", abstract, "connect:ipc:///nowhere/x") as running:
        assert running.node.pull.socket_files() == [f"{tmp_path}/pushes"]


def test_sockets_that_listen_already_are_used_and_their_backends_sent_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        given = {address: listening.dup()}
        running = Bridge(address, f"connect:{address}", inherits=given.get)
        try:
            assert running.addresses == [address, f"connect:{address}"]
            with push_socket(address, reconnect_after=PATIENCE) as backend:
                backend.send_multipart([b"t", b"1"])
                running.until(lambda: len(running.seen) == 1)
                running.node.pull.read_next()

                def is_alone() -> bool:
                    running.node.pull.dismiss_peers()
                    return running.node.pull.connections == 0

                running.until(is_alone)
                assert running.node.pull.stop_listening()
        finally:
            running.node.pull.stop()
