"""The daemon in a process of its own: start, refusals to start, precedence, stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from tests.edges.websocket.in_memory import frames, masked, request
from tests.support.daemon import Daemon, running_daemon, twistd_command
from tests.support.fork_server.client import CopiedProcess
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.process import Process
from wampush.testing.running_server import READY

HERE = ("--listen", "tcp:0:interface=127.0.0.1", "--pull", "tcp://127.0.0.1:*", "--http", "off")


def environment(**more: str) -> dict[str, str]:
    """This environment without settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WAMPUSH_")}
    return kept | more


def start(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the daemon where it must not start."""
    return subprocess.run(
        [*twistd_command(), "wampush", *arguments],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def running(
    cwd: Path, *arguments: str, is_copy: bool = True, **variables: str
) -> Iterator[Process]:
    """A daemon with these arguments, started and at last stopped.

    :param is_copy: whether it is a copy, and without a parent; otherwise the command starts it.
    """
    command = [*twistd_command(), "wampush", *arguments]
    if is_copy:
        command.append("--set=process.parent=false")
    kind = CopiedProcess if is_copy else Process
    process = kind(command, cwd=cwd, environment=environment(**variables))
    try:
        process.wait_for_line(READY)
        yield process
        assert process.terminate() == -signal.SIGTERM, process.log
        assert "Traceback" not in process.log, process.log
    finally:
        process.kill()


def websocket_port(process: Process) -> int:
    found = re.search(r"WAMP v1 on ws://127\.0\.0\.1:(\d+)/", process.log)
    assert found, process.log
    return int(found[1])


# Refusals to start.

REFUSED: Mapping[str, tuple[Sequence[str], Mapping[str, str], Sequence[str]]] = {
    "unknown option": (["--bogus"], {}, ["--bogus", "--help"]),
    "endpoint that is none": (
        ["--listen", "nonsense:0:x", *HERE[2:]],
        {},
        ["cannot listen on nonsense:0:x", "tcp:8080:interface=127.0.0.1"],
    ),
    "address that is not ours": (
        ["--listen", "tcp:0:interface=192.0.2.1", *HERE[2:]],
        {},
        ["cannot listen on tcp:0:interface=192.0.2.1", "an address of this machine"],
    ),
    "pull address that is not ours": (
        [*HERE[:2], "--pull", "tcp://192.0.2.1:5555", *HERE[4:]],
        {},
        ["cannot listen on tcp://192.0.2.1:5555"],
    ),
    "http endpoint that is none": (
        [*HERE[:4], "--http", "nonsense:1"],
        {},
        ["nonsense:1", "endpoint"],
    ),
    "unknown environment variable": (
        [],
        {"WAMPUSH_WEBSOCKET_LISTN": "tcp:0"},
        ["WAMPUSH_WEBSOCKET_LISTN", "did you mean", "WAMPUSH_WEBSOCKET_LISTEN"],
    ),
}


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("wampush: ")
    for word in words:
        assert word in line
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(("arguments", "variables", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_an_operator_can_mend_is_one_line(
    arguments: Sequence[str], variables: Mapping[str, str], words: Sequence[str], tmp_path: Path
) -> None:
    assert_one_line(start(*arguments, cwd=tmp_path, **variables), *words)


def test_each_mistake_of_the_configuration_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[websocket]\nlisten = 8080\npung = 1\n")
    done = start("--config", "bad.toml", "--set", "limits.topics=0", cwd=tmp_path)
    assert done.returncode == 1
    assert [line.partition(" = ")[0] for line in done.stderr.splitlines()] == [
        "wampush: bad.toml:2: websocket.listen",
        "wampush: bad.toml:3: websocket.pung",
        "wampush: command line: limits.topics",
    ]


def test_ports_in_use_are_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        endpoint = f"tcp:{port}:interface=127.0.0.1"
        for arguments, words in (
            (["--listen", endpoint, *HERE[2:]], [f"cannot listen on {endpoint}: Address already"]),
            (
                [*HERE[:2], "--pull", f"tcp://127.0.0.1:{port}", *HERE[4:]],
                [f"cannot listen on tcp://127.0.0.1:{port}: Address already in use", "--pull"],
            ),
            ([*HERE[:4], "--http", endpoint], [f"cannot listen on {endpoint}", "another"]),
        ):
            assert_one_line(start(*arguments, cwd=tmp_path), *words)


def test_help_and_version(tmp_path: Path) -> None:
    done = start("--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in ("--listen", "--pull", "--http", "--config"):
        assert option in done.stdout
    done = start("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("wampush ")


# Start lines.


def test_each_listener_has_its_line(tmp_path: Path) -> None:
    pushes = f"ipc://{tmp_path}/pushes"
    with running(
        tmp_path,
        *HERE[:4],
        *("--listen", "tcp:0:interface=127.0.0.1"),
        *("--listen", f"unix:{tmp_path}/socket"),
        *("--pull", pushes),
        *("--http", "tcp:0:interface=127.0.0.1"),
        is_copy=False,
    ) as process:
        log = process.log
        assert len(re.findall(r"WAMP v1 on ws://127\.0\.0\.1:\d+/", log)) == 2
        assert f"{tmp_path}/socket" in log
        assert log.count("WAMP v1 on") == 3
        assert len(re.findall(r"pulling pushes from tcp://127\.0\.0\.1:\d+", log)) == 1
        assert f"pulling pushes from {pushes}" in log
        assert log.count("pulling pushes from") == 2
        assert len(re.findall(r"health on http://127\.0\.0\.1:\d+/healthz", log)) == 1
        assert re.search(
            r"open descriptors: the limit is \d+, it was \d+; at most \d+ clients", log
        )
        assert "clients of this machine may publish: every WebSocket listener is on loopback" in log


def test_the_limit_of_descriptors_bounds_the_clients(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", 'ulimit -Sn 64; ulimit -Hn 500; exec "$@"', "sh"]
    process = Process([*command, *twistd_command(), "wampush", *HERE], cwd=tmp_path)
    try:
        process.wait_for_line(READY)
        assert "the limit is 500, it was 64; at most 279 clients" in process.log
        process.terminate()
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("publish", "line"),
    [
        ("auto", "clients of this machine may publish: every WebSocket listener is on loopback"),
        ("always", 'clients may publish: clients.publish = "always"'),
        ("never", 'clients may not publish: clients.publish = "never"'),
    ],
)
def test_with_permissions_the_line_about_publishing_is_about_the_rest(
    tmp_path: Path, publish: str, line: str
) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(
        f'[clients]\npublish = "{publish}"\n'
        '[[permissions]]\nmatch = "chat.*"\nactions = ["publish"]\nto = ["authenticated"]\n',
        encoding="utf-8",
    )
    with running(tmp_path, *HERE, "--config", str(path)) as process:
        assert f"where no permission decides, {line}" in process.log


def test_a_listener_for_everybody_takes_the_right_to_publish(tmp_path: Path) -> None:
    with running(tmp_path, *HERE, "--listen", "tcp:0") as process:
        assert "clients may not publish: a WebSocket listener is not on loopback" in process.log
        assert 'clients.publish = "always"' in process.log
        with RawClient(websocket_port(process)) as client:
            client.subscribe("t")
            client.send(7, "t", 1, False)
            client.send(2, "after", "p")
            assert client.receive()[:2] == [4, "after"]
        process.wait_for_line("publish-forbidden")


@pytest.mark.parametrize("choice", ["always", "never"])
def test_the_right_to_publish_can_be_decided(choice: str, tmp_path: Path) -> None:
    with running(tmp_path, *HERE, WAMPUSH_CLIENTS_PUBLISH=choice) as process:
        may = "may" if choice == "always" else "may not"
        assert f'clients {may} publish: clients.publish = "{choice}"' in process.log
        with RawClient(websocket_port(process)) as client:
            client.subscribe("t")
            client.send(7, "t", 1, False)
            client.send(2, "after", "p")
            answer = client.receive()
            assert answer == [8, "t", 1] if choice == "always" else answer[0] == 4


def test_clients_over_a_unix_socket(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with (
        running(tmp_path, "--listen", f"unix:{path}", *HERE[2:]),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(PATIENCE)
        client.connect(path)
        client.sendall(request() + masked(b'[5,"t"]') + masked(b'[7,"t",[1],false]'))
        data = b""
        while b'[8,"t",[1]]' not in data:
            received = client.recv(65536)
            assert received, data
            data += received


# Precedence.


def test_options_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        '[websocket]\nlisten = ["tcp:0:interface=127.0.0.1"]\nrequire_subprotocol = false\n'
        'max_header_bytes = 600\n[zmq]\npull = ["tcp://127.0.0.1:*"]\n[http]\nlisten = "off"\n'
        '[clients]\npublish = "never"\n'
    )
    with running(
        tmp_path,
        *("--listen", f"unix:{tmp_path}/from-option"),
        is_copy=False,
        WAMPUSH_CONFIG=str(file),
        WAMPUSH_WEBSOCKET_LISTEN=f"unix:{tmp_path}/from-environment",
        WAMPUSH_ZMQ_PULL=f"ipc://{tmp_path}/first,ipc://{tmp_path}/second",
        WAMPUSH_CLIENTS_PUBLISH="always",
    ) as process:
        log = process.log
        assert "from-option" in log
        assert "from-environment" not in log
        assert log.count("WAMP v1 on") == 1
        assert f"pulling pushes from ipc://{tmp_path}/first" in log
        assert f"pulling pushes from ipc://{tmp_path}/second" in log
        assert log.count("pulling pushes from") == 2
        assert 'clients.publish = "always"' in log
        assert "health on" not in log, "the file says off"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(f"{tmp_path}/from-option")
            client.sendall(request(subprotocol=None))
            assert client.recv(65536).startswith(b"HTTP/1.1 101 "), "as the file says"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(f"{tmp_path}/from-option")
            client.sendall(request("X: " + "x" * 600))
            assert client.recv(65536).startswith(b"HTTP/1.1 431 ")


# The end.


class Sluggish:
    """A subscriber that reads when it is told to, through a small buffer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(request() + masked(b'[5,"t"]') + masked(b'[2,"settled","p"]'))
        self.data = b""
        while b'"settled"' not in self.data:
            self.data += self.socket.recv(4096)

    def read_to_the_end(self) -> None:
        while received := self.socket.recv(65536):
            self.data += received

    def events(self) -> list[object]:
        found = frames(self.data.partition(b"\r\n\r\n")[2])
        assert not [each for each in found if each.first == 0x88], "a Close frame ends a page"
        messages = [json.loads(each.payload) for each in found if each.first == 0x81]
        return [message[2] for message in messages if message[0] == 8]


@contextmanager
def backend(daemon: Daemon) -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.set(zmq.LINGER, 0)
    push.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
    push.connect(daemon.zmq_address)
    try:
        yield push
    finally:
        push.close()
        context.term()


def test_sigterm_delivers_what_was_published_and_drops_tcp(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon, backend(daemon) as push:
        slow = Sluggish(daemon.websocket_port)
        count = 400
        with RawClient(daemon.websocket_port) as quick:
            quick.subscribe("t")
            for number in range(count):
                push.send_multipart([b"t", json.dumps([number, "x" * 2000]).encode()])
            assert [quick.receive()[2][0] for _ in range(count)] == list(range(count))
            os.kill(daemon.pid, signal.SIGTERM)
            # The last of the quick client's bytes: an end without a Close frame.
            assert quick._stream.read() == b""
        slow.read_to_the_end()
        slow.socket.close()
        events = slow.events()
        assert [event[0] for event in events if isinstance(event, list)] == list(range(count))
        assert daemon.wait() == -signal.SIGTERM


def test_sigterm_delivers_pushes_that_have_arrived_in_order(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon, backend(daemon) as push:
        with RawClient(daemon.websocket_port) as client:
            client.subscribe("t")
            for number in range(500):
                push.send_multipart([b"t", str(number).encode()])
            seen = [client.receive()[2]]
            os.kill(daemon.pid, signal.SIGTERM)
            for number in range(500, 600):
                push.send_multipart([b"t", str(number).encode()])
            rest = frames(client._stream.read())
            assert not [each for each in rest if each.first == 0x88]
            seen += [json.loads(each.payload)[2] for each in rest]
        assert seen == list(range(len(seen))), "a part of the sequence, from its start"
        assert daemon.wait() == -signal.SIGTERM


def test_a_client_that_reads_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    variables = environment(
        WAMPUSH_CLIENTS_QUEUE_BYTES="100000000",
        WAMPUSH_LIMITS_QUEUED_BYTES_PER_ADDRESS="100000000",
        WAMPUSH_PROCESS_DRAIN="1",
    )
    with running_daemon(tmp_path, environment=variables) as daemon, backend(daemon) as push:
        stuck = Sluggish(daemon.websocket_port)
        half_open = socket.create_connection(("127.0.0.1", daemon.websocket_port))
        half_open.sendall(b"GET / HT")
        with RawClient(daemon.websocket_port) as quick:
            quick.subscribe("t")
            # More than the kernel keeps for a connection.
            for number in range(4000):
                push.send_multipart([b"t", json.dumps([number, "x" * 2000]).encode()])
            for number in range(4000):
                assert quick.receive()[2][0] == number
        assert daemon.terminate() == -signal.SIGTERM
        stuck.socket.close()
        half_open.close()


def test_a_second_sigterm_ends_the_wait(tmp_path: Path) -> None:
    variables = environment(
        WAMPUSH_CLIENTS_QUEUE_BYTES="100000000",
        WAMPUSH_LIMITS_QUEUED_BYTES_PER_ADDRESS="100000000",
    )
    with running_daemon(tmp_path, environment=variables) as daemon, backend(daemon) as push:
        stuck = Sluggish(daemon.websocket_port)
        with RawClient(daemon.websocket_port) as quick:
            quick.subscribe("t")
            for number in range(4000):
                push.send_multipart([b"t", json.dumps([number, "x" * 2000]).encode()])
            for number in range(4000):
                assert quick.receive()[2][0] == number
        eventually(daemon.health, lambda health: health["connections"] == 1)
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.wait_for_line("stopping: 1 connections have 10 s")
        # Keys are read again by a daemon that serves; the signal's default would be the end.
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("SIGHUP: nothing to reload")
        os.kill(daemon.pid, signal.SIGTERM)
        assert daemon.wait() == -signal.SIGTERM
        # Nothing happened between the signal and the end, such as the end of the wait.
        lines = [line.partition("] ")[2] for line in daemon.lines]
        at = lines.index("a second signal: ending at once, with 1 connections open")
        assert lines[at + 1].startswith("stopped: 4000 pushes and ")
        assert "Traceback" not in daemon.log
        stuck.socket.close()


def test_a_refused_listener_leaves_no_other_open(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    done = start("--listen", f"unix:{path}", "--listen", "tcp:0:interface=192.0.2.1", *HERE[2:],
                 cwd=tmp_path)  # fmt: skip
    assert_one_line(done, "192.0.2.1")
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(OSError):
        client.connect(str(path))
