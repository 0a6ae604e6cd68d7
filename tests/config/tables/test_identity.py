"""What fits together in the settings about who clients are, and what their values may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.refusals import refusal
from wampush.config.load import load


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
        (
            '[auth]\norder = ["token"]',
            "auth.order",
            "token.key_file or token.jwks_file must be set",
        ),
        ('[auth]\norder = ["callback"]', "auth.order", "callback.url must be set"),
        ('[auth]\norder = ["cra"]', "auth.order", "cra.keys_file must be set"),
        ('[token]\nkey_file = "k"', "token.key_file", 'must include "token"'),
        ('[token]\njwks_file = "k"', "token.jwks_file", "token.jwks_file is set"),
        ('[callback]\nurl = "http://a/"', "callback.url", "because callback.url is set"),
        ('[cra]\nkeys_file = "k"', "cra.keys_file", "because cra.keys_file is set"),
        (
            '[auth]\norder = ["token"]\n[token]\nkey_file = "k"\njwks_file = "j"',
            "token.jwks_file",
            "must not both be set",
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
        ("[auth]\norder = []", "auth.order", "at least one element"),
        ('[auth]\norder = ["tokens"]', "auth.order", '"token", "callback"'),
        ('[auth]\norder = ["cra", "cra"]', "auth.order", "in the list only once"),
    ],
)
def test_what_does_not_fit_together_stops_the_start(tmp_path, text, key, words):
    path = tmp_path / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    error = refusal(path)
    assert error.key == key
    assert error.line is not None
    assert words in str(error)


def test_names_and_text_that_may_be_empty(tmp_path):
    token = read(
        tmp_path, '[token]\nquery = ""\ncookie = "X-Token"\naudience = ""\nissuer = "é"'
    ).token
    assert (token.query, token.cookie, token.audience, token.issuer) == ("", "X-Token", "", "é")


def test_keys_of_wamp_cra_may_be_those_of_an_app(tmp_path):
    settings = read(tmp_path, 'apps = ["a:b"]\n[auth]\norder = ["cra"]')
    assert settings.cra.keys_file == ""
