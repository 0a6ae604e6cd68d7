"""Sockets of a library are looked at through a copy that leaves nothing behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE
from wampush.edges.zeromq.borrowed_sockets import BorrowedSockets, accepted_by


@pytest.fixture
def borrowed() -> Iterator[BorrowedSockets]:
    borrowed = BorrowedSockets()
    yield borrowed
    borrowed.close()


def test_a_copy_speaks_for_the_socket(borrowed: BorrowedSockets) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        accepted, _ = listener.accept()
        with accepted, borrowed.borrow(accepted.fileno()) as copy:
            assert copy is not None
            assert copy.getpeername() == client.getsockname()
            assert accepted_by(copy, listener)


def test_the_connection_ends_when_the_library_closes_it(borrowed: BorrowedSockets) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with borrowed.borrow(ours.fileno()):
            pass
        ours.close()
        theirs.settimeout(PATIENCE)
        assert theirs.recv(1) == b""


def test_what_is_not_a_socket_any_more_is_not_lent(
    borrowed: BorrowedSockets, tmp_path: Path
) -> None:
    number = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    with borrowed.borrow(number) as copy:
        assert copy is None
    os.close(number)
    with borrowed.borrow(number) as copy:
        assert copy is None


def test_no_descriptor_is_needed(borrowed: BorrowedSockets) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        before = set(Path("/proc/self/fd").iterdir())
        with borrowed.borrow(ours.fileno()) as copy:
            assert copy is not None
            assert set(Path("/proc/self/fd").iterdir()) == before


def test_connections_of_other_listeners(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_server(str(tmp_path / "s"), family=socket.AF_UNIX) as unix,
        socket.create_connection(one.getsockname()),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(tmp_path / "s"))
        accepted, local = one.accept()[0], unix.accept()[0]
        with (
            accepted,
            local,
            socket.create_server(("127.0.0.2", one.getsockname()[1])) as neighbour,
            socket.create_server(("", 0)) as anywhere,
            socket.create_connection(("127.0.0.1", anywhere.getsockname()[1])),
            anywhere.accept()[0] as from_anywhere,
        ):
            assert accepted_by(from_anywhere, anywhere)
            assert not accepted_by(accepted, neighbour)
            assert accepted_by(accepted, one)
            assert not accepted_by(accepted, other)
            assert not accepted_by(accepted, unix)
            assert accepted_by(local, unix)


def test_connections_of_this_process_are_found(borrowed: BorrowedSockets, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_server(str(tmp_path / "s"), family=socket.AF_UNIX) as unix,
        socket.create_connection(one.getsockname()),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(tmp_path / "s"))
        # A copy of the listener does not count as a connection.
        with one.dup():
            assert not any(map(borrowed.has_accepted, (one, other, unix)))
        with one.accept()[0], unix.accept()[0]:
            assert [borrowed.has_accepted(each) for each in (one, other, unix)] == [
                True,
                False,
                True,
            ]
        assert not any(map(borrowed.has_accepted, (one, other, unix)))
