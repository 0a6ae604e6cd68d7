"""The settings of the WebSocket listeners.

Owns: the table ``[websocket]``.
Must not import: Twisted, Autobahn, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wampush.config.checks.common import (
    Choice,
    Flag,
    ListOf,
    Number,
    OriginPattern,
    WholeNumber,
)
from wampush.config.checks.endpoints import Endpoint
from wampush.config.setting import GIB, about

if TYPE_CHECKING:
    pass
from wampush.config.setting import DAY

Dialect = Literal["wamp1", "ratchet"]


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """``[websocket]``: the listeners that browsers connect to, and what one client may cost.

    Times are in seconds, sizes in bytes.
    """

    listen: tuple[str, ...] = field(
        default=("tcp:8080:interface=127.0.0.1",),
        metadata=about(
            "",
            "Existing pages connect to this port; loopback, so that nothing is public unasked.",
            ListOf(Endpoint(), at_least=1),
        ),
    )
    dialect: Dialect = field(
        default="wamp1",
        metadata=about(
            "",
            "WAMP v1 as specified; `ratchet` is for apps that rely on its differences.",
            Choice(("wamp1", "ratchet")),
        ),
    )
    require_subprotocol: bool = field(
        default=True,
        metadata=about(
            "",
            "A client that does not offer `wamp` most likely came to the wrong server.",
            Flag(),
        ),
    )
    ping_interval: float = field(
        default=30.0,
        metadata=about(
            "s",
            "Half of the 60 s after which common proxies cut an idle connection.",
            Number(0.01, DAY),
        ),
    )
    silence_timeout: float = field(
        default=60.0,
        metadata=about(
            "s",
            "Two pings unanswered: the client is gone. Must be longer than `ping_interval`.",
            Number(0.01, DAY),
        ),
    )
    handshake_timeout: float = field(
        default=5.0,
        metadata=about(
            "s",
            "Ample for a slow link, and half-open connections do not pile up.",
            Number(0.01, DAY),
        ),
    )
    max_header_bytes: int = field(
        default=8192,
        metadata=about(
            "bytes",
            "Room for long cookies, as much as common web servers allow.",
            WholeNumber(512, 2**20),
        ),
    )
    max_message_bytes: int = field(
        default=65_536,
        metadata=about(
            "bytes",
            "Clients send subscriptions and small events; larger is a mistake or an attack.",
            WholeNumber(64, GIB),
        ),
    )
    origins: tuple[str, ...] = field(
        default=("same-host",),
        metadata=about(
            "",
            "Pages of the host they connect to, on any port; a stranger's page could use the "
            "cookies of its visitors. All names of loopback are one host.",
            ListOf(OriginPattern(), at_least=1),
        ),
    )
    allow_null_origin: bool = field(
        default=False,
        metadata=about(
            "",
            "Any page can make itself origin `null` by a sandboxed frame.",
            Flag(),
        ),
    )
    max_connections: int = field(
        default=100_000,
        metadata=about(
            "connections",
            "Ends a flood before memory does; the system's limit of open files may end it earlier.",
            WholeNumber(1, 10_000_000),
        ),
    )
    compression: bool = field(
        default=False,
        metadata=about(
            "",
            "Small events gain little from permessage-deflate (RFC 7692), and it costs CPU.",
            Flag(),
        ),
    )
    compression_min_bytes: int = field(
        default=512,
        metadata=about(
            "bytes",
            "Below this, compressing costs more than the bytes it saves.",
            WholeNumber(0, GIB),
        ),
    )
