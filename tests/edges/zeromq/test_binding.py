"""Addresses that cannot be bound: files are spared, and errors say what to do."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
import zmq

from wampush.edges.zeromq.binding import refuse_taken_file, remedy_for
from wampush.errors import ListenError


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:5555", "ipc://@abstract", "inproc://x"])
def test_an_address_without_a_file_is_not_checked(address: str) -> None:
    refuse_taken_file(address)


def test_a_file_that_is_not_a_socket_is_spared(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(ListenError, match="not a socket is in the way; remove it"):
        refuse_taken_file(f"ipc://{path}")
    assert path.read_text() == "mine"


def test_a_socket_in_use_is_refused_and_a_dead_or_missing_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "pushes"
    refuse_taken_file(f"ipc://{path}")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with pytest.raises(ListenError, match="another program listens there"):
            refuse_taken_file(f"ipc://{path}")
    refuse_taken_file(f"ipc://{path}")


def test_a_program_with_a_full_queue_listens_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "pushes"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(0)
        waiting = []
        try:
            while True:
                client = socket.socket(socket.AF_UNIX)
                waiting.append(client)
                client.setblocking(False)
                client.connect(str(path))
        except BlockingIOError:
            pass
        with pytest.raises(ListenError, match="another program listens there"):
            refuse_taken_file(f"ipc://{path}")
        for client in waiting:
            client.close()


@pytest.mark.parametrize(
    ("address", "number", "remedy"),
    [
        ("tcp://*:5555", zmq.EADDRINUSE, "stop the other program"),
        ("tcp://192.0.2.1:5555", zmq.EADDRNOTAVAIL, "use an address of this machine"),
        ("tcp://eth9:5555", errno.ENODEV, "use an address of this machine"),
        ("tcp://*:80", errno.EACCES, "choose a port from 1024 on"),
        ("ipc:///nowhere", errno.EACCES, "this user must be allowed to write to it"),
        ("ipc:///nowhere", errno.ENOENT, "the folder of ipc://PATH must exist"),
        ("bogus", errno.EINVAL, "an address is tcp://HOST:PORT or ipc://PATH"),
    ],
)
def test_a_remedy_for_each_problem(address: str, number: int, remedy: str) -> None:
    assert remedy in remedy_for(address, zmq.ZMQError(number))


def test_a_program_that_has_hidden_its_file_while_it_is_full_is_not_replaced(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pushes"
    with socket.create_server(str(path), family=socket.AF_UNIX):
        path.rename(tmp_path / "pushes.full")
        with pytest.raises(ListenError, match="another program listens there"):
            refuse_taken_file(f"ipc://{path}")
    # What it leaves behind when it is killed does not matter.
    refuse_taken_file(f"ipc://{path}")
