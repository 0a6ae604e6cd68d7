"""Opening listening sockets."""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from wampush.parent.sockets.opening import (
    HIDDEN,
    opened_beside,
    opened_tcp,
    opened_unix,
    remove_file,
)
from wampush.parent.sockets.targets import PULL, WEBSOCKET, Listening, of_address
from wampush.tcp_options import TCP_NOTSENT_LOWAT, UNSENT_BYTES


def listening_at(kind: str, address: str) -> Listening:
    found = of_address(kind, address)
    assert found is not None
    return found


ANY = listening_at(WEBSOCKET, "tcp:0:interface=127.0.0.1")


def accepted(sockets: Sequence[socket.socket]) -> list[int]:
    """How many connections wait at each socket."""
    counts = []
    for each in sockets:
        count = 0
        while True:
            try:
                each.accept()[0].close()
            except BlockingIOError:
                break
            count += 1
        counts.append(count)
    return counts


def test_who_connects_before_a_node_serves_has_the_options_of_the_others() -> None:
    with opened_tcp(ANY) as first, opened_beside([first], ANY) as second:
        for each in (first, second):
            assert each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        client = socket.create_connection(first.getsockname(), timeout=20)
        with client, accepted_by((first, second)) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            unsent = connection.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)
            assert unsent == UNSENT_BYTES


def accepted_by(sockets: Sequence[socket.socket]) -> socket.socket:
    """The one connection that waits at one of these sockets."""
    ready, _, _ = select.select(sockets, (), (), 20)
    connection, _ = ready[0].accept()
    return connection


@pytest.mark.parametrize("host", ["127.0.0.1", r"\:\:1"])
def test_connections_are_spread_over_the_sockets_of_an_address(host: str) -> None:
    where = listening_at(WEBSOCKET, f"tcp:0:interface={host}")
    with ExitStack() as stack:
        sockets = [stack.enter_context(opened_tcp(where))]
        for _ in range(2):
            sockets.append(stack.enter_context(opened_beside(sockets, where)))
        name = sockets[0].getsockname()
        assert {each.getsockname() for each in sockets} == {name}
        for _ in range(90):
            socket.create_connection(name[:2], timeout=20).close()
        counts = accepted(sockets)
        assert sum(counts) == 90
        assert min(counts) > 0


def test_the_connections_of_one_socket_stay_while_another_is_closed() -> None:
    with opened_tcp(ANY) as one:
        with opened_beside([one], ANY) as two:
            for _ in range(20):
                socket.create_connection(one.getsockname(), timeout=20).close()
            before = accepted([two])[0]
        for _ in range(10):
            socket.create_connection(one.getsockname(), timeout=20).close()
        assert accepted([one]) == [20 - before + 10]


def test_another_program_at_the_address_is_found_even_if_it_shares() -> None:
    with opened_tcp(ANY) as one, opened_beside([one], ANY):
        port = one.getsockname()[1]
        taken = listening_at(WEBSOCKET, f"tcp:{port}:interface=127.0.0.1")
        with pytest.raises(OSError, match="Address already in use"):
            opened_tcp(taken)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = listening_at(WEBSOCKET, f"tcp:{port}:interface=127.0.0.1")
        with pytest.raises(OSError, match="Address already in use"):
            opened_tcp(taken)


def test_a_socket_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    before = {each.name for each in Path("/proc/self/fd").iterdir()}
    with pytest.raises(OSError):
        opened_tcp(listening_at(WEBSOCKET, "tcp:0:interface=192.0.2.1"))
    with pytest.raises(OSError):
        opened_unix(WEBSOCKET, listening_at(WEBSOCKET, f"unix:{tmp_path}/no/folder"))
    assert {each.name for each in Path("/proc/self/fd").iterdir()} == before


def test_a_file_has_its_mode_and_is_removed_if_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with opened_unix(WEBSOCKET, listening_at(WEBSOCKET, f"unix:{path}:mode=640")):
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o640
        remove_file(str(path), (found.st_dev, found.st_ino + 1))
        assert path.exists()
        remove_file(str(path), (found.st_dev, found.st_ino))
        assert not path.exists()


def test_what_a_process_that_was_killed_has_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for name in (path, Path(f"{path}{HIDDEN}")):
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(name))
            killed.listen()
    with opened_unix(PULL, listening_at(PULL, f"ipc://{path}")):
        assert not Path(f"{path}{HIDDEN}").exists()
        with pytest.raises(OSError, match="Address already in use"):
            opened_unix(PULL, listening_at(PULL, f"ipc://{path}"))
    file = tmp_path / "file"
    file.write_text("precious", encoding="utf-8")
    with pytest.raises(OSError, match="not a socket"):
        opened_unix(PULL, listening_at(PULL, f"ipc://{file}"))


def test_a_program_whose_queue_is_full_still_listens(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other, ExitStack() as stack:
        other.bind(str(path))
        other.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(str(path))
            except BlockingIOError:
                break
        with pytest.raises(OSError, match="Address already in use"):
            opened_unix(WEBSOCKET, listening_at(WEBSOCKET, f"unix:{path}"))


def test_abstract_addresses_have_no_file() -> None:
    name = f"wampush-opening-{os.getpid()}"
    with (
        opened_unix(PULL, listening_at(PULL, f"ipc://@{name}")),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(f"\0{name}")
