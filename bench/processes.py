"""The processes of a measurement: pinned to a core, observed in /proc, stopped by their id.

Owns: ports, cores, the server, the floor, the load generator, the publisher.
Must not import: the scenarios.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from bench.native import ROOT, BenchError, Programs

START_SECONDS = 30.0
STOP_SECONDS = 15.0
#: The topic of clients and publishers, if no other is named.
TOPIC = "bench"
#: The start of a command that runs only while nobody else needs its core, so that what puts a load
#: on the server does not delay what measures it.
GIVE_WAY = ("nice", "-n", "19")
#: Switches the extension in C off, in the server under measurement as well.
_PURE_PYTHON = "WAMPUSH_PURE_PYTHON"
_QUIET_SECONDS = 0.2
_QUIET_SHARE = 0.02


@cache
def cores() -> tuple[int, int]:
    """Return the core for the server and the one for everything else; the same if there is one.

    Decided by the first call, because the driver leaves the server's core after it.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 % len(allowed)]


def active_code() -> str:
    """Return which code the servers under measurement use: "C", or "Python: " and why."""
    process = spawn(
        cores()[1],
        [sys.executable, "-c", "from wampush.speedups import ACTIVE; print(ACTIVE)"],
        stdout=subprocess.PIPE,
    )
    shown, _ = process.communicate(timeout=START_SECONDS)
    if process.returncode:
        raise BenchError("wampush cannot be imported")
    return shown.strip()


@contextlib.contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Reserve ports on loopback.

    Each is held by a socket that is bound but does not listen; a server with SO_REUSEADDR may
    listen on the same port.
    """
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
            ports.append(holder.getsockname()[1])
        yield ports


def spawn(core: int, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start a program on a core.

    The caller's own core is changed for a moment, because a child inherits it.
    """
    before = os.sched_getaffinity(0)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name == _PURE_PYTHON or not name.startswith("WAMPUSH_")
    }
    environment["PYTHONPATH"] = str(ROOT)
    os.sched_setaffinity(0, {core})
    try:
        return subprocess.Popen(list(command), cwd=ROOT, env=environment, text=True, **options)
    finally:
        os.sched_setaffinity(0, before)


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a process, by force if it does not stop in time."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@dataclass(slots=True)
class Server:
    """A running server under measurement.

    :param pid: its process.
    :param port: where clients connect.
    :param feed: the port where the publisher sends.
    :param kind: how it sends, "zmq" or "tcp".
    :param http: the port for health checks; 0 for none.
    :param log: its output; None for the floor.
    :param process: its handle.
    """

    pid: int
    port: int
    feed: int
    kind: str
    http: int
    log: Path | None
    process: subprocess.Popen[str]

    def cpu(self) -> float:
        """Return the seconds of CPU of all its threads, with a resolution of a nanosecond."""
        return self._scheduled(0)

    def waited(self) -> float:
        """Return the seconds for which its threads were ready to run and waited for their core."""
        return self._scheduled(1)

    def _scheduled(self, column: int) -> float:
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += int((task / "schedstat").read_text().split()[column])
        return total / 1e9

    def memory(self, field: str = "VmRSS") -> int:
        """Return resident bytes; with ``VmHWM`` their peak since :meth:`forget_peak`."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise BenchError(f"the server under measurement (pid {self.pid}) has ended")

    def forget_peak(self) -> None:
        """Reset ``VmHWM``."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        """Return the number of open descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def health(self) -> dict[str, Any]:
        """Return the response of ``/healthz``; empty without an HTTP port."""
        if not self.http:
            return {}
        url = f"http://127.0.0.1:{self.http}/healthz"
        with urllib.request.urlopen(url, timeout=30) as response:
            document: dict[str, Any] = json.load(response)
            return document

    def total(self, name: str) -> float:
        """Return the sum of the samples of ``/metrics`` with this name, whatever their labels."""
        return self.totals(name)[0]

    def totals(self, *names: str) -> list[float]:
        """Return such a sum for each name, of the same moment."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.http}/metrics", timeout=30
        ) as response:
            text = response.read().decode()
        sums = []
        for name in names:
            found = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
            sums.append(sum(map(float, found)))
        return sums

    def settle(self, most: float = 30.0) -> None:
        """Wait until it is idle, that is, has used hardly any CPU for a while.

        :param most: the longest wait in seconds.
        """
        deadline = time.monotonic() + most
        quiet = 0
        before = self.cpu()
        while quiet < 2 and time.monotonic() < deadline:
            time.sleep(_QUIET_SECONDS)
            now = self.cpu()
            quiet = quiet + 1 if now - before < _QUIET_SECONDS * _QUIET_SHARE else 0
            before = now

    def complaints(self) -> int:
        """Return the number of tracebacks and unhandled errors in its log."""
        if self.log is None:
            return 0
        text = self.log.read_text(errors="replace")
        return text.count("Traceback") + text.count("Unhandled")


def wait_for_line(server: Server, ready: str) -> None:
    """Wait until the log of a server that starts has a text.

    :raises BenchError: it has ended, or does not become ready.
    """
    deadline = time.monotonic() + START_SECONDS
    assert server.log is not None
    while not server.log.exists() or ready not in server.log.read_text(errors="replace"):
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"the server did not start:\n{server.log.read_text()[-2000:]}")
        time.sleep(0.02)


@contextlib.contextmanager
def wampush(
    folder: Path,
    http: bool = False,
    watched: bool = False,
    config: Path | None = None,
    scheme: str = "tcp",
    most_files: int = 0,
    core: int | None = None,
) -> Iterator[Server]:
    """Run the daemon as users start it.

    :param folder: for its log.
    :param http: whether its HTTP port is on.
    :param watched: whether SIGUSR1 makes it count its timers; see ``bench.watched``.
    :param config: its TOML file.
    :param scheme: of its endpoint, "tcp" or "ssl".
    :param most_files: descriptors that it may open; 0 for the limit of this process.
    :param core: where it runs; None for the server's core.
    """
    twistd = Path(sys.executable).with_name("twistd")
    program = [sys.executable, "-m", "bench.watched"] if watched else [str(twistd)]
    if most_files:
        program = ["/bin/sh", "-c", f'ulimit -n {most_files}; exec "$@"', "sh", *program]
    with free_ports(3) as (port, feed, http_port), contextlib.ExitStack() as stack:
        endpoint = f"tcp:{http_port}:interface=127.0.0.1" if http else "off"
        log = folder / f"wampush-{port}.log"
        command = [*program, "-n", "--pidfile=", "wampush"]
        command += ["--listen", f"{scheme}:{port}:interface=127.0.0.1"]
        command += ["--pull", f"tcp://127.0.0.1:{feed}", "--http", endpoint]
        # The process that is measured, or killed, is the one that serves.
        command += ["--set=process.parent=false"]
        if config is not None:
            command += ["--config", str(config)]
        output = stack.enter_context(log.open("w"))
        process = spawn(
            cores()[0] if core is None else core,
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        stack.callback(stop, process)
        server = Server(process.pid, port, feed, "zmq", http_port if http else 0, log, process)
        wait_for_line(server, " publish: ")
        server.settle(5.0)
        yield server


@contextlib.contextmanager
def floor(
    programs: Programs, each_alone: bool = False, redis: int = 0, core: int | None = None
) -> Iterator[Server]:
    """Run the floor.

    :param each_alone: one send per event instead of one for all pending events.
    :param redis: the port of a Redis that joins it to others; 0 for none.
    :param core: where it runs; None for the server's core.
    """
    with free_ports(2) as (port, feed), contextlib.ExitStack() as stack:
        options = [*(["-1"] if each_alone else []), *(["-r", str(redis)] if redis else [])]
        process = spawn(
            cores()[0] if core is None else core,
            [str(programs.floor), *options, str(port), str(feed)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        stack.callback(stop, process)
        assert process.stdout is not None
        if process.stdout.readline().strip() != "listening":
            raise BenchError("the floor program did not start")
        yield Server(process.pid, port, feed, "tcp", 0, None, process)


class Load:
    """The load generator, connected to a server.

    :param programs: the program.
    :param server: the server it connects to.
    :param clients: how many clients it opens.
    :param options: its further options, see ``native/load.c``.
    :param seconds: its time limit after all clients are open.
    :param gives_way: whether it leaves its core to other processes; see :data:`GIVE_WAY`.
    """

    def __init__(
        self,
        programs: Programs,
        server: Server,
        clients: int,
        *options: str,
        seconds: float = 60.0,
        gives_way: bool = False,
    ) -> None:
        self._seconds = seconds
        command = [str(programs.load), "-n", str(clients), "-t", str(seconds), *options]
        if gives_way:
            command = [*GIVE_WAY, *command]
        self._process = spawn(
            cores()[1],
            [*command, str(server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        stop(self._process)

    def ready(self, clients: int, seconds: float = 120.0) -> dict[str, Any]:
        """Wait until all clients are open.

        :param clients: how many must be open.
        :raises BenchError: fewer are.
        """
        line = self._line(seconds)
        if line.get("open", 0) < clients:
            raise BenchError(f"only {line.get('open', 0)} of {clients} clients could connect")
        return line

    def wait(self, during: Callable[[], object] | None = None) -> dict[str, Any]:
        """Wait until every client has its events, and return what was received.

        :param during: called repeatedly while waiting.
        """
        deadline = time.monotonic() + self._seconds + 30.0
        stream = self._process.stdout
        assert stream is not None
        if during is not None:
            during()
            while not select.select([stream], [], [], 0.02)[0] and time.monotonic() < deadline:
                during()
        return self._line(max(1.0, deadline - time.monotonic()))

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Take its core away, so that nothing is read; the kernel still accepts what arrives."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def begin_part(self, number: int) -> None:
        """Count the latencies from now on for one of the parts in ``apart``; at first, it is 0.

        A part may begin again while it is under way; see ``native/load.c``.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()

    def finish(self) -> dict[str, Any]:
        """Stop it now and return what was received."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._line(30.0)

    def _line(self, seconds: float) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], seconds)[0]:
            raise BenchError(f"the load generator printed nothing for {seconds:.0f} s")
        text = stream.readline()
        if not text:
            raise BenchError("the load generator has ended early")
        line: dict[str, Any] = json.loads(text)
        return line


class Publisher:
    """Sends pushes to a server, from a process of its own; see ``bench.publisher``.

    :param server: where.
    :param count: pushes; 0 for as many as there are until :meth:`finish`.
    :param rate: pushes per second; 0 for as fast as they are accepted.
    :param size: bytes of a push.
    :param topic: of all pushes.
    :param topics: how many topics have pushes in turn; more than one have their number at the end.
    :param as_client: whether a WebSocket client publishes instead of a backend.
    :param gives_way: whether it leaves its core to other processes; see :data:`GIVE_WAY`.
    """

    def __init__(
        self,
        server: Server,
        count: int,
        rate: float,
        size: int,
        *,
        topic: str = TOPIC,
        topics: int = 1,
        as_client: bool = False,
        gives_way: bool = False,
    ) -> None:
        kind, port = ("client", server.port) if as_client else (server.kind, server.feed)
        arguments = [kind, str(port), str(count), str(rate), str(size), topic, str(topics)]
        self._process = spawn(
            cores()[1],
            [*(GIVE_WAY if gives_way else ()), sys.executable, "-m", "bench.publisher", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "connected":
            raise BenchError("the publisher could not connect")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        stop(self._process)

    def go(self) -> None:
        """Start publishing."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def finish(self) -> int:
        """Stop publishing; return how many pushes were sent, for a publisher without a count."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        return int(self._process.stdout.readline())

    def done(self) -> bool:
        """Return whether everything is sent."""
        return self._process.poll() is not None
