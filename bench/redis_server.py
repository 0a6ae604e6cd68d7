"""A redis-server of a measurement.

Owns: its process. Must not import: wampush, scenarios.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from bench.native import BenchError
from bench.processes import START_SECONDS, cores, spawn, stop


class Redis:
    """A redis-server on a port of this machine.

    :param folder: where it keeps what its options tell it to keep.
    :param port: its port.
    :param options: further options.
    """

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.port = port
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers.

        :raises BenchError: it is not installed, or does not start.
        """
        program = shutil.which("redis-server")
        if program is None:
            raise BenchError("redis-server is missing: apt-get install redis-server")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder), *self._options]
        self._process = spawn(
            cores()[0],
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise BenchError("redis-server does not answer")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it."""
        process, self._process = self._process, None
        if process is not None:
            stop(process)

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self.stop()

    def forget(self) -> None:
        """Remove what it keeps on disk, while it does not run."""
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)

    def pause(self) -> None:
        """Stop it with SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used."""
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks) / 1e9

    def channels(self) -> int:
        """Return how many channels have subscribers."""
        text = self._ask(b"INFO STATS\r\n")
        return int(text.partition(b"pubsub_channels:")[2].split(b"\r\n")[0])

    def followers(self, topic: str) -> int:
        """Return how many nodes follow a topic."""
        text = self._ask(b"PUBSUB NUMSUB wampush{main}:t:%b\r\n" % topic.encode())
        return int(text.split(b"\r\n")[3].removeprefix(b":"))

    def publish(self, topic: str, message: bytes) -> int:
        """Send the nodes a message on the channel of a topic; return how many got it."""
        channel = b"wampush{main}:t:" + topic.encode()
        words = b"$7\r\nPUBLISH\r\n$%d\r\n%b\r\n" % (len(channel), channel)
        text = self._ask(b"*3\r\n%b$%d\r\n%b\r\n" % (words, len(message), message))
        return int(text.split(b"\r\n")[0].removeprefix(b":"))

    def _ask(self, command: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(command + b"QUIT\r\n")
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith(b"+PONG")
        except OSError:
            return False
