"""A Redis of its own for a test: Debian's redis-server on a free port, with nothing on disk."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process


def redis_program(name: str) -> str:
    """Where redis-server or redis-cli is.

    :raises AssertionError: it is not installed; says how to install it.
    """
    found = shutil.which(name)
    assert found, f"{name} is missing: apt-get install redis-server"
    return found


class RedisClient:
    """A blocking client that sends commands (RESP2), independent of every library under test."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, *words: bytes | str | int) -> None:
        """Send a command without waiting for its answer."""
        parts = [each if isinstance(each, bytes) else str(each).encode() for each in words]
        text = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(b"*%d\r\n%s" % (len(parts), text))

    def answer(self) -> object:
        """The next answer: an int, text, a list of answers, or None.

        :raises AssertionError: it is an error.
        """
        line = self._stream.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        assert kind in b":+$*", line
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        if rest == b"-1":
            return None
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        return self._stream.read(int(rest) + 2)[:-2]

    def do(self, *words: bytes | str | int) -> object:
        """Send a command and return its answer."""
        self.send(*words)
        return self.answer()

    def publish(self, channel: str | bytes, message: bytes | str) -> int:
        """Publish; return how many subscriptions got it."""
        count = self.do("PUBLISH", channel, message)
        assert isinstance(count, int)
        return count


class RedisServer:
    """A redis-server that can be stopped and started again on the same port.

    :param folder: where it runs; nothing is left there.
    :param port: its port on loopback.
    :param options: further options of redis-server, such as ``--requirepass``;
        others hold from the next start on.
    :param tls_port: a second port, for TLS; the certificates are among the options. 0: none.
    """

    def __init__(
        self, folder: Path, port: int, options: Sequence[str] = (), tls_port: int = 0
    ) -> None:
        self.tls_port = tls_port
        self._folder = folder
        self.options = options
        self._process: Process | None = None
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"

    def start(self) -> None:
        """Start it; it accepts connections when this returns."""
        assert self._process is None
        fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = [redis_program("redis-server"), "--port", str(self.port), *fixed]
        command += ["--tls-port", str(self.tls_port)] if self.tls_port else []
        self._process = Process([*command, *self.options], cwd=self._folder)
        self._process.wait_for_line("Ready to accept connections")

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()

    def client(self) -> RedisClient:
        """A new connection."""
        return RedisClient(self.port)

    def publish(self, channel: str | bytes, *messages: bytes | str) -> None:
        """Publish messages in order over a connection of their own."""
        with self.client() as client:
            for message in messages:
                client.publish(channel, message)


def until_followed(redis: RedisServer, topic: str, count: int) -> None:
    """Wait until so many nodes get the publications of a topic.

    A node answers a subscription before Redis has carried out the SUBSCRIBE that it causes, so what
    is published at another node meanwhile does not come.
    """
    with redis.client() as client:
        channel = f"wampush{{main}}:t:{topic}"
        eventually(
            lambda: client.do("PUBSUB", "NUMSUB", channel),
            lambda counts: counts == [channel.encode(), count],
        )


@contextlib.contextmanager
def running_redis(folder: Path, *options: str, tls: bool = False) -> Iterator[RedisServer]:
    """Run a redis-server on a free port, with a second one for TLS if asked for."""
    with reserved_ports(2) as (port, tls_port):
        server = RedisServer(folder, port, options, tls_port if tls else 0)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def running_sentinel(
    folder: Path, master: RedisServer, password: str = ""
) -> Iterator[RedisClient]:
    """Run a sentinel of the master "mymaster"; yields a client of it, logged in.

    :param folder: the sentinel keeps its state in a file there.
    """
    with reserved_ports(1) as (port,):
        config = folder / "sentinel.conf"
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 1",
            *([f"requirepass {password}"] if password else []),
        ]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [redis_program("redis-server"), str(config), "--sentinel"]
        process = Process(command, cwd=folder)
        try:
            process.wait_for_line("+monitor master mymaster")
            with RedisClient(port) as client:
                if password:
                    client.do("AUTH", password)
                # Otherwise it asks servers every ten seconds, and knows as late of a replica.
                client.do("SENTINEL", "DEBUG", "info-period", 200)
                yield client
        finally:
            process.terminate()
