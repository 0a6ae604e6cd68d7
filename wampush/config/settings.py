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
from typing import TYPE_CHECKING, Any

from wampush.config.tables.apps import ABOUT_APPS, ApplicationSettings
from wampush.config.tables.clients import ClientSettings, PresenceSettings, TopicSettings
from wampush.config.tables.http import HttpSettings
from wampush.config.tables.identity import (
    AuthSettings,
    CallbackSettings,
    CraSettings,
    TokenSettings,
)
from wampush.config.tables.limits import LimitSettings
from wampush.config.tables.network import ProxySettings, TlsSettings
from wampush.config.tables.permissions import PermissionSettings
from wampush.config.tables.redis import RedisSourceSettings
from wampush.config.tables.routes import RouteSettings
from wampush.config.tables.webhooks import WebhookSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.config.tables.zeromq import ZmqSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


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
