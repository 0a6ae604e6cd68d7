"""Backends on real sockets: counted, limited, and reported when their handshake fails."""

from __future__ import annotations

import contextlib
import math
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.edges.zeromq.key_files import Keys
from tests.edges.zeromq.pull_world import ANY, Bridge, bridge, numbers, push_socket, reactor
from tests.support.waiting import PATIENCE, eventually
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.edges.zeromq.monitor import _has_unread, _silent_for
from wampush.errors import Refusal


@pytest.fixture(params=["tcp", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ANY if request.param == "tcp" else f"ipc://{tmp_path}/pushes"


@contextlib.contextmanager
def stranger(address: str, kind: int) -> Iterator[None]:
    context = zmq.Context()
    peer = context.socket(kind)
    peer.set(zmq.LINGER, 0)
    peer.connect(address)
    yield
    peer.close()
    context.term()


def refused(running: Bridge) -> dict[Refusal, int]:
    return {
        refusal: count
        for (source, refusal), count in running.node.broker.ledger.refused.items()
        if source is Source.CONNECTION
    }


def raw(address: str) -> socket.socket:
    if address.startswith("ipc://"):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(address.removeprefix("ipc://"))
        return peer
    return socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))


def test_backends_are_counted(address: str) -> None:
    with bridge(address) as running:
        pull = running.node.pull
        with push_socket(running.addresses[0]) as one, push_socket(running.addresses[0]):
            running.until(lambda: pull.connections == 2)
            one.send_multipart([b"t", b"1"])
            running.until(lambda: len(running.seen) == 1)
            # One that ends before its handshake is not counted as accepted.
            accepted = running.node.broker.ledger.accepted
            running.until(lambda: accepted[Source.CONNECTION] == 2)
        running.until(lambda: pull.connections == 0)
        assert accepted[Source.CONNECTION] == 2
        assert refused(running) == {}


@pytest.mark.parametrize("kind", [zmq.PUB, zmq.REQ])
def test_a_socket_of_the_wrong_type_is_reported(address: str, kind: int) -> None:
    with bridge(address) as running, stranger(running.addresses[0], kind):
        running.until(lambda: refused(running).get(Refusal.BACKEND_HANDSHAKE, 0) > 0)
        # libzmq may have closed the connection before its address was asked for.
        origins = "|".join(map(re.escape, (running.addresses[0], "127.0.0.1")))
        assert re.match(
            f"refused backend connection from ({origins}): backend-handshake: The ZeroMQ handshake "
            "failed; only PUSH sockets",
            running.lines[0],
        )
        assert len(running.lines) == 1


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"\x01\x00",
        b"\xff" + bytes(8) + b"\x7f\x01\x08\x00\x00",
        b"",
    ],
    ids=["HTTP", "ZMTP 1.0", "ZMTP 2.0", "nothing"],
)
def test_peers_without_zmtp_3_are_reported(address: str, beginning: bytes) -> None:
    with bridge(address) as running, raw(running.addresses[0]) as peer:
        peer.sendall(beginning)
        running.until(lambda: running.node.pull.connections == 1 or bool(refused(running)))
        # libzmq may have closed the connection already.
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_WR)
        running.until(lambda: refused(running) == {Refusal.BACKEND_HANDSHAKE: 1})
        running.until(lambda: running.node.pull.connections == 0)


def test_backends_beyond_the_limit_wait_until_one_leaves(address: str) -> None:
    with bridge(address, max_connections=2) as running:
        pull = running.node.pull
        with contextlib.ExitStack() as later:
            with push_socket(running.addresses[0]) as one, push_socket(running.addresses[0]):
                running.until(lambda: pull.connections == 2)
                third = later.enter_context(push_socket(running.addresses[0]))
                running.turns(300)
                assert pull.connections <= 2
                one.send_multipart([b"t", b'"inside"'])
                running.until(lambda: len(running.seen) == 1)
            third.send_multipart([b"t", b'"waited"'])
            running.until(lambda: len(running.seen) == 2)
        assert [each.payload for each in running.seen] == [b'"inside"', b'"waited"']


def test_connections_that_libzmq_accepted_meanwhile_are_ended(address: str) -> None:
    with bridge(address, max_connections=1) as running:
        # The reactor does not run, so the gate is not shut before all are in.
        peers = [raw(running.addresses[0]) for _ in range(5)]
        running.until(lambda: refused(running).get(Refusal.BACKEND_LIMIT) == 4)
        running.until(lambda: running.node.pull.connections == 1)
        for peer in peers:
            peer.close()
        running.until(lambda: running.node.pull.connections == 0)


def test_after_draining_nothing_is_watched(address: str, tmp_path: Path) -> None:
    with bridge(address, max_connections=1) as running:
        with push_socket(running.addresses[0]):
            running.until(lambda: running.node.pull.connections == 1)
            running.node.pull.drain()
            assert running.node.pull.connections == 0
        # libzmq leaves the file where it is.
        assert {each.name for each in tmp_path.iterdir()} <= {"pushes"}


#: Seconds in which the tests below stop listening. A backend that came back earlier would connect
#: to a socket that is closed unread; with a parent process, the next node has that socket, too.
TIME_TO_STOP = 2.0


def test_nothing_of_a_backend_that_is_dismissed_is_lost(address: str) -> None:
    with (
        bridge(address) as running,
        push_socket(running.addresses[0], reconnect_after=TIME_TO_STOP) as backend,
    ):
        sent = 0

        def push(to: Bridge, count: int) -> None:
            nonlocal sent
            for _ in range(count):
                backend.send_multipart([b"t", b"%d" % sent])
                sent += 1
                to.turns(1)

        push(running, 100)
        running.until(lambda: len(running.seen) == sent)
        while running.node.pull.connections:
            running.node.pull.dismiss_peers()
            push(running, 1)
        running.stop_listening()
        with bridge(running.addresses[0]) as successor:
            push(successor, 100)
            successor.until(lambda: len(running.seen) + len(successor.seen) >= sent)
            assert numbers([*running.seen, *successor.seen]) == list(range(sent))
        assert refused(running) == {}


def test_a_backend_that_is_held_loses_nothing_either(address: str) -> None:
    count = 40
    with bridge(address, high_water_mark=2) as running:
        pull = running.node.pull
        running.pressure.hold(Hold.TOTAL)
        with push_socket(running.addresses[0], reconnect_after=TIME_TO_STOP) as backend:
            for number in range(count):
                backend.send_multipart([b"t", b'"%d %s"' % (number, b"x" * 500_000)])
            running.until(lambda: pull._sockets[0].socket.get(zmq.EVENTS) & zmq.POLLIN)
            pull.dismiss_peers()
            running.turns(20)
            running.pressure.release(Hold.TOTAL)

            def is_dismissed() -> bool:
                pull.dismiss_peers()
                return pull.connections == 0

            running.until(is_dismissed)
            running.stop_listening()
            with bridge(running.addresses[0]) as successor:
                successor.until(lambda: len(running.seen) + len(successor.seen) >= count)
                assert numbers([*running.seen, *successor.seen]) == list(range(count))


def test_a_backend_that_libzmq_has_not_reported_yet_keeps_the_socket_open(address: str) -> None:
    with bridge(address) as running:
        (pull,) = running.node.pull._sockets
        with raw(running.addresses[0]):
            # The reactor does not turn, so that the monitor's events stay unread.
            assert running.node.pull.connections == 0
            assert not running.node.pull.stop_listening()
            assert pull.problem == ""
            running.until(lambda: running.node.pull.connections == 1)
            assert not running.node.pull.stop_listening()
        running.until(lambda: running.node.pull.connections == 0)
        with raw(running.addresses[0]):
            # Those that were kept away are let in again.
            running.until(lambda: running.node.pull.connections == 1)
        running.until(running.node.pull.stop_listening)
        assert pull.problem == "it takes nothing new"
        assert pull not in reactor.getReaders()
        assert running.node.pull.stop_listening()


def test_what_was_pushed_before_is_read_before_the_socket_closes(address: str) -> None:
    with bridge(address) as running:
        (pull,) = running.node.pull._sockets
        with push_socket(running.addresses[0]) as backend:
            running.pressure.hold(Hold.TOTAL)
            backend.set(zmq.LINGER, int(PATIENCE * 1000))
            backend.send_multipart([b"t", b"0"])
            # The reactor has a part in the handshake; from here on libzmq goes on alone.
            running.until(lambda: pull.socket.get(zmq.EVENTS) & zmq.POLLIN)
            for number in range(1, 500):
                backend.send_multipart([b"t", b"%d" % number])
        running.until(lambda: running.node.pull.connections == 0)
        # Pushes pause: reading goes on when they do not any more.
        assert not running.node.pull.stop_listening()
        assert pull.problem == ""
        running.pressure.release(Hold.TOTAL)
        running.until(running.node.pull.stop_listening)
        assert numbers(running.seen) == list(range(500))


def test_the_time_since_something_came_is_known_over_tcp() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as backend,
        listener.accept()[0] as peer,
    ):
        backend.send(b"x")
        eventually(lambda: _has_unread(peer), bool)
        eventually(lambda: _silent_for(peer), lambda seconds: 0.05 <= seconds < PATIENCE)
        eventually(
            lambda: (backend.send(b"x"), _silent_for(peer))[1], lambda seconds: seconds < 0.05
        )
    one, other = socket.socketpair()
    with one, other:
        assert _silent_for(one) == math.inf


def test_what_is_unread_is_seen() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert not _has_unread(one)
        other.send(b"x")
        assert _has_unread(one)


def test_vanished_hosts_are_noticed() -> None:
    with bridge() as running:
        pulling = running.node.pull._sockets[0].socket
        assert pulling.get(zmq.TCP_KEEPALIVE) == 1
        probes = pulling.get(zmq.TCP_KEEPALIVE_INTVL) * pulling.get(zmq.TCP_KEEPALIVE_CNT)
        assert pulling.get(zmq.TCP_KEEPALIVE_IDLE) + probes == 60


def test_a_host_that_closes_in_the_middle_is_named() -> None:
    with bridge() as running, raw(running.addresses[0]) as peer:
        running.until(lambda: running.node.pull.connections == 1)
        peer.shutdown(socket.SHUT_RDWR)
        running.until(lambda: refused(running) == {Refusal.BACKEND_HANDSHAKE: 1})
        assert running.lines[0].startswith("refused backend connection from 127.0.0.1: ")
        assert running.lines[0].endswith("The peer closed the connection.")


def test_a_backend_without_keys_is_reported_where_keys_are_required(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    files = {"curve_secret_key_file": str(keys.server_secret), "curve_client_keys": str(keys.known)}
    with bridge(ANY, **files) as running, push_socket(running.addresses[0]):
        running.until(lambda: Refusal.BACKEND_HANDSHAKE in refused(running))
        assert set(refused(running)) == {Refusal.BACKEND_HANDSHAKE}
