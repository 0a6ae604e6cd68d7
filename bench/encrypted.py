"""The scenario of TLS connections: memory of an idle one, and the cost of opening it.

Owns: its clients, sizes and figures. Must not import: other scenarios.
"""

from __future__ import annotations

import ssl

from bench.peer import open_session
from bench.processes import Server, wampush
from bench.run import Run
from bench.table import Row
from tests.support.certificates import make_certificate

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
    held = [open_session(server.port, context) for _ in range(_WARM_UP)]
    server.settle()
    before, used = server.memory(), server.cpu()
    held += [open_session(server.port, context) for _ in range(clients)]
    server.settle()
    outcome = server.memory() - before, server.cpu() - used
    for client in held:
        client.close()
    return outcome
