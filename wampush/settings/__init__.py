"""Every setting of wampush: its default, its unit, why it is what it is, and what it may be.

Owns: the frozen settings classes, with ``unit``, ``reason`` and ``checker`` in the metadata of
each field.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and its own modules.
Where values come from is the business of ``config``.

The tables of ``docs/reference/configuration.md`` repeat what stands here; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from wampush.checkers.common import (
    Choice,
    Flag,
    ListOf,
    Number,
    OriginPattern,
    TopicPattern,
    WholeNumber,
)
from wampush.checkers.endpoints import Endpoint
from wampush.checkers.permissions import AutomaticTopics
from wampush.settings.apps import ABOUT_APPS, ApplicationSettings
from wampush.settings.http import HttpSettings
from wampush.settings.identity import (
    AuthSettings,
    CallbackSettings,
    CraSettings,
    TokenSettings,
)
from wampush.settings.limits import LimitSettings
from wampush.settings.routes import RouteSettings
from wampush.settings.security import (
    GIB,
    PermissionSettings,
    ProxySettings,
    TlsSettings,
    ZmqSettings,
    about,
)
from wampush.settings.sources import RedisSourceSettings
from wampush.settings.webhooks import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

Dialect = Literal["wamp1", "ratchet"]
PublishPolicy = Literal["auto", "always", "never"]
DefaultPermission = Literal["allow", "deny"]
SlowClientPolicy = Literal["disconnect", "drop-newest", "latest"]

_DAY = 86_400


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
            Number(0.01, _DAY),
        ),
    )
    silence_timeout: float = field(
        default=60.0,
        metadata=about(
            "s",
            "Two pings unanswered: the client is gone. Must be longer than `ping_interval`.",
            Number(0.01, _DAY),
        ),
    )
    handshake_timeout: float = field(
        default=5.0,
        metadata=about(
            "s",
            "Ample for a slow link, and half-open connections do not pile up.",
            Number(0.01, _DAY),
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


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """``[clients]``: what clients may do, and how much may wait for one. Sizes are in bytes."""

    publish: PublishPolicy = field(
        default="auto",
        metadata=about(
            "",
            "`auto`: while every WebSocket listener is on loopback, clients and pages of this "
            "machine may publish.",
            Choice(("auto", "always", "never")),
        ),
    )
    subscribe: DefaultPermission = field(
        default="allow",
        metadata=about(
            "",
            "Where no entry of `[[permissions]]` decides; what pages show is mostly for everybody.",
            Choice(("allow", "deny")),
        ),
    )
    call: DefaultPermission = field(
        default="allow",
        metadata=about(
            "",
            "Where no entry of `[[permissions]]` decides; procedures are made to be called.",
            Choice(("allow", "deny")),
        ),
    )
    auto_subscribe: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Topics of every session that it need not ask for, such as `user.{user}`; mostly pages "
            "subscribe to what they show.",
            AutomaticTopics(),
        ),
    )
    queue_bytes: int = field(
        default=1_048_576,
        metadata=about(
            "bytes",
            "Seconds of events for a client that stalls; one that needs more is dropped.",
            WholeNumber(1024, GIB),
        ),
    )


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """One entry of ``[[topics]]``: what holds for some topics. The first that matches wins."""

    match: str = field(
        metadata=about(
            "",
            "Which topics the entry is about: one topic, or all that begin with what precedes `*`.",
            TopicPattern(),
        ),
    )
    slow_client: SlowClientPolicy = field(
        default="disconnect",
        metadata=about(
            "",
            "A page that reconnects is right again; with events left out it is wrong unnoticed.",
            Choice(("disconnect", "drop-newest", "latest")),
        ),
    )
    presence: bool = field(
        default=False,
        metadata=about(
            "",
            "Whether joins and leaves are told; who is on a topic is not everybody's business.",
            Flag(),
        ),
    )


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """``[presence]``: who is here."""

    grace: float = field(
        default=2.0,
        metadata=about(
            "s",
            "Going from one page to the next takes less; who was lost is not gone before.",
            Number(0, 3600),
        ),
    )
    list_users: int = field(
        default=1000,
        metadata=about(
            "users",
            "What one answer of `wampush.presence.list` names; about 40 KiB, and far more than a "
            "page shows.",
            WholeNumber(1, 1_000_000),
        ),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; without arguments, the defaults."""

    apps: tuple[str, ...] = field(default=(), metadata=ABOUT_APPS)
    websocket: WebSocketSettings = field(default_factory=WebSocketSettings)
    zmq: ZmqSettings = field(default_factory=ZmqSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    clients: ClientSettings = field(default_factory=ClientSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    token: TokenSettings = field(default_factory=TokenSettings)
    callback: CallbackSettings = field(default_factory=CallbackSettings)
    cra: CraSettings = field(default_factory=CraSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    application: ApplicationSettings = field(default_factory=ApplicationSettings)
    presence: PresenceSettings = field(default_factory=PresenceSettings)
    topics: tuple[TopicSettings, ...] = field(
        default=(),
        metadata={"unit": "", "reason": "No topic needs anything else than the defaults."},
    )
    permissions: tuple[PermissionSettings, ...] = field(
        default=(),
        metadata={"unit": "", "reason": "What `[clients]` says holds for every topic."},
    )
    redis_source: tuple[RedisSourceSettings, ...] = field(
        default=(),
        metadata={"unit": "", "reason": "Backends push over ZeroMQ."},
    )
    routes: tuple[RouteSettings, ...] = field(
        default=(),
        metadata={"unit": "", "reason": "Every path speaks WAMP v1."},
    )


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "websocket": WebSocketSettings,
        "zmq": ZmqSettings,
        "http": HttpSettings,
        "clients": ClientSettings,
        "limits": LimitSettings,
        "proxy": ProxySettings,
        "tls": TlsSettings,
        "auth": AuthSettings,
        "token": TokenSettings,
        "callback": CallbackSettings,
        "cra": CraSettings,
        "webhooks": WebhookSettings,
        "application": ApplicationSettings,
        "presence": PresenceSettings,
    }
)
"""The tables of the file, in the order of :class:`Settings`."""

LISTS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "topics": TopicSettings,
        "permissions": PermissionSettings,
        "redis_source": RedisSourceSettings,
        "routes": RouteSettings,
    }
)
"""The lists of tables of the file, in the order of :class:`Settings`."""
