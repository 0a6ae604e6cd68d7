"""The page, the example file and the schema of the configuration are complete and usable."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generate_reference import GenerationError, configuration

from wampush.config.load import load
from wampush.config.settings import FIELDS, LIST_FIELDS, LISTS, Settings
from wampush.errors import ConfigErrors

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
EXAMPLE = REFERENCE / "wampush.example.toml"
SCHEMA = json.loads((REFERENCE / "wampush.schema.json").read_text(encoding="utf-8"))


def with_entries() -> str:
    """The example file with the entries that are comments in it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    return re.sub(r"^# (\[\[|\w+ = )", r"\1", text, flags=re.MULTILINE)


def violations(value: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Validate a value, with the keywords of JSON Schema that the schema uses."""
    known = {"$schema", "title", "description", "default"}
    known |= {"type", "enum", "minimum", "maximum", "minLength", "minItems", "items"}
    known |= {"properties", "required", "additionalProperties"}
    known |= {"anyOf", "pattern"}
    assert schema.keys() <= known
    if "anyOf" in schema:
        found = [list(violations(value, each, place)) for each in schema["anyOf"]]
        if all(found):
            yield f"{place}: {found}"
    if "pattern" in schema and not re.search(schema["pattern"], str(value)):
        yield f"{place}: {value!r} has another form"
    types: dict[str, Any] = {
        "boolean": bool,
        "integer": int,
        "number": int | float,
        "string": str,
        "array": list,
        "object": dict,
    }
    name = schema.get("type")
    if name and (
        not isinstance(value, types[name]) or (name != "boolean" and isinstance(value, bool))
    ):
        yield f"{place}: {value!r} is not of type {name}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is not one of {schema['enum']}"
    if "minimum" in schema and not schema["minimum"] <= value <= schema["maximum"]:
        yield f"{place}: {value!r} is out of range"
    if name in ("string", "array") and len(value) < schema.get(
        "minLength" if name == "string" else "minItems", 0
    ):
        yield f"{place}: {value!r} is too short"
    for number, element in enumerate(value if name == "array" else ()):
        yield from violations(element, schema["items"], f"{place}[{number}]")
    if name == "object":
        yield from (
            f"{place}.{key} is missing" for key in schema.get("required", ()) if key not in value
        )
        for key, each in value.items():
            if key in schema["properties"]:
                yield from violations(each, schema["properties"][key], f"{place}.{key}")
            else:
                yield f"{place}.{key} is unknown"


def test_the_page_has_every_table():
    page = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration(page)
    keys = set(re.findall(r"^\| `([\w.]+)` \| .* \| .* \| .* \| .* \|$", page, re.MULTILINE))
    entries = {f"{table}.{name}" for table, known in LIST_FIELDS.items() for name in known}
    assert keys == {*FIELDS, *entries}
    with pytest.raises(GenerationError, match="no part has the settings of tls"):
        configuration(page.replace("<!-- generated: settings tls -->", ""))


def test_the_example_holds_every_key_with_its_default():
    tables = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    keys = {
        f"{name}.{key}" if isinstance(table, dict) else name
        for name, table in tables.items()
        for key in (table if isinstance(table, dict) else [""])
    }
    assert keys == set(FIELDS)
    assert load(EXAMPLE, {}, {}).settings == Settings()


def test_the_commented_tables_of_the_example_are_usable(tmp_path):
    path = tmp_path / "wampush.toml"
    path.write_text(with_entries(), encoding="utf-8")
    settings = load(path, {}, {}).settings
    assert [topic.slow_client for topic in settings.topics] == ["latest"]
    assert [each.match for each in settings.permissions] == ["user.{user}.*"]
    assert all(getattr(settings, table) for table in LISTS)


def test_the_schema_accepts_the_example():
    assert list(violations(tomllib.loads(with_entries()), SCHEMA)) == []
    assert EXAMPLE.read_text(encoding="utf-8").startswith("#:schema ./wampush.schema.json\n")


@pytest.mark.parametrize(
    "text",
    [
        "app = []",
        "[websocket]\nping_interval = 0",
        "[websocket]\nping_interval = true",
        "[websocket]\ndialect = 'wamp3'",
        "[websocket]\nlisten = []",
        "[websocket]\nlisten = [1]",
        "[pushes]\ntopic_key = ''",
        "[limits]\ntopics = 1.5",
        "[zmq]\ntopic_key = 'x'",
        "[[topics]]\npresence = true",
        "[[permissions]]\nmatch = 'a'\nactions = ['read']\nto = ['anyone']",
    ],
)
def test_the_schema_rejects_mistakes(text):
    assert len(list(violations(tomllib.loads(text), SCHEMA))) == 1


def test_every_setting_is_described_in_the_schema():
    def settings(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for each in schema["properties"].values():
            inner = each.get("items", each)
            yield from settings(inner) if "properties" in inner else [each]

    described = list(settings(SCHEMA))
    assert len(described) > len(FIELDS)
    assert all(each["description"] for each in described)


def test_the_mistakes_on_the_page_are_reported_so(tmp_path):
    page = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    path = tmp_path / "wampush.toml"
    lines = ["", "[websocket]", "ping_intervall = 20", "", "", "", "[limits]", ""]
    path.write_text("\n".join([*lines, "queued_bytes = 100", ""]), encoding="utf-8")
    with pytest.raises(ConfigErrors) as caught:
        load(path, {"WAMPUSH_HTTP_LISTEN": "8081"}, {})
    reported = str(caught.value).replace(str(path), "/etc/wampush.toml")
    assert f"```\n{reported}\n```" in page
