"""The JSON Schema: what it says of each kind of setting."""

from __future__ import annotations

import json

from wampush.config.schema import schema
from wampush.config.settings import LISTS, SECTIONS


def test_kinds_of_settings():
    made = schema()
    assert json.loads(json.dumps(made)) == made
    websocket = made["properties"]["websocket"]["properties"]
    assert websocket["ping_interval"] == {
        "type": "number",
        "minimum": 0.01,
        "maximum": 86_400,
        "description": "Half of the 60 s after which common proxies cut an idle connection. "
        "Up to a quarter less where many clients are due at the same time. Unit: s.",
        "default": 30.0,
    }
    assert websocket["max_connections"]["type"] == "integer"
    assert websocket["dialect"]["enum"] == ["wamp1", "ratchet"]
    assert websocket["compression"]["type"] == "boolean"
    assert websocket["listen"]["items"] == {"type": "string", "minLength": 1}
    assert (websocket["listen"]["minItems"], websocket["listen"]["type"]) == (1, "array")
    assert websocket["listen"]["default"] == ["tcp:8080:interface=127.0.0.1"]
    assert made["properties"]["apps"]["default"] == []


def test_tables_and_lists_of_tables():
    properties = schema()["properties"]
    assert list(properties) == ["apps", *SECTIONS, *LISTS]
    assert properties["tls"]["additionalProperties"] is False
    assert "required" not in properties["tls"]
    routes = properties["routes"]["items"]
    assert routes["required"] == ["path", "component"]
    assert routes["description"].startswith("One entry of `[[routes]]`")
    assert "default" not in routes["properties"]["path"]
