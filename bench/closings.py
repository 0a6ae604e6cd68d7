"""The scenario of closing: the server ends clients that are still sending.

Owns: the clients, the ways to the server, what must have come. Must not import: other scenarios.

A component queues :data:`EVENTS` events for a client and closes its connection at once. The client
sends all the time; as in a browser, an error when it writes ends what it can read. The floor is the
same with clients that send nothing.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.peer import connect, frame, upgrade
from bench.processes import Server, wampush
from bench.run import Run
from bench.table import Row
from tests.support.certificates import Certificate, make_certificate
from tests.support.delay import DelayingProxy

EVENTS = 200
_CODE = 4000
_END = struct.pack("!H", _CODE) + b"done"
_FLOOD = frame(b"y" * 100) * 20
_MOST_SECONDS = 30.0
_WRITE_SECONDS = 0.05
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_APPLICATION = f"""
from wampush.apps.component import Component


class Talk(Component):
    def on_message(self, connection, data):
        if data == "go":
            for number in range({EVENTS}):
                connection.send("event " + "x" * 500)
            connection.close({_CODE}, "done")
"""
_CONFIG = """
[[routes]]
path = "/talk"
component = "closing_application:Talk"

[limits]
messages_per_second = 100_000
message_burst = 100_000
"""


@dataclass(slots=True)
class Talker:
    """One client: asks for the events, and reads until its connection ends.

    :param connection: open.
    :param sends: whether it goes on sending.
    """

    connection: socket.socket
    sends: bool
    got_code: bool = False
    events: int = 0

    def run(self) -> None:
        """Talk until the end."""
        with self.connection as connection:
            connection.setblocking(False)
            data = bytearray()
            with contextlib.suppress(OSError):
                self._talk(connection, data)
            self.got_code = data.endswith(_END)
            self.events = data.count(b"event ")

    def _talk(self, connection: socket.socket, data: bytearray) -> None:
        pending = memoryview(frame(b"go"))
        deadline = time.monotonic() + _MOST_SECONDS
        while time.monotonic() < deadline:
            waits = True
            if pending or self.sends:
                with contextlib.suppress(*_NOT_YET):
                    pending = pending[connection.send(pending) :]
                    waits = False
                    if self.sends and not pending:
                        pending = memoryview(_FLOOD)
            with contextlib.suppress(*_NOT_YET):
                piece = connection.recv(2048)
                waits = False
                if not piece:
                    return
                data += piece
            if waits:
                writes = [connection] if pending else []
                select.select([connection], writes, [], _WRITE_SECONDS)


@dataclass(frozen=True, slots=True)
class Way:
    """How clients reach the server.

    :param certificate: for TLS; None without.
    :param seconds: the delay in each direction.
    """

    certificate: Certificate | None
    seconds: float

    @property
    def name(self) -> str:
        """For the table."""
        return f"{'TLS' if self.certificate else 'plain'}, {self.seconds * 2e3:.0f} ms round trip"

    @contextlib.contextmanager
    def port(self, server: Server) -> Iterator[int]:
        """Lead the way to a server; yields the port where it begins."""
        if self.seconds:
            with DelayingProxy(server.port, self.seconds).running() as proxy:
                yield proxy.port
        else:
            yield server.port


@contextlib.contextmanager
def server_for(folder: Path, way: Way) -> Iterator[Server]:
    (folder / "closing_application.py").write_text(_APPLICATION)
    config = folder / "closing.toml"
    table = way.certificate.table() if way.certificate else ""
    config.write_text(_CONFIG + table)
    with wampush(folder, config=config, scheme="ssl" if table else "tcp") as server:
        yield server


def _talkers(way: Way, port: int, count: int, sends: bool) -> list[Talker]:
    context = way.certificate.context() if way.certificate else None
    talkers = []
    for _ in range(count):
        connection = connect(port, context)
        connection.sendall(upgrade("/talk", ""))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096) or b"\r\n\r\n"
        talkers.append(Talker(connection, sends))
    return talkers


def talk(way: Way, port: int, count: int, sends: bool) -> list[Talker]:
    """Let clients talk until all have ended."""
    talkers = _talkers(way, port, count, sends)
    threads = [threading.Thread(target=each.run) for each in talkers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return talkers


def _complete(talkers: list[Talker]) -> float:
    return float(sum(each.got_code and each.events == EVENTS for each in talkers))


def stop_seconds(server: Server, way: Way, count: int, sends: bool) -> float:
    """Return how long the server takes to stop while clients go on sending."""
    with way.port(server) as port, contextlib.ExitStack() as stack:
        talkers = _talkers(way, port, count, sends)
        for each in talkers:
            stack.enter_context(each.connection)
        threads = []
        if sends:
            threads = [threading.Thread(target=_send_until_end, args=(each,)) for each in talkers]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        server.process.terminate()
        server.process.wait(_MOST_SECONDS)
        took = time.monotonic() - begun
        for thread in threads:
            thread.join()
    return took


def _send_until_end(talker: Talker) -> None:
    """Send and read nothing until the connection breaks."""
    talker.connection.settimeout(_MOST_SECONDS)
    with contextlib.suppress(OSError):
        while True:
            talker.connection.sendall(_FLOOD)


def closing(run: Run) -> Iterator[Row]:
    """100 clients that are still sending are ended by the server; floor: they send nothing.

    How many get the close code and every event queued before it, and how long a stop takes.
    """
    count = run.size(100, 4)
    certificate = make_certificate(run.folder)
    for way in (Way(tls, delay) for delay in (0.0, 0.025) for tls in (None, certificate)):
        complete: dict[bool, list[float]] = {True: [], False: []}
        stops: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(run.rounds):
            for sends in (False, True):
                with server_for(run.folder, way) as server:
                    with way.port(server) as port:
                        complete[sends].append(_complete(talk(way, port, count, sends)))
                    stops[sends].append(stop_seconds(server, way, count, sends))
        least = f"least {min(complete[True]):.0f} of {count}"
        yield Row("closing", f"{way.name}: complete", complete[True], complete[False], least, 0)
        yield Row("closing", f"{way.name}: stop, s", stops[True], stops[False])
