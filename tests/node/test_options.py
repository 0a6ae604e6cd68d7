"""The options of ``twistd wampush``, without twistd."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from wampush import __version__
from wampush.config.load import LoadedSettings
from wampush.errors import OperatorError
from wampush.node.autoreload import module_report, supervisor
from wampush.node.options import (
    Account,
    Options,
    account,
    problem_of_reload,
    problem_of_twistd,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WAMPUSH_")]:
        monkeypatch.delenv(name)


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


def loaded(*arguments: str) -> LoadedSettings:
    found = parsed(*arguments)["loaded"]
    assert isinstance(found, LoadedSettings)
    return found


def mistake(*arguments: str) -> str:
    """What is printed about wrong arguments."""
    with pytest.raises(SystemExit) as ended:
        parsed(*arguments)
    assert isinstance(ended.value.code, str)
    return ended.value.code


def test_options_are_settings() -> None:
    settings = loaded(
        *("--listen", "tcp:1", "--listen", "tcp:2", "--pull", "ipc:///a", "--http", "off"),
        *("--set", "clients.publish=never"),
    ).settings
    assert settings.websocket.listen == ("tcp:1", "tcp:2")
    assert settings.zmq.pull == ("ipc:///a",)
    assert settings.http.listen == "off"
    assert settings.clients.publish == "never"


def test_without_options_the_defaults_hold() -> None:
    settings = loaded().settings
    assert settings.websocket.listen == ("tcp:8080:interface=127.0.0.1",)
    assert settings.zmq.pull == ("tcp://127.0.0.1:5555",)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "wampush.toml"
    file.write_text('[http]\nlisten = "off"\n', encoding="utf-8")
    found = loaded("--config", str(file))
    assert found.settings.http.listen == "off"
    assert found.folder == tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stray"], "unexpected argument 'stray'; pass addresses with --listen; see twistd"),
        (["--bogus"], "--bogus"),
        (["--listen"], "--listen"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], words: str) -> None:
    line = mistake(*arguments)
    assert line.startswith("wampush: ")
    assert words in line
    assert line.endswith("; see twistd wampush --help")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pull", "5555"], ["zmq.pull", "tcp://HOST:PORT"]),
        (["--config", "missing.toml"], ["missing.toml", "cannot be read"]),
        (["--config", "bad value.toml"], ["bad value.toml", "websocket.listen", "8080"]),
        (["--config", "not TOML.toml"], ["not TOML.toml:1: is not TOML at"]),
    ],
)
def test_a_wrong_setting_is_one_line(
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad value.toml").write_text("[websocket]\nlisten = 8080\n", encoding="utf-8")
    Path("not TOML.toml").write_text("[websocket\n", encoding="utf-8")
    line = mistake(*arguments)
    assert line.startswith("wampush: ")
    assert [word for word in words if word not in line] == []
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LISTN", "tcp:0", ["_LISTN", "did you mean", "WAMPUSH_WEBSOCKET_LISTEN"]),
        ("PING_INTERVAL", "often", ["WAMPUSH_WEBSOCKET_PING_INTERVAL", "often"]),
    ],
)
def test_a_wrong_variable_of_the_environment_is_one_line(
    name: str, value: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"WAMPUSH_WEBSOCKET_{name}", value)
    line = mistake()
    assert line.startswith("wampush: ")
    assert [word for word in words if word not in line] == []
    assert "\n" not in line


def test_each_mistake_in_the_settings_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "wampush.toml"
    file.write_text('[clients]\npublish = "x"\nsubscribe = "y"\n', encoding="utf-8")
    first, second = mistake("--config", str(file)).splitlines()
    assert first.startswith("wampush: ")
    assert second.startswith("wampush: ")
    assert "clients.publish" in first
    assert "clients.subscribe" in second


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"wampush {__version__}\n"


# The options of twistd.


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that this user may not change; root's permissions do not matter."""
    folder = tmp_path / "locked"
    folder.mkdir()
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: str(path) != str(folder) and access(path, mode)
    )
    return folder


def test_a_pid_file_that_cannot_be_written_is_one_line(locked: Path) -> None:
    options = options_of_twistd(pidfile=str(locked / "twistd.pid"))
    with pytest.raises(SystemExit) as ended:
        options.parseOptions([])
    assert ended.value.code == (
        f"wampush: the pid file '{locked}/twistd.pid' cannot be written; pass --pidfile= for none, "
        "or another file, to twistd, before wampush"
    )


@pytest.mark.parametrize("pidfile", ["", "twistd.pid"])
def test_a_pid_file_that_can_be_written_is_no_problem(
    pidfile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert problem_of_twistd({"pidfile": pidfile, "rundir": "."}) == ""


def test_a_pid_file_is_no_folder(tmp_path: Path) -> None:
    assert "cannot be written" in problem_of_twistd({"pidfile": str(tmp_path)})


def test_the_working_directory_exists(locked: Path) -> None:
    assert problem_of_twistd({"rundir": "/no/where"}) == (
        "there is no folder '/no/where'; twistd --rundir must name an existing folder"
    )
    assert problem_of_twistd({"rundir": str(locked)}).startswith("this user may not enter ")


def test_load_again_finds_a_relative_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.toml").write_text('[clients]\npublish = "never"\n', encoding="utf-8")
    options = parsed("--config", "w.toml")
    monkeypatch.chdir("/")
    assert options["load_again"]().settings == options["loaded"].settings


# The account.


def options_of_twistd(**twistd: int | str) -> Any:
    options: Any = Options()
    options.parent = twistd
    return options


@pytest.mark.parametrize(
    ("twistd", "expected"),
    [
        ({}, None),
        ({"gid": 5}, Account(-1, 5)),
        ({"uid": 4, "gid": 5}, Account(4, 5)),
        ({"uid": 0}, Account(0, pwd.getpwuid(0).pw_gid)),
    ],
)
def test_the_account_is_the_one_of_twistd(twistd: dict[str, int], expected: Account | None) -> None:
    assert account(options_of_twistd(**twistd)) == expected


def test_without_twistd_there_is_no_account() -> None:
    assert account(Options()) is None


def test_an_unknown_user_needs_a_group() -> None:
    with pytest.raises(OperatorError, match=r"user 4242424 does not exist .* add --gid"):
        account(options_of_twistd(uid=4242424))


# --reload


def test_a_supervisor_reads_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supervised: list[Path | None] = []
    monkeypatch.setattr(supervisor, "supervise", supervised.append)
    config = tmp_path / "wampush.toml"
    config.write_text("nothing = 1", encoding="utf-8")
    options = parsed("--reload", "--config", str(config))
    assert "loaded" not in options
    options["supervise"]()
    assert supervised == [config]


def test_the_supervised_server_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_report, "start_reporting", lambda environ: environ is os.environ)
    options = parsed("--reload")
    assert "supervise" not in options
    assert isinstance(options["loaded"], LoadedSettings)


def test_a_daemon_cannot_be_restarted() -> None:
    words = "--reload needs twistd -n, because the server must stay a child of this process"
    assert problem_of_reload({"nodaemon": 0}) == words
    assert problem_of_reload({"nodaemon": 1}) == problem_of_reload({}) == ""
