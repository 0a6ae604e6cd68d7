"""The backplane in the configuration: what is accepted, and that no password is ever shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from wampush.config.load import describe, load
from wampush.config.redaction import HIDDEN
from wampush.config.settings import Settings
from wampush.errors import ConfigErrors

SECRET = "correct-horse"
ON = {"backplane.url": "redis://h"}


def settings(values: Mapping[str, Any]) -> Settings:
    return load(None, {}, values).settings


def refusal(values: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigErrors) as caught:
        load(None, {}, values)
    text = str(caught.value)
    assert SECRET not in text
    return text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backplane.url": "h:6379"}, "redis://HOST:PORT"),
        ({"backplane.url": f"http://:{SECRET}@h"}, "redis://HOST:PORT"),
        ({"backplane.url": "redis://live@h"}, "backplane.url has a user without a password"),
        ({"backplane.prefix": ""}, "1 to 64 letters"),
        ({"backplane.prefix": "a{b}"}, "1 to 64 letters"),
        ({"backplane.tag": "x" * 65}, "1 to 64 letters"),
        ({"backplane.sentinels": ["a"]}, "backplane.sentinels must be empty where backplane.url"),
        ({"backplane.password_file": "f"}, "password_file must be empty where backplane.url is"),
        ({**ON, "backplane.ca": "f"}, "backplane.ca must be empty where url is not rediss://"),
        ({"backplane.key": "f"}, "backplane.key must be empty where url is not rediss://"),
        (
            {"backplane.url": "rediss://h", "backplane.certificate": "f"},
            "backplane.key must be set where certificate is",
        ),
        (
            {"backplane.url": f"redis://:{SECRET}@h", "backplane.password_file": "f"},
            "backplane.password_file must be empty",
        ),
        ({**ON, "backplane.sentinel_password_file": "f"}, "must be empty where sentinels is"),
        (
            {"backplane.url": "redis://h:7", "backplane.sentinels": ["a"]},
            "backplane.url must be redis://MASTER",
        ),
        (
            {
                **ON,
                "history.database": "/tmp/d",
                "topics": [{"match": "a", "last": True, "durable": True}],
            },
            "Redis keeps the history of all nodes; set appendonly yes",
        ),
    ],
)
def test_refusals(values: Mapping[str, Any], words: str) -> None:
    assert words in refusal(values)


def test_without_a_url_there_is_one_node() -> None:
    backplane = settings({}).backplane
    assert not backplane.url
    assert str(backplane.url) == ""


def test_a_durable_topic_is_not_told_to_have_a_database_that_would_be_refused() -> None:
    topics = [{"match": "a", "last": True, "durable": True}]
    assert "needs history.database" not in refusal({**ON, "topics": topics})


def test_a_durable_topic_of_a_single_node_is_fine() -> None:
    topics = [{"match": "a", "last": True, "durable": True}]
    assert settings({"history.database": "/tmp/d", "topics": topics}).topics[0].durable


def test_keys_begin_with_the_prefix_and_the_tag() -> None:
    assert settings(ON).backplane.key_prefix == "wampush{main}:"
    other = settings({**ON, "backplane.prefix": "shop", "backplane.tag": "7"}).backplane
    assert other.key_prefix == "shop{7}:"


def test_the_database_is_kept() -> None:
    assert settings({"backplane.url": "redis://h/3"}).backplane.url.database == 3
    assert settings({"backplane.url": "unix:///r?db=4"}).backplane.url.database == 4


def test_addresses_in_logs_have_no_password() -> None:
    url = f"rediss://live:{SECRET}@h"
    loaded = load(None, {}, {"backplane.url": url})
    assert loaded.settings.backplane.address == "rediss://h:6379"
    shown = next(row.value for row in describe(loaded) if row.key == "backplane.url")
    assert str(shown) == f"rediss://{HIDDEN}@h:6379"
    sentinels = {"backplane.url": "redis://mymaster", "backplane.sentinels": ["a", "b:7"]}
    assert settings(sentinels).backplane.address == "redis+sentinel://mymaster"
