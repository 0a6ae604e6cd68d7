"""The table ``[websocket]``: the WebSocket listeners.

Owns: the addresses, and what connections may take there. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from wampush.config.checks.check import number, whole
from wampush.config.checks.endpoints import ListenEndpoint
from wampush.config.checks.origins import OriginPattern
from wampush.config.rules import Rule, rule
from wampush.config.setting import DAY, GIB, Bytes, Some

Dialect = Literal["wamp1", "ratchet"]


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """``[websocket]``: the listeners that browsers connect to, and the cost of one client.

    :param listen: Existing pages connect to this port; loopback, so that nothing is public by
        accident.
    :param dialect: WAMP v1 as specified; ``ratchet`` is for apps that rely on its differences.
    :param require_subprotocol: A client that does not offer ``wamp`` most likely came to the wrong
        server.
    :param ping_interval: Half of the 60 s after which common proxies cut an idle connection. Up to
        a quarter less where many clients are due at the same time.
    :param silence_timeout: Two unanswered pings: the client is gone. Must be longer than
        ``ping_interval``.
    :param handshake_timeout: Ample for a slow link, and half-open connections do not pile up.
    :param max_header_bytes: Room for long cookies, as much as common web servers allow.
    :param max_message_bytes: Clients send subscriptions and small events; larger is a mistake or an
        attack.
    :param origins: Pages of the host they connect to, on any port; a page of a stranger could use
        the cookies of its visitors. All names of loopback are one host. ``*`` is every origin.
    :param allow_null_origin: Any page can give itself the origin ``null`` with a sandboxed frame.
    :param max_connections: Stops a flood before memory runs out; the system's limit of open files
        may stop it earlier.
    :param compression: Small events gain little from permessage-deflate (RFC 7692), and it costs
        CPU.
    :param compression_min_bytes: Below this, compressing costs more than the bytes it saves.
    :param event_stream_retry: How long the browser of an event stream waits before it reconnects;
        each client gets a random time between two thirds and four thirds of it, so that they do
        not all return at once.
    """

    listen: Some[ListenEndpoint] = ("tcp:8080:interface=127.0.0.1",)
    dialect: Dialect = "wamp1"
    require_subprotocol: bool = True
    ping_interval: Annotated[float, number(0.01, DAY, "s")] = 30.0
    silence_timeout: Annotated[float, number(0.01, DAY, "s")] = 60.0
    handshake_timeout: Annotated[float, number(0.01, DAY, "s")] = 5.0
    max_header_bytes: Annotated[int, whole(512, 1_048_576, "bytes")] = 8192
    max_message_bytes: Bytes = 65_536
    origins: Some[OriginPattern] = ("same-host",)
    allow_null_origin: bool = False
    max_connections: Annotated[int, whole(1, 10_000_000, "connections")] = 100_000
    compression: bool = False
    compression_min_bytes: Annotated[int, whole(0, GIB, "bytes")] = 512
    event_stream_retry: Annotated[float, number(0.01, DAY, "s")] = 3.0


@rule("websocket.silence_timeout", "websocket.ping_interval")
def silence_outlasts_pings(silence: float, ping: float) -> Iterator[str]:
    """A client needs time to answer a ping."""
    if silence <= ping:
        yield (
            f"websocket.silence_timeout ({silence:g} s) must be longer than "
            f"websocket.ping_interval ({ping:g} s)"
        )


@rule("callback.timeout", "websocket.handshake_timeout", "callback.url")
def the_callback_is_in_time(callback: float, handshake: float, url: str) -> Iterator[str]:
    """The callback must answer before the handshake times out."""
    if url and callback >= handshake:
        yield (
            f"callback.timeout ({callback:g} s) must be less than websocket.handshake_timeout "
            f"({handshake:g} s)"
        )


def _in_time(key: str, user: str, is_asked: Callable[[Sequence[str]], bool]) -> Rule:
    """Return the rule that an application must answer before the handshake times out.

    :param key: how long the application may take, after the callback.
    :param user: the setting that says whether it is asked at all.
    """

    @rule(key, "callback.timeout", "websocket.handshake_timeout", user, "callback.url")
    def judge(
        connect: float, callback: float, handshake: float, used: Sequence[str], url: str
    ) -> Iterator[str]:
        before = callback if url else 0.0
        if is_asked(used) and connect + before >= handshake:
            more = f" and callback.timeout ({before:g} s) together" if url else ""
            yield (
                f"{key} ({connect:g} s){more} must be less than websocket.handshake_timeout "
                f"({handshake:g} s)"
            )

    return judge


apps_are_in_time = _in_time("application.connect_timeout", "apps", bool)
webhooks_are_in_time = _in_time(
    "webhooks.connect_timeout", "webhooks.events", lambda events: "connect" in events
)
