"""What fits together in the settings about an application that is asked over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.refusals import mistakes
from wampush.config.load import load

URL = '[webhooks]\nurl = "http://127.0.0.1/hooks.php"\n'
KEY = 'secret_file = "hooks.key"\n'


def read(tmp_path: Path, text: str):
    path = tmp_path / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {}, {}).settings


def test_all_events(tmp_path):
    settings = read(
        tmp_path,
        URL + KEY + 'events = ["connect", "subscribe", "publish", "call", "disconnect"]\n'
        'topics = ["orders", "user.*"]\nprocedures = ["cart.*"]\n'
        '[auth]\norder = ["callback", "anonymous"]\n[callback]\nurl = "http://127.0.0.1/who.php"\n',
    )
    assert settings.webhooks.procedures == ("cart.*",)
    assert settings.webhooks.when_down == "refuse"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('[webhooks]\nevents = ["connect"]', "webhooks.events", "webhooks.url must be set"),
        (URL + KEY, "webhooks.url", "must name at least one event"),
        (URL + 'events = ["connect"]', "webhooks.url", "openssl rand -hex 32"),
        (URL + KEY + 'events = ["call"]', "webhooks.events", "at least one procedure"),
        (
            URL + KEY + 'events = ["connect"]\nprocedures = ["a"]',
            "webhooks.procedures",
            'must include "call"',
        ),
        (URL + KEY + 'events = ["open"]', "webhooks.events", "connect"),
        (URL + KEY + 'events = ["call"]\nprocedures = ["a*b"]', "webhooks.procedures", '"*"'),
        (URL + KEY + 'events = ["connect"]\ntopics = []', "webhooks.topics", "at least one"),
        (URL + KEY + 'events = ["connect"]\nwhen_down = "deny"', "webhooks.when_down", "refuse"),
        ('[webhooks]\nurl = "http://user:secret@a/"', "webhooks.url", "without user name"),
    ],
)
def test_what_does_not_fit_together(tmp_path, text, key, words):
    path = tmp_path / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    error = mistakes(path)[0]
    assert error.key == key
    assert error.line is not None
    assert words in str(error)
