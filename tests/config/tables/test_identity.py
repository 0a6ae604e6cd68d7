"""What fits together in the settings about who clients are, and what their values may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.config.checks.common import Rejected
from wampush.config.checks.identity import HttpUrl, Name, TextOrNone
from wampush.config.load import load
from wampush.errors import ConfigError


def read(tmp_path: Path, text: str):
    path = tmp_path / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {}, {}).settings


def test_all_four_in_one_order(tmp_path):
    settings = read(
        tmp_path,
        '[auth]\norder = ["token", "callback", "cra", "anonymous"]\n[token]\nkey_file = "k"\n'
        '[callback]\nurl = "https://example.org/who"\n[cra]\nkeys_file = "c"\n',
    )
    assert settings.auth.order == ("token", "callback", "cra", "anonymous")


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('[auth]\norder = ["token"]', "token.key_file", 'auth.order names "token"'),
        ('[auth]\norder = ["callback"]', "callback.url", 'auth.order names "callback"'),
        ('[auth]\norder = ["cra"]', "cra.keys_file", 'auth.order names "cra"'),
        ('[token]\nkey_file = "k"', "auth.order", "because token.key_file"),
        ('[token]\njwks_file = "k"', "auth.order", "token.jwks_file is set"),
        ('[callback]\nurl = "http://a/"', "auth.order", "because callback.url is set"),
        ('[cra]\nkeys_file = "k"', "auth.order", "because cra.keys_file is set"),
        (
            '[auth]\norder = ["token"]\n[token]\nkey_file = "k"\njwks_file = "j"',
            "token.jwks_file",
            "must be empty",
        ),
        (
            '[auth]\norder = ["anonymous", "token"]\n[token]\nkey_file = "k"',
            "auth.order",
            '"anonymous" last',
        ),
        (
            (
                '[auth]\norder = ["cra", "token", "anonymous"]\n[token]\nkey_file = "k"\n'
                '[cra]\nkeys_file = "k"'
            ),
            "auth.order",
            '"cra" last',
        ),
        (
            '[auth]\norder = ["callback"]\n[callback]\nurl = "http://a/"\ntimeout = 5',
            "callback.timeout",
            "less than websocket.handshake_timeout (5 s)",
        ),
        ("[auth]\norder = []", "auth.order", "at least one"),
        ('[auth]\norder = ["tokens"]', "auth.order", '"token" or'),
        ('[auth]\norder = ["cra", "cra"]', "auth.order", "not in the list already"),
    ],
)
def test_what_does_not_fit_together_stops_the_start(tmp_path, text, key, words):
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    assert refused.value.key == key
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/who.php", "https://example.org/a?b=c", "http://[::1]:1/", ""],
)
def test_urls_of_web_applications(url):
    assert HttpUrl().check(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "example.org",
        "ftp://a/",
        "http://",
        "http://u:p@a/",
        "http://a/#b",
        "http://a:99999/",
        "http://a b/",
        "http://[::1/",
        "https://é/",
        "http://a:0/",
        1,
    ],
)
def test_what_is_no_url_of_a_web_application(url):
    assert isinstance(HttpUrl().check(url), Rejected)


@pytest.mark.parametrize("name", ["a b", "ä", "a:b", "a=b", "", 1, "a\n"])
def test_what_is_no_name(name):
    assert isinstance(Name().check(name), Rejected)


def test_names_and_text_that_may_be_empty():
    assert Name(or_none=True).check("") == ""
    assert Name(or_none=True).check("X-Token") == "X-Token"
    assert TextOrNone().check("") == ""
    assert TextOrNone().check("é") == "é"
    assert isinstance(TextOrNone().check(0), Rejected)


@given(st.text() | st.integers() | st.none() | st.lists(st.text()))
def test_checkers_never_raise(value):
    for checker in (HttpUrl(), Name(), Name(or_none=True), TextOrNone()):
        checked = checker.check(value)
        assert checked == value or isinstance(checked, Rejected)
