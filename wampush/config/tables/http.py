"""The settings of the HTTP port.

Owns: the table ``[http]``, which ``settings`` joins to the others.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and
``settings.security``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wampush.config.checks.common import FilePath, WholeNumber
from wampush.config.checks.endpoints import Endpoint
from wampush.config.setting import about


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """``[http]``: the port for publishing, health, the demo page and static files."""

    listen: str = field(
        default="tcp:8081:interface=127.0.0.1",
        metadata=about(
            "",
            "Next to the WebSocket port; loopback, because it is for operators. `off`: no HTTP.",
            Endpoint(off=True),
        ),
    )
    token_file: str = field(
        default="",
        metadata=about(
            "",
            "File with the bearer token for publishing and for state; without one, only this "
            "machine.",
            FilePath(),
        ),
    )
    max_connections: int = field(
        default=100,
        metadata=about(
            "connections",
            "Operators, monitoring and backends need a handful; each may hold a descriptor and a "
            "body of `zmq.max_message_bytes`.",
            WholeNumber(1, 100_000),
        ),
    )
