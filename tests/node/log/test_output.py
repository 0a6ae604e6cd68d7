"""Where the log goes by the options of twistd."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import syslog
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogLevel

from tests.support.waiting import PATIENCE
from wampush.config.settings import Settings
from wampush.config.tables.log import LogSettings
from wampush.errors import OperatorError
from wampush.node.log.output import LogOutput, choose_output, write_all

TEXT = Settings()


@pytest.fixture(autouse=True)
def rotation() -> Iterator[None]:
    """The handler of rotation is put back."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def log(output: LogOutput | None, message: str, level: Any = LogLevel.info) -> None:
    assert output is not None
    output.observer(
        {"log_format": message, "log_level": level, "log_namespace": "a", "log_time": 0.0}
    )


@pytest.mark.parametrize(
    "twistd", [{}, {"logger": "a.b", "nodaemon": True}, {"logfile": "-", "nodaemon": False}]
)
def test_what_is_not_ours(twistd: dict[str, Any]) -> None:
    assert choose_output(twistd, TEXT) is None


@pytest.mark.parametrize("logfile", [None, "-"])
def test_standard_output(logfile: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled():
        reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stdout, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        log(choose_output({"nodaemon": True, "logfile": logfile}, TEXT), "caf\u00e9")
        line = os.read(reader, 1000).decode()
    os.close(reader)
    assert line.endswith(" [a#info] caf\u00e9\n")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_text_on_a_terminal_only(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.openpty() if is_terminal else os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        settings = Settings(log=LogSettings(format="auto"))
        log(choose_output({"nodaemon": True}, settings), "started")
        line = os.read(reader, 1000).decode()
    os.close(reader)
    assert line.startswith("{") is not is_terminal
    assert "started" in line


def test_json_in_a_file_by_auto(tmp_path: Path) -> None:
    settings = Settings(log=LogSettings(format="auto"))
    log(choose_output({"logfile": str(tmp_path / "log")}, settings), "started")
    assert json.loads((tmp_path / "log").read_text(encoding="utf-8"))["message"] == "started"


def test_a_standard_output_without_descriptor_is_left_to_twistd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert choose_output({"nodaemon": True}, TEXT) is None


def test_the_level(tmp_path: Path) -> None:
    name = tmp_path / "log"
    output = choose_output({"logfile": str(name)}, Settings(log=LogSettings(level="warn")))
    log(output, "usual")
    log(output, "unusual", LogLevel.warn)
    assert "unusual" in name.read_text(encoding="utf-8")
    assert name.read_text(encoding="utf-8").count("usual") == 1


def test_json_and_what_was_lost(tmp_path: Path) -> None:
    name = tmp_path / "log"
    output = choose_output({"logfile": str(name)}, Settings(log=LogSettings(format="json")))
    assert output is not None

    def fail() -> None:
        raise OSError

    output.writer.submit(fail)
    log(output, "next")
    lost, following = map(json.loads, name.read_text(encoding="utf-8").splitlines())
    assert lost["message"] == "1 log lines were lost, because the log could not be written"
    assert lost["fields"] == {"lost": 1}
    assert following["message"] == "next"


def test_a_daemon_has_a_file_and_rotates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    output = choose_output({"nodaemon": False}, TEXT)
    log(output, "first")
    signal.raise_signal(signal.SIGUSR1)
    log(output, "second")
    assert "first" in Path("twistd.log.1").read_text(encoding="utf-8")
    assert "second" in Path("twistd.log").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        choose_output({"logfile": str(tmp_path)}, TEXT)
    line = str(caught.value)
    assert line.startswith(f"the log {str(tmp_path)!r} cannot be written: Is a directory; ")
    assert "\n" not in line


def test_syslog(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda prefix: lines.append((-1, prefix)))
    monkeypatch.setattr(syslog, "syslog", lambda *line: lines.append(line))
    output = choose_output({"syslog": True, "prefix": "push"}, TEXT)
    log(output, "bad\nvery bad", LogLevel.error)
    assert lines == [
        (-1, "push"),
        (syslog.LOG_ERR, "[a#error] bad"),
        (syslog.LOG_ERR, "\tvery bad"),
    ]


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    text = "x" * 20_000
    thread = threading.Thread(target=write_all, args=(writer, text))
    thread.start()
    received = b""
    while len(received) < len(text):
        received += os.read(reader, 4096)
    thread.join(PATIENCE)
    assert received.decode() == text
    os.close(reader)
    os.close(writer)
