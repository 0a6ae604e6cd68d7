"""``wampush check --load`` imports application code as the server would."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wampush.cli import main, modules
from wampush.config.load import LoadedSettings, load

CONFIGURATION = """\
apps = ["cm_good:app", "cm_typo:app", "cm_wrong:ap", "cm_good:app2"]
[[routes]]
path = "/room"
component = "cm_room:Room"
[[routes]]
path = "/none"
component = "cm_absent:Room"
"""
FILES = {
    "cm_good": "from wampush.apps import App\napp = App()\napp2 = App()\n"
    "for each in (app, app2):\n    each.procedure('add')(lambda ctx, a, b: a + b)\n",
    "cm_typo": "from wampush.apps import App\napp = App(\n",
    "cm_wrong": "from wampush.apps import App\napp = App()\n",
    "cm_room": "class Room:\n    pass\n",
}


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoadedSettings]:
    """A configuration whose application code has mistakes of all kinds."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    path = tmp_path / "wampush.toml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    yield load(path, {}, {})
    for name in FILES:
        sys.modules.pop(name, None)


def test_without_loading_only_modules_are_looked_for(loaded: LoadedSettings) -> None:
    (line,) = modules.missing(loaded)
    assert "there is no module cm_absent" in line
    assert not FILES.keys() & sys.modules.keys()


def test_every_mistake_of_application_code_is_found(loaded: LoadedSettings) -> None:
    lines = [*modules.unusable(loaded)]
    words = [
        ("cm_typo:app", "SyntaxError"),
        ("cm_wrong:ap", "did you mean 'app'?"),
        ("cm_good:app2", "cm_good:app has registered the procedure 'add' already"),
        ("cm_room:Room", "must be a subclass of wampush.apps.component.Component"),
        ("cm_absent:Room", "there is no module cm_absent"),
    ]
    assert len(lines) == len(words)
    for line, expected in zip(lines, words, strict=True):
        assert all(word in line for word in expected), line


@pytest.mark.parametrize(("options", "count"), [([], 1), (["--load"], 5)])
def test_the_command(
    loaded: LoadedSettings, capfd: pytest.CaptureFixture[str], options: list[str], count: int
) -> None:
    assert loaded.folder is not None
    assert main(["check", "--config", str(loaded.folder / "wampush.toml"), *options]) == 1
    assert len(capfd.readouterr().err.splitlines()) == count


def test_the_traceback_is_shown_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "cm_deep.py").write_text("def f():\n    return 1 / 0\n\n\nf()\n", encoding="utf-8")
    (tmp_path / "cm_fine.py").write_text("from wampush.apps import App\n", encoding="utf-8")
    path = tmp_path / "wampush.toml"
    path.write_text('apps = ["cm_deep:app", "cm_fine:app"]\n', encoding="utf-8")
    assert main(["check", "--config", str(path), "--load"]) == 1
    short = capsys.readouterr().err
    assert main(["check", "--config", str(path), "--load", "--traceback"]) == 1
    sys.modules.pop("cm_fine")
    whole = capsys.readouterr().err
    assert whole.endswith(short)
    assert "Traceback" not in short
    assert whole.count("Traceback (most recent call last)") == 1
    assert f'File "{tmp_path}/cm_deep.py", line 5, in <module>' in whole
    with pytest.raises(SystemExit) as ended:
        main(["check", "--traceback"])
    assert ended.value.code == 2
