"""Several workers: what becomes of clients when one crashes, and when all are replaced."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.e2e.test_parent import MOST_KIB, connecting, parent_of
from tests.support.daemon import Daemon
from tests.support.raw_client import RawClient
from tests.support.redis_server import RedisServer, running_redis, until_followed
from tests.support.waiting import PATIENCE, eventually
from wampush.cli.command import main
from wampush.testing.ports import reserved_ports
from wampush.testing.running_server import READY

COUNT = 2
#: Enough connections to reach every worker; a miss is less likely than a broken machine.
MANY = 40


class Workers(Daemon):
    """A daemon with several workers, joined by a Redis.

    :param folder: for its configuration file.
    :param ports: for WebSocket, ZeroMQ and HTTP.
    :param redis: its server.
    """

    def __init__(self, folder: Path, ports: list[int], redis: RedisServer) -> None:
        self.config = folder / "wampush.toml"
        self.redis = redis
        self.configure(COUNT)
        super().__init__(ports, cwd=folder, extra=["--config", str(self.config)], has_parent=True)

    def configure(self, workers: int) -> None:
        """Write the configuration file."""
        self.config.write_text(
            f'[backplane]\nurl = "{self.redis.url}"\n'
            f'[process]\nworkers = {workers}\ndrain = "1s"\nready_timeout = 60\n',
            encoding="utf-8",
        )

    def nodes(self, worker: int) -> list[int]:
        """The process ids of all nodes of a worker so far, the newest last."""
        return [
            int(each)
            for each in re.findall(rf"worker {worker}: ready: wampush \S+, process (\d+)", self.log)
        ]

    def wait_for_nodes(self, count: int) -> None:
        """Wait until so many nodes have served."""
        self.wait_for_log(lambda log: log.count(READY) >= count, 60.0)

    def answers(self) -> set[int]:
        """The workers that answer at the HTTP port."""
        return {self.health()["worker"] for _ in range(MANY)}


@contextmanager
def workers(folder: Path) -> Iterator[Workers]:
    with running_redis(folder) as redis, reserved_ports(3) as ports:
        daemon = Workers(folder, ports, redis)
        try:
            daemon.wait_for_nodes(COUNT)
            yield daemon
            daemon.stop()
        finally:
            daemon.kill()


def assert_served_once(daemon: Workers, topic: str) -> None:
    """A push reaches the clients of all workers, each once."""
    context = zmq.Context()
    with ExitStack() as stack:
        push = stack.enter_context(context.socket(zmq.PUSH))
        push.set(zmq.LINGER, 0)
        push.connect(daemon.zmq_address)
        clients = [stack.enter_context(RawClient(daemon.websocket_port)) for _ in range(MANY)]
        for each in clients:
            each.subscribe(topic)
        until_followed(daemon.redis, topic, COUNT)
        for number in range(3):
            push.send_multipart([topic.encode(), str(number).encode()])
        for each in clients:
            for number in range(3):
                assert each.receive() == [8, topic, number]
    context.term()


def outcome_of(command: str, daemon: Workers, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``wampush upgrade`` or ``wampush reload`` prints."""
    assert main([command, "--pid", str(daemon.pid)]) == 0
    return capsys.readouterr().out


def test_clients_of_several_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with workers(tmp_path) as daemon:
        one, two = daemon.nodes(1)[0], daemon.nodes(2)[0]
        assert [parent_of(one), parent_of(two)] == [daemon.pid] * COUNT
        health = daemon.health()
        assert health["workers"] == COUNT
        assert daemon.answers() == {1, 2}
        # Each knows the whole.
        health = eventually(daemon.health, lambda found: found["all"]["nodes"] == COUNT)
        assert {each["node"].rpartition("/")[2] for each in health["nodes"]} == {"1", "2"}
        with urllib.request.urlopen(f"{daemon.http_url}/metrics", timeout=PATIENCE) as response:
            metrics = response.read().decode()
        up = re.findall(r'^wampush_worker_up{worker="(.)"} 1.0$', metrics, re.MULTILINE)
        assert up == ["1", "2"]
        assert_served_once(daemon, "first")

        # One crashes; nobody is refused, and the sessions of the other one go on.
        with ExitStack() as stack:
            clients = [stack.enter_context(RawClient(daemon.websocket_port)) for _ in range(MANY)]
            for each in clients:
                each.subscribe("kept")
            with connecting(daemon.websocket_port) as refusals:
                os.kill(two, signal.SIGKILL)
                daemon.wait_for_line(f"worker 2: process {two} has ended: it was ended by SIGKILL")
                # New ones get to the other worker, or wait.
                for _ in range(MANY):
                    with RawClient(daemon.websocket_port):
                        pass
                daemon.wait_for_nodes(COUNT + 1)
                assert_served_once(daemon, "after the crash")
            assert refusals == []
            assert daemon.nodes(1) == [one]
            left = [each for each in clients if is_open(each)]
            assert 0 < len(left) < MANY

            # An upgrade moves all sessions, one worker after the other.
            with connecting(daemon.websocket_port) as refusals:
                text = outcome_of("upgrade", daemon, capsys)
                daemon.wait_for_nodes(2 * COUNT + 1)
            assert refusals == []
            first, *lines = text.splitlines()
            assert re.fullmatch(r"upgrade: workers 1 and 2 replaced in [\d.]+ s", first)
            assert [line.partition(":")[0] for line in lines] == ["worker 1", "worker 2"]
            assert f"{len(left)} sessions" in lines[0]
            for each in left:
                each.send(7, "kept", 1, False)
                break
            for each in left:
                assert each.receive() == [8, "kept", 1]
        assert_served_once(daemon, "after the upgrade")
        assert daemon.answers() == {1, 2}
        status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
        memory = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert memory is not None
        assert int(memory[1]) < MOST_KIB

        # A configuration with one worker less.
        retired = daemon.nodes(2)[-1]
        daemon.configure(1)
        assert outcome_of("reload", daemon, capsys).startswith("reload: worker 1 replaced in ")
        eventually(Path(f"/proc/{retired}").exists, lambda exists: not exists, PATIENCE)
        assert daemon.answers() == {1}
        assert daemon.health()["workers"] == 1


def is_open(client: RawClient) -> bool:
    """Whether the server has not ended a connection."""
    try:
        client.send(2, "call", "http://example.com/none")
        message: Any = client.receive()
    except (ConnectionError, AssertionError):
        return False
    return bool(message[:2] == [4, "call"])


def test_several_workers_without_what_joins_them_do_not_start(tmp_path: Path) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text("[process]\nworkers = 4\n", encoding="utf-8")
    with reserved_ports(3) as ports:
        daemon = Daemon(ports, cwd=tmp_path, extra=["--config", str(config)], has_parent=True)
        try:
            daemon.wait_for_line("process.workers = 4 needs backplane.url")
        finally:
            daemon.kill()
