"""``[[routes]]``: what is accepted, and what stops the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wampush.cli import main
from wampush.config.load import describe, load
from wampush.config.tables.routes import RouteSettings
from wampush.errors import ConfigErrors

ENTRY = {"path": "/chat", "component": "shop.chat:Chat"}


def routes(*entries: dict[str, Any]) -> tuple[RouteSettings, ...]:
    return load(None, {}, {"routes": list(entries)}).settings.routes


def refusal(*entries: dict[str, Any]) -> str:
    with pytest.raises(ConfigErrors) as caught:
        routes(*entries)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_entry_needs_path_and_component() -> None:
    (kept,) = routes(ENTRY)
    assert kept == RouteSettings("/chat", "shop.chat:Chat", (), ())
    assert "routes[1].path: is missing" in refusal({"component": "a:B"})
    assert "routes[1].component: is missing" in refusal({"path": "/"})


def test_everything_can_be_set() -> None:
    more = {"origins": ["https://shop.example", "*"], "subprotocols": ["v1", "v2.chat"]}
    (kept,) = routes({**ENTRY, **more})
    assert kept.origins == ("https://shop.example", "*")
    assert kept.subprotocols == ("v1", "v2.chat")


@pytest.mark.parametrize("path", ["/", "/chat", "/a/b/", "/~shop/v1.0;x=1"])
def test_paths(path: str) -> None:
    assert routes({**ENTRY, "path": path})[0].path == path


@pytest.mark.parametrize("path", ["", "chat", "/ch at", "/chat?x=1", "/%63hat", "/grün", "/a#b", 7])
def test_paths_that_no_request_line_holds_as_they_stand(path: object) -> None:
    assert "routes[1].path" in refusal({**ENTRY, "path": path})


@pytest.mark.parametrize("name", ["Chat", "shop.chat", "shop/chat.py:Chat", "shop:Chat()", 7])
def test_names_that_name_no_object(name: object) -> None:
    told = refusal({**ENTRY, "component": name})
    assert 'must be the name of a Python object, "module:attribute"' in told


def test_other_mistakes() -> None:
    assert "routes[1].origins" in refusal({**ENTRY, "origins": ["https://shop.example/chat"]})
    assert "routes[1].subprotocols" in refusal({**ENTRY, "subprotocols": ["a, b"]})
    assert 'did you mean "routes[1].component"?' in refusal({**ENTRY, "componnet": "a:B"})


def test_a_path_has_one_component() -> None:
    told = refusal(ENTRY, {**ENTRY, "path": "/other"}, ENTRY)
    assert "routes[3].path = '/chat': is already the path of routes[1]" in told
    assert len(routes(ENTRY, {**ENTRY, "path": "/Chat"}, {**ENTRY, "path": "/chat/"})) == 3


def test_it_is_set_in_the_file_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"\[\[routes\]\] can be set only in the file"):
        load(None, {"WAMPUSH_ROUTES": "x"}, {})
    assert [row.key for row in describe(load(None, {}, {}))][-1] == "routes"
    path = tmp_path / "wampush.toml"
    path.write_text('[[routes]]\npath = "/chat"\ncomponent = "a:B"\n', encoding="utf-8")
    keys = [row.key for row in describe(load(path, {}, {}))]
    assert "routes[1].component" in keys


# Where application code is looked for.


def test_the_folder_of_the_file_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load(None, {}, {}).folder is None
    assert load(path, {}, {}).folder == tmp_path
    assert load(Path("wampush.toml"), {}, {}).folder == tmp_path
    assert load(None, {"WAMPUSH_CONFIG": "wampush.toml"}, {}).folder == tmp_path


def test_check_looks_for_components_without_running_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "wampush.toml"
    path.write_text(
        '[[routes]]\npath = "/chat"\ncomponent = "component_to_check:Chat"\n', encoding="utf-8"
    )
    assert main(["check", "--config", str(path)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert 'routes[1].component = "component_to_check:Chat"' in told
    assert str(tmp_path) in told
    (tmp_path / "component_to_check.py").write_text("raise RuntimeError\n", encoding="utf-8")
    assert main(["check", "--config", str(path)]) == 0
    assert "component_to_check" not in sys.modules
