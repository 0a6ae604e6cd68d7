"""All settings, and the rules between them.

Owns: the class that holds every table, and the settings and rules by name.
Must not import: where values come from.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final, get_origin, get_type_hints

from wampush.config.checks.names import ObjectName
from wampush.config.rules import Rule
from wampush.config.setting import Setting, settings_of, table_in
from wampush.config.tables.apps import ApplicationSettings
from wampush.config.tables.backplane import BackplaneSettings
from wampush.config.tables.clients import ClientSettings, PresenceSettings
from wampush.config.tables.http import HttpSettings
from wampush.config.tables.identity import (
    AuthSettings,
    CallbackSettings,
    CraSettings,
    TokenSettings,
)
from wampush.config.tables.limits import LimitSettings
from wampush.config.tables.log import LogLevelSettings, LogSettings
from wampush.config.tables.network import ProxySettings, TlsSettings
from wampush.config.tables.permissions import PermissionSettings
from wampush.config.tables.process import ProcessSettings
from wampush.config.tables.pushes import PushSettings
from wampush.config.tables.redis import RedisSourceSettings
from wampush.config.tables.routes import RouteSettings
from wampush.config.tables.topics import HistorySettings, TopicSettings
from wampush.config.tables.webhooks import WebhookSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.config.tables.zeromq import ZmqSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; without arguments, the defaults.

    :param apps: Only named apps are loaded, such as ``shop.live:app``, found on Python's path or
        next to this file.
    """

    apps: tuple[ObjectName, ...] = ()
    websocket: WebSocketSettings = field(default_factory=WebSocketSettings)
    pushes: PushSettings = field(default_factory=PushSettings)
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
    history: HistorySettings = field(default_factory=HistorySettings)
    backplane: BackplaneSettings = field(default_factory=BackplaneSettings)
    log: LogSettings = field(default_factory=LogSettings)
    log_levels: LogLevelSettings = field(default_factory=LogLevelSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    topics: tuple[TopicSettings, ...] = ()
    permissions: tuple[PermissionSettings, ...] = ()
    redis_source: tuple[RedisSourceSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = ()


_TABLES: Final = {
    name: (table, get_origin(annotation) is tuple)
    for name, annotation in get_type_hints(Settings).items()
    if (table := table_in(annotation)) is not None
}
#: The tables of the file, in the order of :class:`Settings`.
SECTIONS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {name: table for name, (table, is_list) in _TABLES.items() if not is_list}
)
#: The lists of tables of the file, in the order of :class:`Settings`.
LISTS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {name: table for name, (table, is_list) in _TABLES.items() if is_list}
)
#: The settings outside lists of tables by dotted key; first those before the first table.
FIELDS: Final[Mapping[str, Setting]] = MappingProxyType(
    dict(settings_of(Settings))
    | {
        f"{section}.{name}": each
        for section, table in SECTIONS.items()
        for name, each in settings_of(table).items()
    }
)
#: The settings of the lists of tables.
LIST_FIELDS: Final[Mapping[str, Mapping[str, Setting]]] = MappingProxyType(
    {name: settings_of(table) for name, table in LISTS.items()}
)
#: The rules of all table modules.
RULES: Final[tuple[Rule, ...]] = tuple(
    each
    for module in dict.fromkeys(table.__module__ for table, _ in _TABLES.values())
    for each in vars(sys.modules[module]).values()
    if isinstance(each, Rule)
)


def assemble(values: Mapping[str, Any]) -> Settings:
    """Make the settings of values by dotted key; a list of tables is a mapping by number."""
    sections: dict[str, Any] = {
        name: table(**{each.name: values[f"{name}.{each.name}"] for each in fields(table)})
        for name, table in SECTIONS.items()
    }
    top: dict[str, Any] = {name: values[name] for name in settings_of(Settings)}
    lists: dict[str, Any] = {name: tuple(values[name].values()) for name in LISTS}
    return Settings(**sections, **top, **lists)
