"""A PULL socket: a bounded share per turn, pauses without deadlock, the end of the process."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.edges.zeromq.pull_world import (
    ANY,
    Pusher,
    bridge,
    numbers,
    push_socket,
    reactor,
)
from tests.support.waiting import PATIENCE
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.publication import Publication
from wampush.config.settings import Settings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.zeromq.pull_socket import MOVES, SocketState
from wampush.edges.zeromq.pull_sockets import TURN_BYTES
from wampush.errors import ListenError, Refusal
from wampush.net.turn_budget import TURN_MESSAGES
from wampush.node.build import build


def test_a_turn_reads_a_bounded_share() -> None:
    with bridge(high_water_mark=10_000) as running, push_socket(running.addresses[0]) as backend:
        running.pressure.hold(Hold.TOTAL)
        backend.send_multipart([b"t", b"1"])
        # The reactor has a part in the handshake; from here on libzmq goes on alone.
        running.until(lambda: running.node.pull._sockets[0].socket.get(zmq.EVENTS) & zmq.POLLIN)
        for _ in range(2999):
            backend.send_multipart([b"t", b"1"])
        # Let the rest arrive in libzmq's queue; it cannot be asked how much it holds.
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
        assert most <= 2 * TURN_MESSAGES


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
        assert most <= 2 * (TURN_BYTES // size + 2)


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
        assert waited <= 3 * TURN_MESSAGES
        pusher.close.set()
        pusher.join(PATIENCE)


def test_endless_parts_are_thrown_away_in_bounded_shares() -> None:
    turn = TURN_MESSAGES
    with (
        bridge() as running,
        push_socket(running.addresses[0]) as hostile,
        push_socket(running.addresses[0]) as backend,
    ):
        steps = 0
        pull = running.node.pull._sockets[0]
        read_share = pull.read_share

        receive = pull._receive

        def count(socket: Any, is_skipping: bool, most: int, most_bytes: int) -> Any:
            """Count what is read, in steps."""
            nonlocal steps
            outcome = receive(socket, is_skipping, most, most_bytes)
            steps += outcome[1]
            return outcome

        most = 0

        def counting() -> bool:
            nonlocal most
            before = steps
            is_empty = read_share()
            most = max(most, steps - before)
            return is_empty

        pull._receive = count
        pull.read_share = counting  # type: ignore[method-assign]
        hostile.send_multipart([b"t", b"1"])
        for parts in (20_000, 5, 4):
            hostile.send_multipart([b"t"] * parts)
            hostile.send_multipart([b"t", b"2", b"{}"])
        backend.send_multipart([b"t", b"3"])
        running.until(lambda: len(running.seen) == 5)
        assert sorted(numbers(running.seen)) == [1, 2, 2, 2, 3]
        assert running.refused() == {Refusal.WRONG_PART_COUNT: 3}
        assert most <= turn


def test_a_peer_lost_in_the_middle_of_endless_parts_leaves_the_next_push_whole() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        pull = running.node.pull._sockets[0]
        with push_socket(running.addresses[0]) as hostile:
            hostile.send_multipart([b"t", b"1"])
            hostile.send_multipart([b"t"] * 20_000)
            running.until(lambda: pull._skipping)
        backend.send_multipart([b"t", b"2"])
        running.until(lambda: len(running.seen) == 2)
        assert numbers(running.seen) == [1, 2]
        assert running.refused() == {Refusal.WRONG_PART_COUNT: 1}


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


def test_a_paused_socket_does_not_keep_the_reactor_busy() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        backend.send_multipart([b"t", b"0"])
        running.until(lambda: bool(running.seen))
        pull: Any = running.node.pull._sockets[0]
        running.pressure.hold(Hold.TOTAL)
        backend.send_multipart([b"t", b"1"])
        running.until(lambda: pull not in reactor.getReaders())
        running.turns(5)
        assert len(running.seen) == 1
        running.pressure.release(Hold.TOTAL)
        assert pull in reactor.getReaders()
        running.until(lambda: len(running.seen) == 2)
        backend.send_multipart([b"t", b"2"])
        running.until(lambda: len(running.seen) == 3)


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


def test_the_next_turn_looks_for_pushes_unless_they_pause() -> None:
    with bridge() as running:
        scheduled: list[bool] = []

        def look() -> None:
            running.node.pull.read_next()
            scheduled.append(running.node.pull._sockets[0].read_scheduled is not None)

        running.pressure.hold(Hold.FLUSHING)
        look()
        running.pressure.release(Hold.FLUSHING)
        running.turns(3)
        scheduled.append(running.node.pull._sockets[0].read_scheduled is not None)
        look()
        look()
        running.turns(3)
        scheduled.append(running.node.pull._sockets[0].read_scheduled is not None)
        assert scheduled == [False, False, True, True, False]


def test_a_publication_that_pauses_in_the_middle_of_a_share() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        publish = running._publish

        def pausing(publication: Publication) -> int:
            running.pressure.hold(Hold.FLUSHING)
            reactor.callLater(0, running.pressure.release, Hold.FLUSHING)
            return publish(publication)

        running.node.broker._router.publish = pausing  # type: ignore[method-assign]
        for number in range(5000):
            backend.send_multipart([b"t", str(number).encode()])
            if number % 500 == 0:
                # Nobody else reads: the queues of both sockets must never be full.
                running.until(lambda number=number: number - len(running.seen) < 500)  # type: ignore[misc]
        running.until(lambda: len(running.seen) == 5000)


@pytest.mark.parametrize(
    ("address", "problem", "remedy"),
    [
        ("tcp://127.0.0.1:{port}", "in use", "choose another address with --pull"),
        ("tcp://192.0.2.1:5555", "assign requested address", "an address of this machine"),
        ("ipc:///nowhere/at/all", "No such file", "the folder of ipc://PATH must exist"),
        ("bogus", "nvalid", "tcp://HOST:PORT"),
        ("connect:tcp://127.0.0.1", "nvalid", "preceded by connect:"),
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


def test_an_ipc_address_spares_a_file_that_is_no_socket(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    with (
        pytest.raises(ListenError, match="not a socket is in the way; remove it"),
        bridge(f"ipc://{file}"),
    ):
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
        (pull,) = running.node.pull._sockets
        # Nothing is read before the drain.
        running.pressure.hold(Hold.TOTAL)
        with push_socket(running.addresses[0]) as backend:
            backend.set(zmq.LINGER, int(PATIENCE * 1000))
            for _ in range(1000):
                backend.send_multipart([b"t", b'"' + b"x" * size + b'"'])
            # Reading the state makes libzmq take in the new connection.
            running.until(lambda: bool(pull.socket.get(zmq.EVENTS) & zmq.POLLIN))
        # The backend has sent everything and is gone; libzmq closes its side at the last byte.
        port = int(running.addresses[0].rpartition(":")[2])
        running.until(lambda: not has_open_connections(port))
        running.pressure.release(Hold.TOTAL)
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


def test_drain_stops_where_clients_cannot_follow() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        (pull,) = running.node.pull._sockets
        running.pressure.hold(Hold.CROWD)
        for _ in range(900):
            backend.send_multipart([b"t", b'"' + b"x" * 5000 + b'"'])
        running.until(lambda: bool(pull.socket.get(zmq.EVENTS) & zmq.POLLIN))
        running.node.pull.drain()
        # One share before the address is given up and one after it.
        assert 0 < len(running.seen) <= 2 * (TURN_BYTES // 5000 + 1)


def test_drain_reads_before_and_after_it_gives_up_the_address() -> None:
    with bridge() as running:
        (pull,) = running.node.pull._sockets
        steps: list[str] = []
        stop_listening = pull._stop_listening

        def read_share() -> bool:
            steps.append("read")
            return True

        def stop() -> None:
            steps.append("stop")
            stop_listening()

        pull.read_share = read_share  # type: ignore[method-assign]
        pull._stop_listening = stop  # type: ignore[method-assign]
        running.node.pull.drain()
        assert steps == ["read", "stop", "read"]


def test_a_socket_that_drains_is_not_read_by_the_reactor_any_more() -> None:
    with bridge() as running:
        (pull,) = running.node.pull._sockets
        running.node.pull.drain()
        states = [pull._state]
        # Otherwise its descriptor, which nobody asks any more, would keep the reactor busy.
        assert pull not in reactor.getReaders()
        pull.wake()
        assert pull.read_scheduled is None
        pull.doRead()
        assert running.seen == []
    states.append(pull._state)
    assert states == [SocketState.DRAINING, SocketState.CLOSED]
    # The reactor may still call a reader that was removed in the same turn.
    pull.doRead()


def test_states_follow_each_other_without_return() -> None:
    assert MOVES.keys() == set(SocketState)
    order = list(SocketState)
    for before, successors in MOVES.items():
        assert all(order.index(after) > order.index(before) for after in successors)
    assert MOVES[SocketState.CLOSED] == frozenset()


def test_pushes_are_timed_from_the_beginning_of_their_share() -> None:
    with bridge() as running, push_socket(running.addresses[0]) as backend:
        fanout = running.node.broker.fanout
        publish = running._publish

        def publish_to_one(publication: Publication) -> int:
            # Stands for a receiver.
            fanout.expect()
            return publish(publication)

        running.node.broker._router.publish = publish_to_one  # type: ignore[method-assign]
        backend.send_multipart([b"t", b"1"])
        running.until(lambda: bool(running.seen))
        assert fanout.push_timer.durations.count == 1
        assert 0 <= fanout.push_timer.durations.total < PATIENCE


def test_a_socket_says_why_it_takes_no_pushes(tmp_path: Path) -> None:
    path = tmp_path / "push"
    with bridge(ANY, f"ipc://{path}", "connect:tcp://127.0.0.1:9") as running:
        pull = running.node.pull
        names = [ANY, f"ipc://{path}", "connect:tcp://127.0.0.1:9"]
        assert pull.problems() == [(name, "") for name in names]
        path.unlink()
        assert [problem for _, problem in pull.problems()] == ["", "its file has been removed", ""]
        pull.drain()
        assert {problem for _, problem in pull.problems()} == {"it takes nothing new"}
    assert {problem for _, problem in pull.problems()} == {"it is closed"}


def test_a_socket_that_is_not_open_yet_says_so() -> None:
    node = build(Settings(zmq=ZmqSettings(pull=(ANY,))), reactor, 10)
    assert node.pull.problems() == [(ANY, "it is not open yet")]
    node.pull.stop()


def test_a_socket_drains_once_it_is_alone() -> None:
    with bridge() as running:
        (pull,) = running.node.pull._sockets
        with push_socket(running.addresses[0]) as backend:
            backend.send_multipart([b"t", b"1"])
            running.until(lambda: len(running.seen) == 1)
            assert not pull.drain_if_alone(lambda: False)
            backend.send_multipart([b"t", b"2"])
            running.until(lambda: len(running.seen) == 2)
        running.until(lambda: pull.drain_if_alone(lambda: False))
        assert pull.problem == "it takes nothing new"
        assert pull.drain_if_alone(lambda: False)
        running.node.pull.drain()
    with bridge("connect:tcp://127.0.0.1:1") as running:
        (pull,) = running.node.pull._sockets
        assert not pull.drain_if_alone(lambda: False)
