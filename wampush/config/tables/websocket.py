"""The table ``[websocket]``: the WebSocket listeners.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wampush.config.checks.endpoints import ListenEndpoint
from wampush.config.checks.origins import OriginPattern
from wampush.config.setting import DAY, Bytes, Count, Seconds, rule, setting

Dialect = Literal["wamp1", "ratchet"]


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """``[websocket]``: the listeners that browsers connect to, and the cost of one client."""

    listen: tuple[ListenEndpoint, ...] = setting(
        ("tcp:8080:interface=127.0.0.1",),
        "Existing pages connect to this port; loopback, so that nothing is public by accident.",
        at_least=1,
    )
    dialect: Dialect = setting(
        "wamp1", "WAMP v1 as specified; `ratchet` is for apps that rely on its differences."
    )
    require_subprotocol: bool = setting(
        True, "A client that does not offer `wamp` most likely came to the wrong server."
    )
    ping_interval: Seconds = setting(
        30.0, "Half of the 60 s after which common proxies cut an idle connection.", most=DAY
    )
    silence_timeout: Seconds = setting(
        60.0,
        "Two unanswered pings: the client is gone. Must be longer than `ping_interval`.",
        most=DAY,
    )
    handshake_timeout: Seconds = setting(
        5.0, "Ample for a slow link, and half-open connections do not pile up.", most=DAY
    )
    max_header_bytes: Bytes = setting(
        8192,
        "Room for long cookies, as much as common web servers allow.",
        least=512,
        most=2**20,
    )
    max_message_bytes: Bytes = setting(
        65_536, "Clients send subscriptions and small events; larger is a mistake or an attack."
    )
    origins: tuple[OriginPattern, ...] = setting(
        ("same-host",),
        "Pages of the host they connect to, on any port; a page of a stranger could use the "
        "cookies of its visitors. All names of loopback are one host. `*` is every origin.",
        at_least=1,
    )
    allow_null_origin: bool = setting(
        False, "Any page can give itself the origin `null` with a sandboxed frame."
    )
    max_connections: Count = setting(
        100_000,
        "Stops a flood before memory runs out; the system's limit of open files may stop it "
        "earlier.",
        unit="connections",
    )
    compression: bool = setting(
        False, "Small events gain little from permessage-deflate (RFC 7692), and it costs CPU."
    )
    compression_min_bytes: Bytes = setting(
        512, "Below this, compressing costs more than the bytes it saves.", least=0
    )


@rule("websocket.silence_timeout", "websocket.ping_interval")
def silence_outlasts_pings(silence: float, ping: float) -> str:
    """A client needs time to answer a ping."""
    if silence > ping:
        return ""
    return (
        f"websocket.silence_timeout ({silence:g} s) must be longer than "
        f"websocket.ping_interval ({ping:g} s)"
    )
