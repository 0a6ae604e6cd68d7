"""The documentation and the example file say what the code does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

from wampush.config.load import as_toml, load
from wampush.config.settings import LISTS, SECTIONS, Settings
from wampush.config.sources import TOP_FIELDS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
EXAMPLE = REFERENCE / "wampush.example.toml"


def rows_of_the_code() -> dict[str, tuple[str, ...]]:
    described = {
        f"{section}.{each.name}": each
        for section, owner in {**SECTIONS, **LISTS}.items()
        for each in fields(owner)
    }
    return {
        key: (
            "required" if each.default is MISSING else f"`{as_toml(each.default)}`",
            each.metadata["unit"] or "-",
            each.metadata["checker"].allowed.replace("*", "\\*"),
            each.metadata["reason"],
        )
        for key, each in {**TOP_FIELDS, **described}.items()
    }


def test_the_document_lists_every_key_default_unit_range_and_reason():
    text = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^\| `(\w+\.\w+|apps)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE
    )
    assert len(found) == len({row[0] for row in found})
    assert {row[0]: row[1:] for row in found} == rows_of_the_code()


def test_sections_are_those_of_the_settings():
    names: dict[str, object] = {each.name: each.default_factory for each in fields(Settings)}
    for name in (*TOP_FIELDS, *LISTS):
        del names[name]
    assert names == dict[str, object](SECTIONS)


def test_the_example_holds_every_key_with_its_default():
    tables = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    assert {name for name in tables if name not in SECTIONS} == set(TOP_FIELDS)
    assert {name: set(table) for name, table in tables.items() if name in SECTIONS} == {
        name: {each.name for each in fields(section)} for name, section in SECTIONS.items()
    }
    assert load(EXAMPLE, {}, {}).settings == Settings()


def test_the_commented_tables_of_the_example_are_usable(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8")
    uncommented = re.sub(r"^# (\[\[|\w+ = )", r"\1", text, flags=re.MULTILINE)
    path = tmp_path / "wampush.toml"
    path.write_text(uncommented, encoding="utf-8")
    settings = load(path, {}, {}).settings
    assert [topic.slow_client for topic in settings.topics] == ["latest"]
    assert [each.match for each in settings.permissions] == ["user.{user}.*"]
