"""What the reference says of the topics and procedures of the server; settings of presence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.edges.websocket.in_memory import MemoryNode
from wampush.config.load import load
from wampush.config.tables.clients import PresenceSettings
from wampush.config.tables.topics import TopicSettings
from wampush.errors import ConfigErrors
from wampush.wamp import uris

WIRE = (Path(__file__).parents[2] / "docs" / "reference" / "wire.md").read_text(encoding="utf-8")


def first_column(section: str) -> str:
    """The first column of the table of a section, with its backticks."""
    text = WIRE.split(f"\n### {section}\n")[1].split("\n### ")[0]
    return "\n".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))


def test_the_topics_of_the_server_are_those_of_the_code() -> None:
    documented = set(re.findall(r"`(.+?)`", first_column("Topics of the server")))
    assert documented == {
        uris.TOPIC_NUM_ONLINE,
        uris.TOPIC_NUM_CLIENTS,
        f"{uris.PRESENCE_CHANGES}TOPIC",
    }


def test_the_procedures_of_the_server_are_those_of_the_code() -> None:
    documented = set(re.findall(r"`(wampush[\w.]+)\(", first_column("Procedures of the server")))
    node = MemoryNode(topics=(TopicSettings("t", last=True),))
    registered = set(node.node.requests.procedures)
    assert documented == registered | {uris.PROCEDURE_REFRESH, uris.PROCEDURE_SUBSCRIBE}


def test_the_settings_of_presence(tmp_path: Path) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(
        '[presence]\ngrace = 5\n[[topics]]\nmatch = "room.*"\npresence = true\n', encoding="utf-8"
    )
    settings = load(path, {"WAMPUSH_PRESENCE_LIST_USERS": "50"}, {}).settings
    assert settings.presence == PresenceSettings(grace=5.0, list_users=50)
    assert settings.topics == (TopicSettings("room.*", presence=True),)


@pytest.mark.parametrize("match", ["wampush.presence.changes.*", "wampush.*"])
def test_the_topics_of_the_server_have_no_presence(tmp_path: Path, match: str) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(f'[[topics]]\nmatch = "{match}"\npresence = true\n', encoding="utf-8")
    with pytest.raises(ConfigErrors, match="clients cannot join") as caught:
        load(path, {}, {})
    assert caught.value.errors[0].key == "topics[1].presence"
