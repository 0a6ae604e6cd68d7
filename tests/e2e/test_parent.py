"""The parent process: what becomes of connections and pushes when nodes crash, hang and change."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.support.daemon import Daemon, twistd_command
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports
from wampush.testing.running_server import READY

#: What the parent may have in memory.
MOST_KIB = 25 * 1024


class Family(Daemon):
    """A daemon with a parent, whose configuration file can be changed.

    :param folder: for the file.
    :param ports: for WebSocket, ZeroMQ and HTTP.
    :param is_durable: whether events of the topic ``kept`` are stored.
    """

    def __init__(self, folder: Path, ports: list[int], *, is_durable: bool = False) -> None:
        self.is_durable = is_durable
        self.config = folder / "wampush.toml"
        self.configure("")
        super().__init__(ports, cwd=folder, extra=["--config", str(self.config)], has_parent=True)

    def configure(self, text: str) -> None:
        """Write the configuration file."""
        process = "[process]\nhang_timeout = 3\nready_timeout = 30\ndrain = 1\n"
        if self.is_durable:
            process += f'[history]\ndatabase = "{self.config}.sqlite"\n'
            process += '[[topics]]\nmatch = "kept"\nhistory = 10\ndurable = true\n'
        self.config.write_text(f"{text}\n{process}", encoding="utf-8")

    @property
    def nodes(self) -> list[int]:
        """The process ids of all nodes so far, the newest last."""
        return [int(each) for each in re.findall(r" ready: wampush \S+, process (\d+)", self.log)]

    def wait_for_node(self, count: int) -> int:
        """Wait until so many nodes have served; return the process id of the newest."""
        self.wait_for_log(lambda log: log.count(READY) >= count, 60.0)
        return self.nodes[-1]


@contextlib.contextmanager
def family(folder: Path, *, is_durable: bool = False) -> Iterator[Family]:
    with reserved_ports(3) as ports:
        daemon = Family(folder, ports, is_durable=is_durable)
        try:
            daemon.wait_until_ready()
            yield daemon
            daemon.stop()
        finally:
            daemon.kill()


@contextlib.contextmanager
def connecting(port: int) -> Iterator[list[OSError]]:
    """Connect again and again meanwhile; yields the refusals."""
    refusals: list[OSError] = []
    is_over = threading.Event()

    def connect() -> None:
        while not is_over.wait(0.01):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
            except OSError as error:
                refusals.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        yield refusals
    finally:
        is_over.set()
        thread.join()


def assert_served(daemon: Family) -> None:
    """A push reaches a client."""
    context = zmq.Context()
    with context.socket(zmq.PUSH) as push, RawClient(daemon.websocket_port) as client:
        push.set(zmq.LINGER, 0)
        push.connect(daemon.zmq_address)
        client.subscribe("t")
        push.send_multipart([b"t", b"1"])
        assert client.receive() == [8, "t", 1]
    context.term()


def parent_of(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[1])


def test_a_node_that_crashes_or_hangs_is_replaced_and_nobody_is_refused(tmp_path: Path) -> None:
    with family(tmp_path) as daemon:
        first = daemon.wait_for_node(1)
        assert parent_of(first) == daemon.pid
        status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
        memory = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert memory is not None
        assert int(memory[1]) < MOST_KIB
        assert_served(daemon)
        with connecting(daemon.websocket_port) as refusals:
            os.kill(first, signal.SIGKILL)
            second = daemon.wait_for_node(2)
            assert_served(daemon)
            os.kill(second, signal.SIGSTOP)
            third = daemon.wait_for_node(3)
            assert_served(daemon)
        assert refusals == []
        assert len({first, second, third}) == 3
        assert f"process {first} has ended: it was ended by SIGKILL" in daemon.log
        assert f"process {second} hangs: it gave no sign of life for 3 s" in daemon.log


def test_an_upgrade_that_fails_changes_nothing_and_one_that_works_serves(tmp_path: Path) -> None:
    app = tmp_path / "upgraded_app.py"
    with family(tmp_path, is_durable=True) as daemon:
        app.write_text("raise RuntimeError('the new version is broken')\n", encoding="utf-8")
        daemon.configure('apps = ["upgraded_app:app"]')
        with RawClient(daemon.websocket_port) as client:
            client.subscribe("t")
            client.subscribe("kept")
            os.kill(daemon.pid, signal.SIGUSR2)
            daemon.wait_for_line("upgrade failed, the running one goes on")
            (line,) = [each for each in daemon.lines if "upgrade failed" in each]
            assert "the new version is broken" in line
            client.send(7, "t", 1, False)
            assert client.receive() == [8, "t", 1]
            app.write_text("from wampush.apps import App\n\napp = App()\n", encoding="utf-8")
            with connecting(daemon.websocket_port) as refusals:
                os.kill(daemon.pid, signal.SIGUSR2)
                daemon.wait_for_node(2)
                assert_served(daemon)
            assert refusals == []
            # The same connection, in another process.
            client.send(7, "t", 2, False)
            assert client.receive() == [8, "t", 1]
            assert client.receive() == [8, "t", 2]
            client.send(7, "kept", 3, False)
            assert client.receive()[:3] == [8, "kept", 3]
        daemon.wait_for_line("upgrade: process ", "Server Shut Down")
        eventually(lambda: Path(f"/proc/{daemon.nodes[0]}").exists(), lambda exists: not exists)


def test_a_reload_reads_keys_again_and_changes_listeners(tmp_path: Path) -> None:
    with family(tmp_path) as daemon:
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("reload: keys and certificates were read again")
        daemon.configure("[websocket]\nlistn = 1")
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("a restart would fail", "websocket.listn")
        assert len(daemon.nodes) == 1
        daemon.configure("[limits]\ntopics = 7\n[zmq]\nhigh_water_mark = 10")
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_node(2)
        daemon.wait_for_line("reload: zmq.high_water_mark, limits.topics changed")
        assert_served(daemon)


def test_the_end_of_the_parent_is_the_end_of_the_node(tmp_path: Path) -> None:
    with reserved_ports(3) as ports:
        daemon = Family(tmp_path, ports)
        try:
            daemon.wait_until_ready()
            node = daemon.wait_for_node(1)
            daemon.kill()
            eventually(lambda: Path(f"/proc/{node}").exists(), lambda exists: not exists)
            daemon.wait_for_line("the parent process has ended; stopping")
        finally:
            daemon.kill()


def test_twistd_in_the_background_has_a_pid_file_and_one_log(tmp_path: Path) -> None:
    pid_file, log = tmp_path / "wampush.pid", tmp_path / "wampush.log"
    command = [twistd_command()[0], f"--pidfile={pid_file}", f"--logfile={log}", "wampush"]
    listen = f"unix:{tmp_path / 'ws'}"
    options = ["--listen", listen, "--pull", f"ipc://{tmp_path / 'push'}", "--http", "off"]
    done = subprocess.run(
        [*command, *options],
        cwd=tmp_path,
        env={**os.environ, "WAMPUSH_PROCESS_DRAIN": "1s"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    pid = 0
    try:
        assert (done.returncode, done.stderr) == (0, "")
        pid = int(pid_file.read_text(encoding="ascii"))
        # The start is over when the node serves.
        text = log.read_text(encoding="utf-8")
        assert READY in text
        assert "[wampush.parent#info] serving" in text
        os.kill(pid, signal.SIGUSR1)
        eventually((tmp_path / "wampush.log.1").exists, bool)
        os.kill(pid, signal.SIGTERM)
        eventually(pid_file.exists, lambda exists: not exists)
        assert "Server Shut Down" in log.read_text(encoding="utf-8")
        assert not (tmp_path / "ws").exists()
        assert not (tmp_path / "push").exists()
    finally:
        if pid and Path(f"/proc/{pid}").exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_start_in_the_background_that_fails_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listen = f"tcp:{port}:interface=127.0.0.1"
        command = [twistd_command()[0], f"--pidfile={tmp_path / 'pid'}", "wampush"]
        done = subprocess.run(
            [*command, "--listen", listen, "--pull", f"ipc://{tmp_path / 'push'}"],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "log file for more information" in done.stderr
    text = (tmp_path / "twistd.log").read_text(encoding="utf-8")
    assert f"wampush: cannot listen on {listen}: Address already in use" in text
    assert not (tmp_path / "pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its account")
def test_the_node_gives_up_its_privileges(tmp_path: Path) -> None:
    user = 65534
    command = [*twistd_command(), "--uid", str(user), "--gid", str(user)]
    with reserved_ports(3) as ports:
        daemon = Daemon(
            ports,
            cwd=tmp_path,
            twistd=command,
            extra=["--pull", f"ipc://{tmp_path / 'push'}"],
            has_parent=True,
        )
        try:
            daemon.wait_until_ready()
            (node,) = re.findall(r" ready: wampush \S+, process (\d+)", daemon.log)
            assert Path(f"/proc/{node}").stat().st_uid == user
            assert (tmp_path / "push").stat().st_uid == user
            daemon.stop()
        finally:
            daemon.kill()
