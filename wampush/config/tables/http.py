"""The table ``[http]``: the HTTP port.

Owns: its address, its token and how many connections it takes. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from wampush.config.checks.check import takes_any_port, whole
from wampush.config.checks.endpoints import EndpointOrOff
from wampush.config.checks.files import HttpTokenFile
from wampush.config.rules import rule


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """``[http]``: the port for publishing, health, the demo page and static files.

    :param listen: Next to the WebSocket port; loopback, because it is for operators. ``off``: no
        HTTP.
    :param token_file: File with the bearer token for publishing and for state; without one, only
        programs on this machine are allowed.
    :param max_connections: Operators, monitoring and backends need a handful; each may take a
        descriptor and a body of ``pushes.max_message_bytes``.
    :param connections_per_address: One machine cannot take all places. 0: no limit. IPv6 addresses
        count by their first 64 bits; loopback and trusted proxies do not count.
    """

    listen: EndpointOrOff = "tcp:8081:interface=127.0.0.1"
    token_file: HttpTokenFile = ""
    max_connections: Annotated[int, whole(1, 100_000, "connections")] = 100
    connections_per_address: Annotated[int, whole(0, 10_000_000, "connections")] = 50


@rule("http.listen", "websocket.listen")
def ports_differ(http: str, websocket: Sequence[str]) -> Iterator[str]:
    """HTTP and WebSocket listeners must not share an endpoint."""
    if http in websocket and not takes_any_port(http):
        yield f"http.listen and websocket.listen must be different endpoints, not both {http!r}"
