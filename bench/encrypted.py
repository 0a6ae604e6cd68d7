"""The scenario of TLS connections: memory of an idle one, and CPU of opening it and of an event.

Owns: its clients, sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.native import BenchError
from bench.peer import frame, open_session
from bench.processes import TOPIC, Publisher, Server, wampush
from bench.run import Run
from bench.table import Row
from tests.support.certificates import make_certificate

#: The first connections are not counted, because they include one-time allocations.
_WARM_UP = 200
_PUSHES = 50
#: Per second; the clients, in Python, read as many times their number.
_RATE = 15.0
_EVENT_BYTES = 200
_MOST_SECONDS = 60.0


@dataclass(slots=True)
class _Figures:
    """What rounds have measured, with TLS or without."""

    memory: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    delivery: list[float] = field(default_factory=list)


def tls(run: Run) -> list[Row]:
    """1,000 clients over TLS: memory, CPU per connect and per delivery, compared with plain TCP."""
    clients = run.size(1000, 10)
    certificate = make_certificate(run.folder)
    config = run.folder / "tls.toml"
    config.write_text(certificate.table() + "[limits]\nconnections_per_address = 0\n")
    encrypted, plain = _Figures(), _Figures()
    for _ in range(run.rounds):
        _measure(run.folder, config, encrypted, clients, certificate.context())
        _measure(run.folder, config, plain, clients, None)
    rows = [
        ("bytes per idle client; floor: plain", encrypted.memory, plain.memory, 0),
        ("CPU per connect, us; floor: plain", encrypted.full, plain.full, 0),
        ("the same, resumed; floor: plain", encrypted.resumed, plain.resumed, 0),
        ("CPU per delivery, us; floor: plain", encrypted.delivery, plain.delivery, 2),
    ]
    return [
        Row("tls", name, values, floors, digits=digits) for name, values, floors, digits in rows
    ]


def _measure(
    folder: Path, config: Path, into: _Figures, clients: int, context: ssl.SSLContext | None
) -> None:
    """Measure once.

    :param context: of the clients; None without TLS.
    """
    with (
        contextlib.ExitStack() as held,
        wampush(folder, scheme="tcp" if context is None else "ssl", config=config) as server,
    ):

        def opened(count: int, session: ssl.SSLSession | None = None) -> list[socket.socket]:
            made = [open_session(server.port, context, session) for _ in range(count)]
            for each in made:
                held.enter_context(each)
            return made

        (first, *_) = opened(_WARM_UP)
        server.settle()
        before, used = server.memory(), server.cpu()
        reading = opened(clients)
        server.settle()
        into.memory.append((server.memory() - before) / clients)
        into.full.append((server.cpu() - used) / clients * 1e6)
        for each in reading:
            each.sendall(frame(f'[5,"{TOPIC}"]'.encode()))
        server.settle()
        used = _cpu_of_pushes(server, reading)
        into.delivery.append(used / (clients * _PUSHES) * 1e6)
        server.settle()
        used = server.cpu()
        opened(clients, first.session if isinstance(first, ssl.SSLSocket) else None)
        server.settle()
        into.resumed.append((server.cpu() - used) / clients * 1e6)


def _cpu_of_pushes(server: Server, reading: list[socket.socket]) -> float:
    """Push events to clients that read; return the seconds of CPU that the server used."""
    missing = dict.fromkeys(reading, _PUSHES)
    selector = selectors.DefaultSelector()
    for each in reading:
        each.setblocking(False)
        selector.register(each, selectors.EVENT_READ)
    with selector, Publisher(server, _PUSHES, _RATE, _EVENT_BYTES) as publisher:
        used = server.cpu()
        publisher.go()
        deadline = time.monotonic() + _MOST_SECONDS
        while missing:
            if time.monotonic() > deadline:
                raise BenchError(f"{len(missing)} clients did not get everything")
            for key, _ in selector.select(1.0):
                client = key.fileobj
                assert isinstance(client, socket.socket)
                # A record may hold nothing but the end of an event.
                with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
                    missing[client] -= client.recv(65_536).count(b'"n":')
                if missing[client] <= 0:
                    selector.unregister(client)
                    del missing[client]
        server.settle()
        used = server.cpu() - used
    for each in reading:
        each.setblocking(True)
    return used
