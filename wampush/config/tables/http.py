"""The table ``[http]``: the HTTP port.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wampush.config.checks.common import takes_any_port
from wampush.config.checks.endpoints import EndpointOrOff
from wampush.config.checks.files import HttpTokenFile
from wampush.config.setting import Count, rule, setting


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """``[http]``: the port for publishing, health, the demo page and static files."""

    listen: EndpointOrOff = setting(
        "tcp:8081:interface=127.0.0.1",
        "Next to the WebSocket port; loopback, because it is for operators. `off`: no HTTP.",
    )
    token_file: HttpTokenFile = setting(
        "",
        "File with the bearer token for publishing and for state; without one, only programs on "
        "this machine are allowed.",
    )
    max_connections: Count = setting(
        100,
        "Operators, monitoring and backends need a handful; each may take a descriptor and a "
        "body of `pushes.max_message_bytes`.",
        unit="connections",
        most=100_000,
    )
    connections_per_address: Count = setting(
        50,
        "One machine cannot take all places. 0: no limit. IPv6 addresses count by their first 64 "
        "bits; loopback and trusted proxies do not count.",
        unit="connections",
        least=0,
    )


@rule("http.listen", "websocket.listen")
def ports_differ(http: str, websocket: Sequence[str]) -> str:
    """HTTP and WebSocket listeners must not share an endpoint."""
    if http not in websocket or takes_any_port(http):
        return ""
    return f"http.listen and websocket.listen must be different endpoints, not both {http!r}"
