"""The scenario of TLS connections: memory of an idle one, and the cost of opening it.

Owns: its clients, sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import socket
import ssl

from bench.native import BenchError
from bench.processes import Server, wampush
from bench.run import Run
from bench.table import Row
from tests.support.certificates import make_certificate

_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: wamp\r\n\r\n"
)
#: The first connections are not counted, because they include one-time allocations.
_WARM_UP = 200


def tls(run: Run) -> list[Row]:
    """1,000 idle clients over TLS: memory and CPU per client, compared with plain TCP."""
    clients = run.size(1000, 10)
    certificate = make_certificate(run.folder)
    config = run.folder / "tls.toml"
    config.write_text(certificate.table())
    memory: dict[bool, list[float]] = {True: [], False: []}
    cpu: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(run.rounds):
        for encrypted in (True, False):
            scheme = "ssl" if encrypted else "tcp"
            context = certificate.context() if encrypted else None
            with wampush(run.folder, scheme=scheme, config=config) as server:
                grown, used = _idle(server, clients, context)
            memory[encrypted].append(grown / clients)
            cpu[encrypted].append(used / clients * 1e6)
    return [
        Row("tls", "bytes per idle client; floor: plain", memory[True], memory[False], digits=0),
        Row("tls", "CPU per connect, us; floor: plain", cpu[True], cpu[False], digits=0),
    ]


def _idle(server: Server, clients: int, context: ssl.SSLContext | None) -> tuple[int, float]:
    """Open clients and leave them idle.

    :returns: the bytes by which the server grew, and the seconds of CPU it used.
    """
    held = [_client(server.port, context) for _ in range(_WARM_UP)]
    server.settle()
    before, used = server.memory(), server.cpu()
    held += [_client(server.port, context) for _ in range(clients)]
    server.settle()
    outcome = server.memory() - before, server.cpu() - used
    for client in held:
        client.close()
    return outcome


def _client(port: int, context: ssl.SSLContext | None) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 20)
    if context is not None:
        client = context.wrap_socket(client, server_hostname="localhost")
    client.sendall(_REQUEST)
    answer = b""
    while b"wampush/" not in answer:
        data = client.recv(4096)
        if not data:
            raise BenchError(f"the handshake was refused: {answer[:200]!r}")
        answer += data
    return client
