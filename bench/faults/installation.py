"""Three nodes, their Redis, and a proxy between each node and Redis.

Owns: the processes. Must not import: wampush.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from bench.faults.proxy import FaultyProxy
from bench.native import BenchError
from bench.processes import Server, cores, free_ports, spawn, stop, wait_for_line
from bench.redis_server import Redis

#: Seconds after which something that should have happened counts as not happening.
PATIENCE: Final = 60.0
_PAUSE_SECONDS: Final = 0.02
_READY: Final = re.compile(r" ready: wampush \S+, process (\d+)")
_SAMPLE: Final = re.compile(r"^(wampush_inputs_\w+)_total\{([^}]*)\} (\S+)$", re.MULTILINE)
_SETTINGS: Final = """\
[backplane]
url = "redis://127.0.0.1:{port}"
[process]
drain = 0.2
# A node that is stopped for a while is woken again, not replaced.
hang_timeout = 0
[limits]
connections_per_address = 0
[history]
max_bytes = 268_435_456
[[topics]]
match = "kept.*"
history = 1_000_000
max_bytes = 67_108_864
"""


async def until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until something holds.

    :param condition: asked again and again; it must not block.
    :raises BenchError: it does not.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"after {patience:g} s still not: {what}")
        await asyncio.sleep(_PAUSE_SECONDS)


async def until_later(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until something holds.

    :param condition: asked again and again in a thread; it may block.
    :raises BenchError: it does not.
    """
    deadline = time.monotonic() + patience
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise BenchError(f"after {patience:g} s still not: {what}")
        await asyncio.sleep(_PAUSE_SECONDS)


class Node:
    """A daemon with a parent process.

    :param name: of its log.
    :param folder: for its configuration and log.
    :param proxy: its way to Redis.
    :param program: the command that is twistd.
    """

    def __init__(
        self, name: str, folder: Path, proxy: FaultyProxy, program: tuple[str, ...]
    ) -> None:
        self.name = name
        self.proxy = proxy
        self._folder = folder
        self._program = program
        self._ports = contextlib.ExitStack()
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """The running daemon; its process is the parent."""
        assert self._server is not None
        return self._server

    @property
    def log(self) -> str:
        """Everything that it has written."""
        path = self.server.log
        assert path is not None
        return path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The process that serves."""
        return int(_READY.findall(self.log)[-1])

    @property
    def starts(self) -> int:
        """How many processes have begun to serve."""
        return len(_READY.findall(self.log))

    def start(self) -> None:
        """Start it, and wait until it serves."""
        folder = self._folder
        config, log = folder / f"{self.name}.toml", folder / f"{self.name}.log"
        config.write_text(_SETTINGS.format(port=self.proxy.port))
        port, feed, http = self._ports.enter_context(free_ports(3))
        command = [*self._program, "-n", "--pidfile=", "wampush", "--config", str(config)]
        command += ["--listen", f"tcp:{port}:interface=127.0.0.1"]
        command += ["--pull", f"tcp://127.0.0.1:{feed}"]
        command += ["--http", f"tcp:{http}:interface=127.0.0.1"]
        with log.open("w") as output:
            process = spawn(
                cores()[0], command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        os.sched_setaffinity(process.pid, set(cores()))
        self._server = Server(process.pid, port, feed, "zmq", http, log, process)
        wait_for_line(self._server, "serving: node is process ")

    def stop(self) -> None:
        """Stop it."""
        if self._server is not None:
            stop(self._server.process)
        self._ports.close()

    def is_joined(self) -> bool:
        """Return whether it is joined to the other nodes; False also when it does not answer."""
        url = f"http://127.0.0.1:{self.server.http}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def inputs(self, source: str) -> dict[str, int]:
        """Return how many inputs of one source were received, accepted and refused."""
        url = f"http://127.0.0.1:{self.server.http}/metrics"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            text = response.read().decode()
        counts = dict.fromkeys(("received", "accepted", "refused"), 0)
        for name, labels, value in _SAMPLE.findall(text):
            if f'source="{source}"' in labels:
                counts[name.removeprefix("wampush_inputs_")] += int(float(value))
        return counts

    def losses(self) -> int:
        """Return how often it has lost its link to Redis."""
        return int(self.server.health()["backplane"]["losses"])

    def refusals(self, reason: str) -> int:
        """Return how many inputs were refused for a reason."""
        found: int = self.server.health()["refusals"].get(reason, 0)
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that serves."""
        os.kill(self.pid, number)

    async def upgrade(self) -> None:
        """Replace the process that serves by a new one, and wait until the old one has ended."""
        begun = self.starts
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children")
        os.kill(self.server.pid, signal.SIGUSR2)
        await until(lambda: self.starts > begun, f"{self.name} is upgraded")
        await until(
            lambda: len(children.read_text().split()) == 1, f"the old process of {self.name} ends"
        )


class Installation:
    """Nodes and Redis.

    :param folder: for what they write.
    :param redis: keeps everything on disk, so that it may be killed.
    :param nodes: the daemons.
    """

    def __init__(self, folder: Path, redis: Redis, nodes: list[Node]) -> None:
        self.folder = folder
        self.redis = redis
        self.nodes = nodes

    async def joined(self) -> None:
        """Wait until all nodes are joined."""
        for each in self.nodes:
            await until_later(each.is_joined, f"{each.name} is joined to the others")

    async def followed(self, topic: str, nodes: int) -> None:
        """Wait until nodes follow a topic at Redis.

        :param nodes: how many at least.
        """
        await until_later(
            lambda: self.redis.followers(topic) >= nodes, f"{nodes} nodes follow {topic}"
        )

    def complaints(self) -> list[str]:
        """Return what no node should have written."""
        return [
            f"a traceback in the log of {each.name}:\n{each.log[-3000:]}"
            for each in self.nodes
            if "Traceback" in each.log or "Unhandled" in each.log
        ]


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Installation]:
    """Run an installation, in which the messages of the last node are of a later version.

    :param folder: for what it writes.
    """
    usual = (str(Path(sys.executable).with_name("twistd")),)
    newer = (sys.executable, "-m", "bench.faults.newer_node")
    programs = (usual, usual, newer)
    with free_ports(1) as (port,):
        redis = Redis(folder, port, "--appendonly", "yes", "--appendfsync", "always")
        proxies = [FaultyProxy(port) for _ in programs]
        nodes = [
            Node(f"node{number}", folder, proxy, program)
            for number, (proxy, program) in enumerate(zip(proxies, programs, strict=True))
        ]
        try:
            await asyncio.to_thread(redis.start)
            for proxy in proxies:
                await proxy.start()
            await asyncio.gather(*(asyncio.to_thread(each.start) for each in nodes))
            installation = Installation(folder, redis, nodes)
            await installation.joined()
            yield installation
        finally:
            redis.resume()
            await asyncio.gather(*(asyncio.to_thread(each.stop) for each in nodes))
            await asyncio.gather(*(each.stop() for each in proxies))
            await asyncio.to_thread(redis.stop)
