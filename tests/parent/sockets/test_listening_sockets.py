"""The listening sockets that stay open while nodes come and go."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from wampush.parent.sockets import listening_sockets
from wampush.parent.sockets.listening_sockets import ListeningSockets, NotManaged, description_of
from wampush.parent.sockets.targets import HTTP, PULL, WEBSOCKET
from wampush.testing.ports import reserved_ports

ANY = "tcp:0:interface=127.0.0.1"


@pytest.fixture
def sockets() -> Iterator[ListeningSockets]:
    made = ListeningSockets()
    yield made
    made.close((WEBSOCKET, HTTP, PULL))


def test_an_address_has_one_socket_whoever_asks(sockets: ListeningSockets) -> None:
    first = sockets.get(WEBSOCKET, ANY)
    assert sockets.get(WEBSOCKET, ANY) is first
    assert sockets.get(WEBSOCKET, ANY, 1) is not first
    assert sockets.get(HTTP, ANY) is not first
    assert not first.getblocking()
    with socket.create_connection(first.getsockname()):
        pass


def test_a_port_may_change_its_use(sockets: ListeningSockets) -> None:
    with reserved_ports(1) as (port,):
        opened = sockets.get(WEBSOCKET, f"tcp:{port}:interface=127.0.0.1")
        assert sockets.get(HTTP, f"ssl:{port}:interface=127.0.0.1") is opened
        sockets.close((WEBSOCKET,))
        assert opened.fileno() >= 0
        sockets.close((HTTP,))
        assert opened.fileno() == -1


def test_ipv6(sockets: ListeningSockets) -> None:
    opened = sockets.get(WEBSOCKET, r"tcp:0:interface=\:\:1")
    assert opened.getsockname()[0] == "::1"


def test_sockets_that_are_not_used_any_more_are_closed(
    sockets: ListeningSockets, tmp_path: Path
) -> None:
    kept = sockets.get(WEBSOCKET, ANY)
    other = sockets.get(WEBSOCKET, f"unix:{tmp_path}/other")
    sockets.keep_only([(WEBSOCKET, ANY, 0), (WEBSOCKET, "onion:80", 0)])
    assert kept.fileno() >= 0
    assert other.fileno() == -1
    assert not (tmp_path / "other").exists()


def test_only_the_node_can_open_other_kinds(sockets: ListeningSockets) -> None:
    with pytest.raises(NotManaged):
        sockets.get(PULL, "ipc://*")


def test_a_taken_port_is_refused(sockets: ListeningSockets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError) as raised:
            sockets.get(WEBSOCKET, f"tcp:{port}:interface=127.0.0.1")
    assert description_of(raised.value) == {
        "errno": errno.EADDRINUSE,
        "problem": "Address already in use",
        "is_name": False,
    }


def test_a_port_of_this_server_on_another_interface(sockets: ListeningSockets) -> None:
    with reserved_ports(1) as (port,):
        sockets.get(WEBSOCKET, f"tcp:{port}")
        with pytest.raises(OSError, match=f"this server has port {port} on another interface"):
            sockets.get(WEBSOCKET, f"tcp:{port}:interface=127.0.0.1")


def test_a_name_that_is_not_known(sockets: ListeningSockets) -> None:
    with pytest.raises(socket.gaierror) as raised:
        sockets.get(WEBSOCKET, "tcp:0:interface=no-such-host.invalid")
    assert description_of(raised.value)["is_name"]


# Workers.


def test_each_worker_has_a_socket_of_its_own(sockets: ListeningSockets) -> None:
    one = sockets.get(WEBSOCKET, ANY)
    two = sockets.get(WEBSOCKET, ANY, 0, 2)
    assert two is not one
    assert two.getsockname() == one.getsockname()
    assert sockets.get(WEBSOCKET, ANY, 0, 2) is two
    assert dict(sockets.of_workers(WEBSOCKET, ANY, 0, 3)) == {
        1: one,
        2: two,
        3: sockets.get(WEBSOCKET, ANY, 0, 3),
    }
    sockets.keep_only([], 2)
    assert (one.fileno() >= 0, two.fileno()) == (True, -1)
    assert sockets.get(WEBSOCKET, ANY, 0, 2).getsockname() == one.getsockname()


def test_workers_share_what_cannot_be_had_twice(sockets: ListeningSockets, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    address = f"unix:{path}"
    assert [worker for worker, _ in sockets.of_workers(WEBSOCKET, address, 0, 2)] == [1]
    shared = sockets.get(WEBSOCKET, address)
    assert sockets.get(WEBSOCKET, address, 0, 2) is shared
    sockets.keep_only([], 1)
    assert shared.fileno() >= 0
    assert path.exists()
    sockets.keep_only([], 2)
    assert shared.fileno() == -1
    assert not path.exists()


def test_a_port_of_several_workers_is_taken_for_others(sockets: ListeningSockets) -> None:
    list(sockets.of_workers(WEBSOCKET, ANY, 0, 2))
    port = sockets.get(WEBSOCKET, ANY).getsockname()[1]
    with pytest.raises(OSError, match="Address already in use"):
        ListeningSockets().get(WEBSOCKET, f"tcp:{port}:interface=127.0.0.1")


def accepted(opened: socket.socket) -> int:
    """How many connections have waited."""
    for count in range(1000):
        try:
            opened.accept()[0].close()
        except BlockingIOError:
            return count
    raise AssertionError


def test_connections_go_to_workers_that_serve(sockets: ListeningSockets, tmp_path: Path) -> None:
    opened = dict(sockets.of_workers(WEBSOCKET, ANY, 0, 4))
    sockets.get(WEBSOCKET, f"unix:{tmp_path}/socket")
    sockets.get(HTTP, ANY)
    name = opened[1].getsockname()
    # The last one is in its place now.
    sockets.keep_only([], 2)
    for serving in ([1, 3], [4], [3, 4], [], [1, 3, 4]):
        assert sockets.steer(serving) == ""
        for _ in range(60):
            socket.create_connection(name, timeout=20).close()
        got = {worker for worker in (1, 3, 4) if accepted(opened[worker])}
        assert got == set(serving or (1, 3, 4))


def test_a_system_that_does_not_steer(
    sockets: ListeningSockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(92, "Protocol not available")

    monkeypatch.setattr(listening_sockets, "steer", fail)
    assert sockets.steer([1]) == ""
    list(sockets.of_workers(WEBSOCKET, ANY, 0, 2))
    assert sockets.steer([1]) == "Protocol not available"


def test_only_the_worker_whose_node_has_ended_lets_backends_in(
    sockets: ListeningSockets, tmp_path: Path
) -> None:
    path = tmp_path / "pushes"
    sockets.get(PULL, f"ipc://{path}")
    path.rename(f"{path}.full")
    sockets.let_in(2)
    assert not path.exists()
    sockets.let_in(1)
    assert path.exists()


# Files.


def test_a_file_has_its_mode_from_the_start_and_goes_at_the_end(
    sockets: ListeningSockets, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    sockets.get(WEBSOCKET, f"unix:{path}:mode=640")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    sockets.close((WEBSOCKET,))
    assert not path.exists()


def test_another_mode_counts_as_soon_as_a_node_serves_with_it(
    sockets: ListeningSockets, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    before = (WEBSOCKET, f"unix:{path}:mode=666", 0)
    after = (WEBSOCKET, f"unix:{path}:mode=600", 0)
    opened = sockets.get(*before)
    path.chmod(0o660)
    sockets.keep_only([before])
    assert stat.S_IMODE(path.stat().st_mode) == 0o660, "what an operator has set by hand"
    assert sockets.get(*after) is opened
    assert stat.S_IMODE(path.stat().st_mode) == 0o660, "the new node may fail"
    sockets.keep_only([after])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    sockets.keep_only([before])


def test_the_file_of_a_killed_process_is_replaced(
    sockets: ListeningSockets, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    opened = sockets.get(PULL, f"ipc://{path}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert opened.fileno() >= 0


def test_what_others_use_is_left_alone(sockets: ListeningSockets, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious", encoding="utf-8")
    with pytest.raises(OSError, match="not a socket"):
        sockets.get(PULL, f"ipc://{file}")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other"))
        other.listen()
        with pytest.raises(OSError, match="Address already in use"):
            sockets.get(PULL, f"ipc://{tmp_path}/other")
    assert file.read_text(encoding="utf-8") == "precious"


def test_a_file_that_another_program_has_put_there_stays(
    sockets: ListeningSockets, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    sockets.get(WEBSOCKET, f"unix:{path}")
    path.unlink()
    path.write_text("another", encoding="utf-8")
    sockets.close((WEBSOCKET,))
    assert path.read_text(encoding="utf-8") == "another"


def test_abstract_addresses_have_no_file(sockets: ListeningSockets) -> None:
    name = f"wampush-test-{os.getpid()}"
    sockets.get(PULL, f"ipc://@{name}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{name}")


def test_a_gate_that_a_node_has_shut_is_opened(
    sockets: ListeningSockets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pushes"
    sockets.get(PULL, f"ipc://{path}")
    sockets.get(PULL, "tcp://127.0.0.1:*")
    sockets.get(WEBSOCKET, ANY)
    removed: list[socket.socket] = []
    monkeypatch.setattr(listening_sockets, "_remove_filter", removed.append)
    path.rename(f"{path}.full")
    sockets.let_in()
    assert path.exists()
    assert len(removed) == 1


def test_a_filter_is_removed(sockets: ListeningSockets) -> None:
    import ctypes
    import struct

    listening = sockets.get(PULL, "tcp://127.0.0.1:*")
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0), 8)
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    listening.setsockopt(socket.SOL_SOCKET, 26, program)
    sockets.let_in()
    sockets.let_in()
    with socket.create_connection(listening.getsockname(), timeout=10):
        pass


# Sockets of other processes.


def test_a_socket_of_the_process_before_is_taken_over(tmp_path: Path) -> None:
    before = ListeningSockets()
    address = f"unix:{tmp_path}/socket"
    opened = before.get(WEBSOCKET, address)
    after = ListeningSockets()
    after.adopt(WEBSOCKET, address, 0, 1, opened.dup())
    after.adopt(WEBSOCKET, "onion:80", 0, 1, socket.socket())
    opened.close()
    assert after.get(WEBSOCKET, address).getsockname() == f"{tmp_path}/socket"
    after.close((WEBSOCKET,))
    assert not (tmp_path / "socket").exists()


def test_sockets_of_several_workers_are_taken_over(sockets: ListeningSockets) -> None:
    before = dict(ListeningSockets().of_workers(WEBSOCKET, ANY, 0, 2))
    for worker, opened in before.items():
        sockets.adopt(WEBSOCKET, ANY, 0, worker, opened)
    assert sockets.get(WEBSOCKET, ANY, 0, 2) is before[2]
    assert sockets.get(WEBSOCKET, ANY) is before[1]


def test_sockets_of_a_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        monkeypatch.setattr(listening_sockets, "_FIRST_PASSED", passed.fileno())
        sockets = ListeningSockets(["web"])
        for address in ("systemd:domain=INET:index=0", "systemd:domain=INET:name=web"):
            assert sockets.get(WEBSOCKET, address).getsockname() == passed.getsockname()
        for address in ("systemd:domain=INET:index=1", "systemd:domain=INET:name=other"):
            with pytest.raises(NotManaged):
                sockets.get(WEBSOCKET, address)
        sockets.close((WEBSOCKET,))


def test_programs_do_not_get_sockets_of_a_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        passed.set_inheritable(True)
        monkeypatch.setattr(listening_sockets, "_FIRST_PASSED", passed.fileno())
        ListeningSockets(["web"]).keep_from_children()
        assert not passed.get_inheritable()
