"""New connections are kept away from a listening socket; those that exist stay."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from wampush.edges.zeromq.accept_gate import HIDDEN, Gate


def connect(listener: socket.socket, seconds: float = 5.0) -> socket.socket:
    client = socket.socket(listener.family)
    client.settimeout(seconds)
    try:
        client.connect(listener.getsockname())
    except OSError:
        client.close()
        raise
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="SO_ATTACH_FILTER is an option of Linux")
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_tcp_connections_wait_until_the_gate_is_open(
    family: socket.AddressFamily, host: str
) -> None:
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    listener = socket.create_server((host, 0), family=family)
    gate = Gate(listener.dup())
    with listener, connect(listener) as client:
        accepted, _ = listener.accept()
        gate.shut()
        gate.shut()
        with pytest.raises(TimeoutError):
            connect(listener, 0.3)
        client.sendall(b"still here")
        assert accepted.recv(100) == b"still here"
        accepted.close()
        gate.open()
        connect(listener).close()
        gate.shut()
        gate.release()
        connect(listener).close()


def test_the_file_of_a_unix_socket_has_another_name_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "pushes"
    listener = socket.create_server(str(path), family=socket.AF_UNIX)
    gate = Gate(listener.dup())
    with listener:
        gate.shut()
        assert [each.name for each in tmp_path.iterdir()] == ["pushes" + HIDDEN]
        with pytest.raises(FileNotFoundError):
            connect(listener)
        gate.open()
        assert [each.name for each in tmp_path.iterdir()] == ["pushes"]
        connect(listener).close()
        gate.shut()
        gate.release()
        assert [each.name for each in tmp_path.iterdir()] == ["pushes"]


def test_what_another_program_put_there_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "pushes"
    with socket.create_server(str(path), family=socket.AF_UNIX) as listener:
        gate = Gate(listener.dup())
        gate.shut()
        path.write_text("other", encoding="utf-8")
        gate.open()
        assert path.read_text(encoding="utf-8") == "other"
        # It is not tried again.
        gate.shut()
        assert path.read_text(encoding="utf-8") == "other"
        gate.release()


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_another_process_may_open_the_gate_of_a_socket_that_both_have(
    kind: str, tmp_path: Path
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0))
        if kind == "tcp"
        else socket.create_server(str(tmp_path / "pushes"), family=socket.AF_UNIX)
    ) as listener:
        ours, theirs = Gate(listener.dup()), Gate(listener.dup())
        ours.shut()
        theirs._is_open = False
        theirs.open()
        ours.open()
        connect(listener).close()
        # It can be shut again.
        ours.shut()
        with pytest.raises(OSError):
            connect(listener, 0.1)
        ours.release()
        theirs.release()


def test_connections_that_wait_to_be_accepted_are_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gate = Gate(listener.dup())
        assert not gate.has_waiting()
        with connect(listener):
            assert gate.has_waiting()
            gate.shut()
            assert gate.has_waiting()
            listener.accept()[0].close()
            assert not gate.has_waiting()
        gate.release()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are a feature of Linux")
def test_an_abstract_name_cannot_be_hidden() -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(b"\0wampush-test-of-a-gate")
    listener.listen()
    gate = Gate(listener.dup())
    with listener:
        gate.shut()
        connect(listener).close()
        gate.release()
