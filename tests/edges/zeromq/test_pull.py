"""Pushes over real ZeroMQ sockets: none lost, a bounded share a turn, pauses without deadlock."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zmq
from twisted.internet import reactor as installed

from tests.support.ports import reserved_ports
from tests.support.waiting import PATIENCE
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.settings import Settings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.zeromq import pull as zmq_pull
from wampush.errors import ListenError, Refusal
from wampush.node.build import Node, build

reactor: Any = installed
ANY = "tcp://127.0.0.1:*"


class Bridge:
    """A node that pulls, with the publications it made."""

    def __init__(self, *addresses: str, **zmq_settings: Any) -> None:
        self.node: Node = build(
            Settings(zmq=ZmqSettings(pull=addresses, **zmq_settings)), reactor, 10
        )
        self.seen: list[Publication] = []
        self.node.broker.publish = self._publish  # type: ignore[method-assign]
        self.lines: list[str] = []
        self.node.broker.ledger._report = self.lines.append
        self.addresses = self.node.pull.start()

    def _publish(self, publication: Publication) -> int:
        self.seen.append(publication)
        return 0

    @property
    def pressure(self) -> Any:
        return self.node.pressure

    def refused(self) -> dict[Refusal, int]:
        return {
            refusal: count
            for (source, refusal), count in self.node.broker.ledger.refused.items()
            if source is Source.ZEROMQ
        }

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{len(self.seen)} publications so far"
            reactor.iterate(0.001)

    def turns(self, count: int) -> None:
        for _ in range(count):
            reactor.iterate(0.001)


@contextlib.contextmanager
def bridge(*addresses: str, **zmq_settings: Any) -> Iterator[Bridge]:
    running = Bridge(*(addresses or (ANY,)), **zmq_settings)
    try:
        yield running
    finally:
        running.node.pull.stop()


@contextlib.contextmanager
def push_socket(*addresses: str, bind: bool = False) -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
    socket.set(zmq.IPV6, int(any("[" in address for address in addresses)))
    try:
        for address in addresses:
            if bind:
                socket.bind(address)
            else:
                socket.connect(address)
        yield socket
    finally:
        socket.close()
        context.term()


class Pusher(threading.Thread):
    """A backend that pushes numbered messages, and pauses where it is told to."""

    def __init__(
        self, address: str, numbers: range, pauses: Iterator[float], size: int = 0
    ) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._numbers = numbers
        self._pauses = pauses
        self._padding = b"x" * size
        self._pause = threading.Event()
        self.error: zmq.ZMQError | None = None
        self.close = threading.Event()
        self.stop = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with push_socket(self._address) as socket:
                # So that it sees in time that it has to stop.
                socket.set(zmq.SNDTIMEO, 3000)
                for number in self._numbers:
                    socket.send_multipart([b"t", b'"%d %s"' % (number, self._padding)])
                    if self.stop.is_set():
                        return
                    if number % 1000 == 999:
                        self._pause.wait(next(self._pauses))
                self.close.wait(PATIENCE)
        except zmq.ZMQError as error:
            self.error = error


def numbers(seen: list[Publication]) -> list[int]:
    return [int(each.payload.strip(b'"').split()[0]) for each in seen]


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


def test_a_turn_reads_a_bounded_share() -> None:
    with bridge(high_water_mark=10_000) as running, push_socket(running.addresses[0]) as backend:
        running.pressure.hold(Hold.TOTAL)
        backend.send_multipart([b"t", b"1"])
        # The reactor has a part in the handshake; from here on libzmq goes on alone.
        running.until(lambda: running.node.pull._pulls[0].socket.get(zmq.EVENTS) & zmq.POLLIN)
        for _ in range(2999):
            backend.send_multipart([b"t", b"1"])
        # Let the rest arrive in libzmq's queue; it can not be asked how much it holds.
        running.turns(100)
        running._publish(Publication("t", b"0"))
        running.seen.clear()
        running.pressure.release(Hold.TOTAL)
        most = 0
        while len(running.seen) < 3000:
            before = len(running.seen)
            reactor.iterate(0)
            most = max(most, len(running.seen) - before)
        # A turn may serve the descriptor and the call that takes a stopped read up again.
        assert most <= 2 * zmq_pull.TURN_MESSAGES


def test_large_pushes_use_up_the_share_sooner() -> None:
    with bridge(high_water_mark=1000) as running, push_socket(running.addresses[0]) as backend:
        running.pressure.hold(Hold.TOTAL)
        size = 50_000
        for _ in range(100):
            backend.send_multipart([b"t", b'"' + b"x" * size + b'"'])
        running.turns(50)
        running.pressure.release(Hold.TOTAL)
        most = 0
        deadline = time.monotonic() + PATIENCE
        while len(running.seen) < 100 and time.monotonic() < deadline:
            before = len(running.seen)
            reactor.iterate(0)
            most = max(most, len(running.seen) - before)
        assert len(running.seen) == 100
        assert most <= 2 * (zmq_pull.TURN_BYTES // size + 2)


def test_others_are_served_between_the_shares() -> None:
    with bridge() as running:
        pusher = Pusher(running.addresses[0], range(20_000), itertools.repeat(0))
        running.until(lambda: bool(running.seen))
        waited = 0
        while len(running.seen) < 20_000 and pusher.error is None:
            called: list[bool] = []
            reactor.callLater(0, called.append, True)
            before = len(running.seen)
            running.until(lambda called=called: bool(called))  # type: ignore[misc]
            waited = max(waited, len(running.seen) - before)
        assert waited <= 3 * zmq_pull.TURN_MESSAGES
        pusher.close.set()
        pusher.join(PATIENCE)


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


def test_endless_parts_are_thrown_away_in_bounded_shares() -> None:
    turn = zmq_pull.TURN_MESSAGES
    with (
        bridge() as running,
        push_socket(running.addresses[0]) as hostile,
        push_socket(running.addresses[0]) as backend,
    ):
        frames = 0
        pull = running.node.pull._pulls[0]
        read_share = pull.read_share

        class Counting:
            """The socket, with a count of what is read."""

            def recv(self, flags: int, copy: bool) -> zmq.Frame:
                nonlocal frames
                frame: zmq.Frame = genuine.recv(flags, copy)
                frames += 1
                return frame

            def __getattr__(self, name: str) -> Any:
                return getattr(genuine, name)

        most = 0

        def counting() -> bool:
            nonlocal most
            before = frames
            is_empty = read_share()
            most = max(most, frames - before)
            return is_empty

        genuine, pull.socket = pull.socket, Counting()
        pull.read_share = counting  # type: ignore[method-assign]
        hostile.send_multipart([b"t", b"1"])
        for parts in (20_000, 5, 4):
            hostile.send_multipart([b"t"] * parts)
            hostile.send_multipart([b"t", b"2", b"{}"])
        backend.send_multipart([b"t", b"3"])
        running.until(lambda: len(running.seen) == 5)
        assert sorted(numbers(running.seen)) == [1, 2, 2, 2, 3]
        assert running.refused() == {Refusal.WRONG_PART_COUNT: 3}
        # What begins a refused message is read with it.
        assert most <= turn + 3 * zmq_pull._MOST_PARTS
        pull.socket = genuine


def test_whoever_goes_in_the_middle_of_endless_parts_leaves_the_next_push_whole() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        pull = running.node.pull._pulls[0]
        with push_socket(running.addresses[0]) as hostile:
            hostile.send_multipart([b"t", b"1"])
            hostile.send_multipart([b"t"] * 20_000)
            running.until(lambda: pull._skipping)
        backend.send_multipart([b"t", b"2"])
        running.until(lambda: len(running.seen) == 2)
        assert numbers(running.seen) == [1, 2]
        assert running.refused() == {Refusal.WRONG_PART_COUNT: 1}


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


def test_while_paused_nothing_is_read_and_the_backend_is_held() -> None:
    with bridge(high_water_mark=10) as running, push_socket(running.addresses[0]) as backend:
        backend.set(zmq.SNDHWM, 10)
        backend.send_multipart([b"t", b"0"])
        running.until(lambda: bool(running.seen))
        running.pressure.hold(Hold.TOTAL)
        padding = b"x" * 100_000
        sent = 1
        idle = 0
        # The kernel's socket buffers and both high-water marks fill up.
        while idle < 100:
            try:
                backend.send_multipart([b"t", b'"%d %s"' % (sent, padding)], zmq.NOBLOCK)
                sent += 1
                idle = 0
            except zmq.Again:
                idle += 1
            reactor.iterate(0.001)
            assert sent < 5000, "the backend is not held"
        assert len(running.seen) == 1
        running.pressure.release(Hold.TOTAL)
        running.until(lambda: len(running.seen) == sent)
        assert numbers(running.seen) == list(range(sent))
        backend.send_multipart([b"t", b"-1"])
        running.until(lambda: len(running.seen) == sent + 1)


def test_pausing_and_resuming_at_any_moment_loses_no_wake_up() -> None:
    with bridge(high_water_mark=50) as running:
        pusher = Pusher(
            running.addresses[0], range(20_000), itertools.cycle([0, 0, 0.005, 0, 0.001]), 50
        )
        for round_number in itertools.count():
            if len(running.seen) >= 20_000:
                break
            assert pusher.error is None
            assert round_number < 100_000
            before = len(running.seen)
            running.pressure.hold(Hold.CROWD)
            for _ in range(round_number % 4):
                reactor.iterate(0)
            if round_number % 5 == 0:
                running.pressure.hold(Hold.TOTAL)
                running.pressure.release(Hold.CROWD)
                running.pressure.release(Hold.TOTAL)
            running.pressure.release(Hold.CROWD)
            # Nothing but the release wakes it; whether more has come is up to the backend.
            running.turns(1 + round_number % 3)
            assert len(running.seen) >= before
        assert numbers(running.seen) == list(range(20_000))
        pusher.close.set()
        pusher.join(PATIENCE)


def test_what_came_while_paused_is_read_on_release_without_a_new_push() -> None:
    for _ in range(30):
        with bridge() as running, push_socket(running.addresses[0]) as backend:
            running.pressure.hold(Hold.FLUSHING)
            for number in range(5):
                backend.send_multipart([b"t", str(number).encode()])
            running.turns(5)
            assert running.seen == []
            running.pressure.release(Hold.FLUSHING)
            running.until(lambda running=running: len(running.seen) == 5)  # type: ignore[misc]


def test_a_publication_that_pauses_in_the_middle_of_a_share() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        publish = running._publish

        def pausing(publication: Publication) -> int:
            running.pressure.hold(Hold.FLUSHING)
            reactor.callLater(0, running.pressure.release, Hold.FLUSHING)
            return publish(publication)

        running.node.broker.publish = pausing  # type: ignore[method-assign]
        for number in range(5000):
            backend.send_multipart([b"t", str(number).encode()])
            if number % 500 == 0:
                running.turns(2)
        running.until(lambda: len(running.seen) == 5000)


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


@pytest.mark.parametrize(
    ("address", "problem", "remedy"),
    [
        ("tcp://127.0.0.1:{port}", "in use", "choose another address with --pull"),
        ("tcp://192.0.2.1:5555", "assign requested address", "an address of this machine"),
        ("ipc:///nowhere/at/all", "No such file", "ipc://PATH"),
        ("bogus", "nvalid", "tcp://HOST:PORT"),
        ("connect:tcp://127.0.0.1", "nvalid", "connect: before it"),
    ],
)
def test_an_unusable_address_says_so(address: str, problem: str, remedy: str) -> None:
    with bridge() as running:
        port = running.addresses[0].rpartition(":")[2]
        address = address.format(port=port)
        with pytest.raises(ListenError) as caught, bridge(ANY, address):
            pass
        assert caught.value.address == address
        assert problem in caught.value.problem
        assert remedy in caught.value.remedy
        assert str(caught.value).isprintable()


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


def test_an_ipc_address_spares_a_file_that_is_no_socket(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    with pytest.raises(ListenError, match="no socket is there; remove it"), bridge(f"ipc://{file}"):
        pass
    assert file.read_text() == "mine"


def test_an_ipc_address_in_use_says_so_and_one_that_was_left_is_taken(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/pushes"
    with bridge(address) as running:
        with pytest.raises(ListenError, match="another program listens there"), bridge(address):
            pass
        with push_socket(address) as backend:
            backend.send_multipart([b"t", b"1"])
            running.until(lambda: bool(running.seen))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/left")
    with bridge(f"ipc://{tmp_path}/left"):
        pass


def test_drain_publishes_what_has_arrived_and_stops_listening() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        running.pressure.hold(Hold.TOTAL)
        for number in range(500):
            backend.send_multipart([b"t", str(number).encode()])
        running.until(lambda: running.node.pull._pulls[0].socket.get(zmq.EVENTS) & zmq.POLLIN)
        running.node.pull.drain()
        # How many had arrived, only libzmq knows.
        count = len(running.seen)
        assert count > 0
        assert numbers(running.seen) == list(range(count))
        backend.send_multipart([b"t", b"500"])
        running.pressure.release(Hold.TOTAL)
        running.turns(20)
        assert len(running.seen) == count
        # The address is free again.
        with bridge(running.addresses[0]):
            pass


def has_open_connections(port: int) -> bool:
    """Whether the kernel knows a connection to this port that its server has not closed."""
    listening, time_wait = "0A", "06"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return any(
        local.endswith(f":{port:04X}") and state not in (listening, time_wait)
        for _, local, _, state, *_ in rows
    )


@pytest.mark.parametrize("size", [10, 2000, 8000])
def test_drain_reads_all_that_libzmq_holds_whatever_its_size(size: int) -> None:
    with bridge() as running:
        (pull,) = running.node.pull._pulls
        pull.reading = False
        with push_socket(running.addresses[0]) as backend:
            backend.set(zmq.LINGER, int(PATIENCE * 1000))
            for _ in range(1000):
                backend.send_multipart([b"t", b'"' + b"x" * size + b'"'])
            # Reading the state makes libzmq take in the new connection.
            running.until(lambda: bool(pull.socket.get(zmq.EVENTS) & zmq.POLLIN))
        # The backend has sent everything and is gone; libzmq closes its side at the last byte.
        port = int(running.addresses[0].rpartition(":")[2])
        running.until(lambda: not has_open_connections(port))
        running.node.pull.drain()
        assert len(running.seen) == 1000


def test_drain_ends_although_a_backend_goes_on() -> None:
    with bridge() as running:
        pusher = Pusher(running.addresses[0], range(10_000_000), itertools.repeat(0), 1000)
        running.until(lambda: len(running.seen) > 1000)
        running.node.pull.drain()
        seen = numbers(running.seen)
        assert seen == list(range(len(seen)))
    # The backend's context ends with its thread, which ends with its patience at the latest.
    pusher.stop.set()
    pusher.join(PATIENCE)
    assert not pusher.is_alive()


def test_drain_stops_where_clients_can_not_follow() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        (pull,) = running.node.pull._pulls
        pull.reading = False
        for _ in range(900):
            backend.send_multipart([b"t", b'"' + b"x" * 5000 + b'"'])
        running.until(lambda: bool(pull.socket.get(zmq.EVENTS) & zmq.POLLIN))
        running.pressure.hold(Hold.CROWD)
        running.node.pull.drain()
        # One share before the address is given up and one after it.
        assert 0 < len(running.seen) <= 2 * (zmq_pull.TURN_BYTES // 5000 + 1)


def test_drain_reads_before_and_after_it_gives_up_the_address() -> None:
    with bridge() as running:
        (pull,) = running.node.pull._pulls
        steps: list[str] = []
        stop_listening = running.node.pull._stop_listening

        def read_share() -> bool:
            steps.append("read")
            return True

        def stop(pull: zmq_pull.BoundedPull) -> None:
            steps.append("stop")
            stop_listening(pull)

        pull.read_share = read_share  # type: ignore[method-assign]
        running.node.pull._stop_listening = stop  # type: ignore[method-assign]
        running.node.pull.drain()
        assert steps == ["read", "stop", "read"]
