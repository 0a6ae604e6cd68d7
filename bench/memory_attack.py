"""``python -m bench.memory_attack [KIND]...``: what one address can make a server keep.

Each kind of attack meets a fresh server with default limits on memory, from a thousand clients
behind one address, and goes on until the server takes no more. The table shows how much its
resident memory has grown, and what it has counted itself.

Owns: the attacks and the table. Must not import: wampush.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from bench.native import BenchError
from bench.processes import Server, cores, wampush

_MIB: Final = 2**20
_ADDRESS: Final = "203.0.113.7"
_ASTRAL: Final = "\N{GRINNING FACE}"
#: The rates of messages only slow an attack down, so they are off here; the others are defaults.
_CONFIG: Final = """
apps = ["hostile_app:app"]
[proxy]
trusted = ["127.0.0.1"]
header = "x-forwarded-for"
[limits]
messages_per_second = 1000000.0
message_burst = 10000000
messages_per_second_per_address = 1000000.0
connections_per_address = {connections}
[application]
timeout = 3600.0
[clients]
publish = "always"
[websocket]
handshake_timeout = 600.0
silence_timeout = 3600.0
ping_interval = 1800.0
[[routes]]
path = "/component"
component = "hostile_app:Silent"
"""
_APP: Final = """
from twisted.internet.defer import Deferred
from wampush.apps import App
from wampush.apps.component import Component

app = App()

@app.procedure("wait")
def wait(ctx, *arguments):
    return Deferred()

@app.procedure("large")
def large(ctx):
    return "x" * 60_000

@app.on_publish("wait*")
def publishing(ctx, topic, event):
    return Deferred()

class Silent(Component):
    def on_message(self, conn, data):
        return Deferred()
"""


def _frame(text: bytes, first: int = 0x81) -> bytes:
    """Return a client's frame with a mask of zeros."""
    size = len(text)
    if size < 126:
        return bytes((first, 0x80 | size)) + bytes(4) + text
    if size < 65_536:
        return bytes((first, 0xFE)) + size.to_bytes(2, "big") + bytes(4) + text
    return bytes((first, 0xFF)) + size.to_bytes(8, "big") + bytes(4) + text


def _message(*parts: object) -> bytes:
    return _frame(json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode())


def _connect(server: Server) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), 60)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _handshake(server: Server, path: str = "/") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\nX-Forwarded-For: {_ADDRESS}\r\n"
        "Sec-WebSocket-Protocol: wamp\r\n\r\n"
    ).encode()


def _open(server: Server, count: int, path: str = "/") -> list[socket.socket]:
    clients = []
    for _ in range(count):
        client = _connect(server)
        client.sendall(_handshake(server, path))
        answer = client.recv(1024)
        if b" 101 " not in answer:
            raise BenchError(f"the server did not let a client in: {answer!r}")
        clients.append(client)
    return clients


def _send(clients: list[socket.socket], make: Callable[[int], bytes]) -> None:
    """Send bytes from each client; those that the server has ended do not matter."""
    for number, client in enumerate(clients):
        with contextlib.suppress(OSError):
            client.sendall(make(number))


def _the_same(data: bytes, _number: int) -> bytes:
    return data


def _nothing(_server: Server, _clients: list[socket.socket]) -> None:
    """Idle connections."""


def _subscribe(clients: list[socket.socket], filling: str, count: int) -> None:
    for first in range(0, count, 50):
        _send(clients, partial(_some_subscriptions, filling, range(first, first + 50)))


def _some_subscriptions(filling: str, topics: range, number: int) -> bytes:
    return b"".join(_message(5, f"{number:04}{topic:04}{filling}") for topic in topics)


def _subscriptions(_server: Server, clients: list[socket.socket]) -> None:
    """Subscriptions to topics of 1,000 characters."""
    _subscribe(clients, "x" * 990, 100)


def _wide_subscriptions(_server: Server, clients: list[socket.socket]) -> None:
    """The same, each with one character of four bytes."""
    _subscribe(clients, "x" * 990 + _ASTRAL, 100)


def _short_subscriptions(_server: Server, clients: list[socket.socket]) -> None:
    """Subscriptions to topics of 8 characters."""
    _subscribe(clients, "", 300)


def _prefixes(_server: Server, clients: list[socket.socket]) -> None:
    """Prefixes of 1,000 characters, with one of four bytes each."""
    for prefix in range(100):
        text = _message(1, f"{prefix:03}" + "x" * 480 + _ASTRAL, "urn:" + "x" * 480 + _ASTRAL)
        _send(clients, partial(_the_same, text))


_DENSE: Final = "[" + ",".join(["[]"] * 850) + "]"


def _calls(_server: Server, clients: list[socket.socket]) -> None:
    """Calls that an application does not answer; 850 empty lists each."""
    text = b'[2,"id","wait",' + _DENSE.encode() + b"]"
    for _ in range(20):
        _send(clients, lambda _: _frame(text))


def _publications(_server: Server, clients: list[socket.socket]) -> None:
    """Events that an application does not decide about; 850 empty lists each."""
    text = b'[7,"wait",' + _DENSE.encode() + b"]"
    for _ in range(20):
        _send(clients, lambda _: _frame(text))


def _unfinished(_server: Server, clients: list[socket.socket]) -> None:
    """Messages of 60,000 bytes, but for the last one, in pieces."""
    frame = _frame(b'[5,"' + b"x" * 60_000 + b'"]')[:-1]
    for position in range(0, len(frame), 6000):
        _send(clients, partial(_the_same, frame[position : position + 6000]))


def _components(_server: Server, clients: list[socket.socket]) -> None:
    """Messages of 60,000 characters that a component does not handle."""
    text = _frame(("x" * 60_000 + _ASTRAL).encode())
    for _ in range(5):
        _send(clients, lambda _: text)


def _queues(_server: Server, clients: list[socket.socket]) -> None:
    """Results of 60,000 bytes that nobody reads, then a Close frame."""
    calls = b"".join(_message(2, f"{call}", "large") for call in range(70))
    _send(clients, lambda _: calls)
    _send(clients, lambda _: _frame(b"\x03\xe8", first=0x88))


def _handshakes(server: Server, clients: list[socket.socket]) -> None:
    """Requests that lack their end, with 1,000 short headers."""
    head = _handshake(server)[:-2] + b"".join(b"%x:1\r\n" % number for number in range(1000))
    for client in clients:
        with contextlib.suppress(OSError):
            client.sendall(head)


def _http(server: Server, clients: list[socket.socket]) -> None:
    """Bodies of 1 MiB for the HTTP port, but for the last byte."""
    head = (
        f"POST /publish?topic=t HTTP/1.1\r\nHost: 127.0.0.1:{server.http}\r\n"
        f"Content-Length: {_MIB}\r\n\r\n"
    ).encode()
    for _ in range(100):
        client = socket.create_connection(("127.0.0.1", server.http), 60)
        clients.append(client)
        with contextlib.suppress(OSError):
            client.sendall(head + b'"' * (_MIB - 1))


#: What attacks, and the path on which its clients are open before; None for none.
KINDS: Final[dict[str, tuple[Callable[[Server, list[socket.socket]], None], str | None]]] = {
    "idle": (_nothing, "/"),
    "subscriptions": (_subscriptions, "/"),
    "wide-subscriptions": (_wide_subscriptions, "/"),
    "short-subscriptions": (_short_subscriptions, "/"),
    "prefixes": (_prefixes, "/"),
    "calls": (_calls, "/"),
    "publications": (_publications, "/"),
    "unfinished": (_unfinished, "/"),
    "components": (_components, "/component"),
    "queues": (_queues, "/"),
    "handshakes": (_handshakes, None),
    "http-bodies": (_http, "/"),
}


def _metric(server: Server, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/metrics", timeout=60) as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    return 0.0 if found is None else float(found[1])


@contextlib.contextmanager
def _server(folder: Path, connections: int) -> Iterator[Server]:
    (folder / "hostile_app.py").write_text(_APP)
    config = folder / "wampush.toml"
    config.write_text(_CONFIG.format(connections=connections))
    with wampush(folder, http=True, config=config) as server:
        yield server


def attack(kind: str, connections: int) -> tuple[float, float, float, str]:
    """Attack a server.

    :param kind: one of :data:`KINDS`.
    :param connections: how many clients.
    :returns: MiB by which its memory has grown at most, MiB that it has counted as kept, MiB that
        are left when the clients are gone, and the reasons it gave.
    """
    function, path = KINDS[kind]
    with (
        tempfile.TemporaryDirectory(prefix="wampush-attack-") as name,
        _server(Path(name), connections) as server,
    ):
        before = server.memory()
        server.forget_peak()
        if path is None:
            clients = [_connect(server) for _ in range(connections)]
        else:
            clients = _open(server, connections, path)
        function(server, clients)
        if kind != "http-bodies":
            server.settle(120.0)
            kept = _metric(server, "wampush_kept_bytes")
        else:
            kept = 0.0
            server.settle(5.0)
        most = server.memory("VmHWM") - before
        for client in clients:
            client.close()
        server.settle(30.0)
        health = server.health()
        refusals = {**health["refusals"], **health["ends"]}
        reasons = {
            code: count
            for code, count in refusals.items()
            if code not in ("peer-lost", "peer-closed")
        }
        left = server.memory() - before
        if server.complaints():
            raise BenchError(f"tracebacks in the log of {kind}")
    said = ", ".join(f"{code} {count}" for code, count in reasons.items())
    return most / _MIB, kept / _MIB, left / _MIB, said


def main() -> int:
    """Run the chosen kinds and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.memory_attack", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--connections", type=int, default=1000)
    arguments = parser.parse_args()
    unknown = [kind for kind in arguments.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"unknown kind {unknown[0]!r}; choose from {', '.join(KINDS)}")
    os.sched_setaffinity(0, {cores()[1]})
    print("| kind | grown, MiB | counted, MiB | left, MiB | reasons |\n|---|---|---|---|---|")
    for kind in arguments.kinds or KINDS:
        try:
            most, kept, left, reasons = attack(kind, arguments.connections)
        except BenchError as error:
            print(f"{kind}: {error}", file=sys.stderr)
            return 1
        print(f"| {kind} | {most:.0f} | {kept:.0f} | {left:.0f} | {reasons} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
