"""The JSON Schema of the configuration file, by which editors complete and check it.

Owns: how a setting and its checks are written as a schema. Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

from typing import Any, Final

from wampush.config.redaction import Redacted
from wampush.config.setting import Setting, settings_of
from wampush.config.settings import LISTS, SECTIONS, Settings

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"


def schema() -> dict[str, Any]:
    """Return the schema as a JSON object."""
    properties = {name: _setting(each) for name, each in settings_of(Settings).items()}
    properties |= {name: _table(table) for name, table in SECTIONS.items()}
    properties |= {name: {"type": "array", "items": _table(table)} for name, table in LISTS.items()}
    return {
        "$schema": _DIALECT,
        "title": "wampush.toml",
        "description": "The configuration of a wampush server.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _table(table: type[Any]) -> dict[str, Any]:
    settings = settings_of(table)
    described: dict[str, Any] = {
        "type": "object",
        "description": (table.__doc__ or "").partition("\n")[0].replace("``", "`"),
        "properties": {name: _setting(each) for name, each in settings.items()},
        "additionalProperties": False,
    }
    required = [name for name, each in settings.items() if each.is_required]
    return described | ({"required": required} if required else {})


def _setting(setting: Setting) -> dict[str, Any]:
    unit = f" Unit: {setting.check.unit}." if setting.check.unit else ""
    described = {**setting.check.schema, "description": f"{setting.reason}{unit}"}
    if not setting.is_required:
        default = setting.default
        described["default"] = _json_value(default)
    return described


def _json_value(default: object) -> object:
    if isinstance(default, tuple):
        return list(default)
    return str(default) if isinstance(default, Redacted) else default
