"""The settings about apps: the one key without a table, and how handlers run."""

from __future__ import annotations

from pathlib import Path

import pytest

from wampush.config.load import LoadedSettings, describe, load
from wampush.errors import ConfigErrors


def loaded(
    folder: Path, text: str = "", environ: dict[str, str] | None = None, **overrides: object
) -> LoadedSettings:
    path = folder / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ or {}, overrides)


def test_apps_stand_before_the_first_table(tmp_path):
    found = loaded(tmp_path, 'apps = ["shop.live:app", "chat:app"]\n[application]\ntimeout = 2\n')
    assert found.settings.apps == ("shop.live:app", "chat:app")
    assert found.settings.application.timeout == 2
    assert found.origins["apps"] == f"file {tmp_path / 'wampush.toml'}"
    assert found.folder == tmp_path
    first = describe(found)[0]
    assert (first.key, first.value, first.origin) == (
        "apps",
        ("shop.live:app", "chat:app"),
        found.origins["apps"],
    )


def test_the_environment_decides_over_the_file_and_the_command_line_over_both(tmp_path):
    text = 'apps = ["a:app"]\n'
    environ = {"WAMPUSH_APPS": "b:app, c.d:app"}
    assert loaded(tmp_path, text, environ).settings.apps == ("b:app", "c.d:app")
    assert loaded(tmp_path, text, environ).origins["apps"] == "environment WAMPUSH_APPS"
    assert loaded(tmp_path, text, environ, apps=["e:app"]).settings.apps == ("e:app",)
    assert loaded(tmp_path).settings.apps == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "apps = 5",
            r"apps = 5: must be a list, not a whole number; each element must be",
        ),
        ('apps = "shop:app"', r"apps = 'shop:app': must be a list"),
        ('apps = ["shop"]', r"apps = 'shop': must be the name of a Python object"),
        ('apps = ["shop:"]', r"apps = 'shop:': must be"),
        ('apps = ["a:app", "a:app"]', "must be in the list only once"),
        ('app = ["shop:app"]', 'did you mean "apps"'),
        ('[websocket]\napps = ["shop:app"]', r"websocket\.apps.*before the first \[table\]"),
        ("[application]\ntimeout = 0", r"application\.timeout = 0"),
        ("[application]\nthreads = 0", r"application\.threads = 0"),
    ],
)
def test_what_stops_the_start(tmp_path, text, words):
    with pytest.raises(ConfigErrors, match=words):
        loaded(tmp_path, text)


def test_wamp_cra_needs_keys_of_a_file_or_an_app(tmp_path):
    order = '[auth]\norder = ["cra"]\n'
    with pytest.raises(ConfigErrors, match=r"cra\.keys_file"):
        loaded(tmp_path, order)
    assert loaded(tmp_path, f'apps = ["a:app"]\n{order}').settings.cra.keys_file == ""
