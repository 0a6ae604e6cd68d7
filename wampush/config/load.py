"""The configuration in force: command line over environment over TOML file over defaults.

Owns: merging the sources, the checks between settings, and the names other modules import.
Must not import: Twisted, Autobahn, or anything of wampush but the settings, their checkers,
``config.sources`` and ``topics``.

Every value of every source is checked, also one that another source overrides, so that a mistake
shows when it is made. What the values mean and may be stands in ``settings``.
"""

from __future__ import annotations

import json
from dataclasses import Field, dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from wampush.choices import Action
from wampush.config.checks.common import takes_any_port
from wampush.config.settings import LISTS, SECTIONS, Settings
from wampush.config.sources import (
    DEFAULT,
    FIELDS,
    LIST_FIELDS,
    TOP_FIELDS,
    Origin,
    named_by,
    read_sources,
)
from wampush.config.tables.apps import application_conflicts
from wampush.config.tables.clients import TopicSettings
from wampush.config.tables.identity import conflicts
from wampush.config.tables.permissions import PermissionSettings
from wampush.config.tables.redis import redis_conflicts
from wampush.config.tables.routes import route_conflicts
from wampush.config.tables.webhooks import webhook_conflicts
from wampush.config.tables.websocket import WebSocketSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.topics import is_reserved, matches_all_of, split_placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "Described",
    "LoadedSettings",
    "PermissionSettings",
    "Settings",
    "TopicSettings",
    "WebSocketSettings",
    "ZmqSettings",
    "as_toml",
    "describe",
    "load",
]


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force and where each came from.

    :param settings: the checked settings.
    :param origins: for each dotted key, and for each list of tables as a whole: "default",
        "file NAME", "environment WAMPUSH_X" or "command line".
    :param folder: where the file is, which application code may lie beside; None without a file.
    """

    settings: Settings
    origins: Mapping[str, str]
    folder: Path | None = None


class Described(NamedTuple):
    """One setting in force, for people to read."""

    key: str
    value: object
    origin: str
    unit: str
    reason: str


def load(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> LoadedSettings:
    """Read, check and merge all sources.

    :param path: the TOML file; None means the one that ``WAMPUSH_CONFIG`` names, if any.
    :param environ: the environment; names that do not begin with ``WAMPUSH_`` are not looked at.
    :param overrides: values of the command line under their dotted keys, with the types of TOML;
        None means that the option was not given. A list replaces the list of other sources.
    :raises ConfigError: when a source cannot be read, or holds anything unknown or unusable.
    """
    values = {key: each.default for key, each in (*TOP_FIELDS.items(), *FIELDS.items())}
    values.update(dict.fromkeys(LISTS, ()))
    origins = dict.fromkeys(values, DEFAULT)
    path = path or named_by(environ)
    for given in read_sources(path, environ, overrides):
        values[given.key] = given.value
        origins[given.key] = given.origin
    settings = _assemble(values)
    _check_together(settings, origins)
    labels = {key: origin.label for key, origin in origins.items()}
    # Absolute now: a daemon may change its working directory before application code is loaded.
    folder = None if path is None else path.absolute().parent
    return LoadedSettings(settings, MappingProxyType(labels), folder)


def describe(loaded: LoadedSettings) -> list[Described]:
    """List every setting in force, in the order of the documentation.

    Entries of ``[[topics]]`` have the keys ``topics[1].match`` and so on, counted from 1; without
    an entry there is one row ``topics``. The other lists are the same.
    """
    rows: list[Described] = []
    for key, each in TOP_FIELDS.items():
        rows.append(_described(key, getattr(loaded.settings, key), loaded.origins[key], each))
    for key, each in FIELDS.items():
        section, name = key.split(".")
        value = getattr(getattr(loaded.settings, section), name)
        rows.append(_described(key, value, loaded.origins[key], each))
    for table, known in LIST_FIELDS.items():
        origin = loaded.origins[table]
        entries = getattr(loaded.settings, table)
        for number, entry in enumerate(entries, 1):
            for name, each in known.items():
                key = f"{table}[{number}].{name}"
                rows.append(_described(key, getattr(entry, name), origin, each))
        if not entries:
            empty = next(each for each in fields(Settings) if each.name == table)
            rows.append(_described(table, (), origin, empty))
    return rows


def _described(key: str, value: object, origin: str, each: Field[Any]) -> Described:
    return Described(key, value, origin, each.metadata["unit"], each.metadata["reason"])


def as_toml(value: object) -> str:
    """Write the value of a setting as it would stand in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for U+007F, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(as_toml(element) for element in value)}]"
    return repr(value)


def _assemble(values: Mapping[str, object]) -> Settings:
    sections: dict[str, Any] = {
        name: section(**{each.name: values[f"{name}.{each.name}"] for each in fields(section)})
        for name, section in SECTIONS.items()
    }
    others: dict[str, Any] = {name: values[name] for name in (*TOP_FIELDS, *LISTS)}
    return Settings(**sections, **others)


def _check_together(settings: Settings, origins: Mapping[str, Origin]) -> None:
    websocket, clients, limits = settings.websocket, settings.clients, settings.limits

    def at_fault(*keys: str) -> tuple[Origin, str, object]:
        """Blame the value that was set last; of equals, the first."""
        key = max(keys, key=lambda each: origins[each].rank)
        section, name = key.split(".")
        return origins[key], key, getattr(getattr(settings, section), name)

    if websocket.silence_timeout <= websocket.ping_interval:
        origin, key, value = at_fault("websocket.silence_timeout", "websocket.ping_interval")
        raise origin.refuse(
            key,
            value,
            f"websocket.silence_timeout ({websocket.silence_timeout:g} s) must be longer than "
            f"websocket.ping_interval ({websocket.ping_interval:g} s)",
        )
    if limits.queued_bytes < clients.queue_bytes:
        origin, key, value = at_fault("limits.queued_bytes", "clients.queue_bytes")
        raise origin.refuse(
            key,
            value,
            f"limits.queued_bytes ({limits.queued_bytes}), all clients together, must not be less "
            f"than clients.queue_bytes ({clients.queue_bytes}), one client",
        )
    http = settings.http.listen
    if http in websocket.listen and not takes_any_port(http):
        origin, key, _ = at_fault("http.listen", "websocket.listen")
        raise origin.refuse(
            key, http, "http.listen and websocket.listen must be different endpoints"
        )
    for key, found, expected in _conflicts(settings):
        raise origins[key].refuse(key, found, expected)
    _check_automatic(settings, origins["clients.auto_subscribe"])
    _check_topics(settings, origins["topics"])
    _check_permissions(settings, origins["permissions"])
    _check_redis(settings, origins["redis_source"])
    for key, found, expected in route_conflicts(settings.routes):
        raise origins["routes"].refuse(key, found, expected)


def _conflicts(settings: Settings) -> Iterator[tuple[str, object, str]]:
    """What does not fit together: a key, its value, and what would be right."""
    callback, opening = settings.callback, settings.websocket.handshake_timeout
    has_apps = bool(settings.apps)
    yield from conflicts(settings.auth, settings.token, callback, settings.cra, opening, has_apps)
    waits = callback.timeout if callback.url else 0.0
    yield from webhook_conflicts(settings.webhooks, waits, opening)
    yield from application_conflicts(settings.apps, settings.application, waits, opening)


def _check_topics(settings: Settings, origin: Origin) -> None:
    longest = settings.limits.topic_bytes
    for number, topic in enumerate(settings.topics, 1):
        key = f"topics[{number}].match"
        if len(topic.match.removesuffix("*").encode()) > longest:
            expected = f"matches nothing: limits.topic_bytes allows {longest} bytes"
            raise origin.refuse(key, topic.match, expected)
        if topic.presence and is_reserved(topic.match):
            expected = "must be false: nobody joins the topics of wampush itself"
            raise origin.refuse(f"topics[{number}].presence", topic.presence, expected)
        for earlier_number, earlier in enumerate(settings.topics[: number - 1], 1):
            if matches_all_of(earlier.match, topic.match):
                raise origin.refuse(
                    key,
                    topic.match,
                    f"is never reached: topics[{earlier_number}] ({earlier.match!r}) matches all "
                    "of it; the first match wins, so put the narrower entry first",
                )


def _check_automatic(settings: Settings, origin: Origin) -> None:
    longest = settings.limits.topic_bytes
    for topic in settings.clients.auto_subscribe:
        fixed = "".join(split_placeholders(topic)[0])
        if len(fixed.encode()) > longest:
            expected = f"gives nobody a topic: limits.topic_bytes allows {longest} bytes"
            raise origin.refuse("clients.auto_subscribe", topic, expected)


def _check_redis(settings: Settings, origin: Origin) -> None:
    for number, entry in enumerate(settings.redis_source, 1):
        for name, value, expected in redis_conflicts(entry, settings.limits.topic_bytes):
            raise origin.refuse(f"redis_source[{number}].{name}", value, expected)


def _check_permissions(settings: Settings, origin: Origin) -> None:
    longest = settings.limits.topic_bytes
    for number, entry in enumerate(settings.permissions, 1):
        place = f"permissions[{number}]"
        if len(entry.match.removesuffix("*").encode()) > longest:
            expected = f"matches nothing: limits.topic_bytes allows {longest} bytes"
            raise origin.refuse(f"{place}.match", entry.match, expected)
        for name in ("max_bytes", "per_second"):
            if getattr(entry, name) and not entry.allow:
                expected = "limits nothing, because the entry allows nothing; leave it out"
                raise origin.refuse(f"{place}.{name}", getattr(entry, name), expected)
        if entry.max_bytes and entry.actions == (Action.SUBSCRIBE,):
            expected = "limits nothing, because a subscription has no payload; leave it out"
            raise origin.refuse(f"{place}.max_bytes", entry.max_bytes, expected)
        for earlier_number, earlier in enumerate(settings.permissions[: number - 1], 1):
            if earlier.hides(entry):
                raise origin.refuse(
                    f"{place}.match",
                    entry.match,
                    f"is never reached: permissions[{earlier_number}] ({earlier.match!r}) decides "
                    "all of it; the first match wins, so put the narrower entry first",
                )
