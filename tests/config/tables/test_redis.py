"""Sources of pushes in the configuration: what is accepted, and that no password is ever shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush import cli
from wampush.config.load import describe, load
from wampush.config.redaction import HIDDEN
from wampush.config.tables.redis import RedisSourceSettings
from wampush.errors import ConfigErrors

unhurried = settings(database=None, deadline=None)
SECRET = "correct-horse"
ENTRY = {"url": "redis://127.0.0.1", "channels": ["live_*"]}


def entry(**more: Any) -> RedisSourceSettings:
    """One entry as it is kept."""
    (kept,) = load(None, {}, {"redis_source": [{**ENTRY, **more}]}).settings.redis_source
    return kept


def refusal(read: Callable[[], object]) -> str:
    """The errors of reading, in which there must be no secret."""
    with pytest.raises(ConfigErrors) as caught:
        read()
    text = str(caught.value)
    assert SECRET not in text
    return text


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({"channels": []}, "channels", "at least one element"),
        ({"channels": "live_*"}, "channels", "at least one element"),
        ({"channels": [""]}, "channels", "the name of a channel"),
        ({"channels": ["a", 5]}, "channels", "not a whole number"),
        ({"channels": ["a", "a"]}, "channels", "in the list only once"),
        ({"topic": ""}, "topic", "{channel}"),
        ({"topic": "{topic}"}, "topic", "without other braces"),
        ({"topic": "{channel"}, "topic", "without other braces"),
        ({"topic": "x" * 1025}, "topic", "limits.topic_bytes allows 1024 bytes"),
        ({"topic": "wampush.{channel}"}, "topic", "must not begin with wampush."),
        ({"url": "redis://live@h"}, "url", "a user without a password"),
        ({"url": f"redis://:{SECRET}@h", "password_file": "f"}, "password_file", "must be empty"),
        ({"ca": "f"}, "ca", "not rediss://"),
        ({"url": "unix:///r", "ca": "f"}, "ca", "not rediss://"),
        ({"url": "unix://live@/r"}, "url", "a user without a password"),
        ({"sentinels": ["h:port"]}, "sentinels", "HOST or HOST:PORT"),
        ({"sentinel_password_file": "f"}, "sentinel_password_file", "must be empty where"),
        ({"url": "redis://h:1", "sentinels": ["a"]}, "url", "without a port, with sentinels"),
        ({"url": "unix:///r", "sentinels": ["a"]}, "url", "must be redis://MASTER"),
        ({"prefix": 5}, "prefix", "what all names of channels begin with"),
        ({"certificate": "f", "key": "f"}, "certificate", "not rediss://"),
        ({"url": "rediss://h", "certificate": "f"}, "key", "must be set where certificate is"),
        ({"url": "rediss://h", "key": "f"}, "key", "only there"),
    ],
)
def test_what_can_not_be_used_stops_the_start(more: dict[str, Any], key: str, words: str) -> None:
    text = refusal(lambda: entry(**more))
    assert f"redis_source[1].{key}" in text
    assert words.replace("{channel}", "") in text.replace("{channel}", "")


def test_what_can_be_left_out_can_be_given_too() -> None:
    everything = {
        "url": "rediss://live@h",
        "channels": ["a*b*", "c"],
        "prefix": "shop_database_*",
        "topic": "shop.{channel}.{channel}",
        "password_file": "password",
        "ca": "ca.pem",
        "certificate": "own.pem",
        "key": "own-key.pem",
    }
    kept = entry(**everything)
    assert kept.channels == ("a*b*", "c")
    assert (kept.ca, kept.certificate, kept.key) == ("ca.pem", "own.pem", "own-key.pem")
    assert entry().topic == "{channel}"
    assert entry().address == "redis://127.0.0.1:6379"
    sentinels = {"url": f"redis://:{SECRET}@shop", "sentinels": ["10.0.0.1", "[::1]:7"]}
    assert entry(**sentinels).address == "redis+sentinel://shop"
    with pytest.raises(ConfigErrors, match=r"redis_source\[1\].channels: is missing"):
        load(None, {}, {"redis_source": [{"url": "redis://h"}]})


# Secrets.

MISTAKES = [
    f"[[redis_source]]\nurl = 'redis://:{SECRET}@h'\n",
    f"[[redis_source]]\nurll = 'redis://:{SECRET}@h'\n",
    f"[[redis_source]]\npassword = '{SECRET}'\n",
    f"[redis_source]\nurl = 'redis://:{SECRET}@h'\n",
    f"[redis]\nurl = 'redis://:{SECRET}@h'\npassword = '{SECRET}'\n",
    f"redis_source = ['redis://:{SECRET}@h']\n",
    f"[zmq]\npull = ['redis://:{SECRET}@h']\n",
    f"[zmq]\npull = ['redis://:{'x' * 300}{SECRET}@h']\n",
    f"redis = 'redis://live:{SECRET}@h'\n",
    f"[http]\ntoken = '{SECRET}'\n",
    f"[callback]\nurl = 'ftp://live:{SECRET}@h'\n",
    f"[[redis_source]]\nurl = 'redis://:{SECRET}@h'\nchannels = []\n",
    f"[[redis_source]]\nurl = 'redis://:{SECRET}@h\n",
]


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_beside_a_password_does_not_show_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    refusal(lambda: load(path, {}, {}))


@pytest.mark.parametrize("name", ["WAMPUSH_REDIS_PASSWORD", "WAMPUSH_REDIS_URL"])
def test_a_password_in_the_environment_is_not_shown(name: str) -> None:
    text = refusal(lambda: load(None, {name: f"redis://:{SECRET}@h"}, {}))
    assert name in text
    assert HIDDEN in text


def test_a_password_is_shown_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wampush.toml"
    url = f"redis://live-user:{SECRET}@h:7/1"
    path.write_text(f'[[redis_source]]\nurl = "{url}"\nchannels = ["a"]\n', encoding="utf-8")
    loaded = load(path, {}, {})
    assert cli.main(["check", "--config", str(path)]) == 0
    shown = (
        f"{capsys.readouterr()} {loaded} {describe(loaded)} {loaded.settings.redis_source[0].url}"
    )
    assert f'= "redis://{HIDDEN}@h:7" ' in shown
    assert SECRET not in shown
    assert "live-user" not in shown
    assert loaded.settings.redis_source[0].url.address == "redis://h:7"


@unhurried
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_url_gives_settings_or_one_line(text: str) -> None:
    try:
        kept = entry(url=f"redis://{text}")
    except ConfigErrors as error:
        lines = str(error).splitlines()
    else:
        lines = [repr(kept.url)]
        assert kept.url.host
        assert 0 < kept.url.port < 65_536
    assert len(lines) == 1
