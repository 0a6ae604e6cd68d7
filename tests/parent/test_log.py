"""The lines of the parent, and where they go."""

from __future__ import annotations

import json
import os
import syslog
from pathlib import Path

import pytest
from twisted.python.logfile import LogFile

from wampush.parent.log import (
    Destination,
    Log,
    Output,
    flush_standard_streams,
    standard_log,
    write_in_time,
)


def test_text_has_the_form_of_the_node() -> None:
    lines: list[tuple[str, str]] = []
    log = Log(lambda *line: lines.append(line), now=lambda: 0.0)
    log.info("process {process} serves", process=7)
    log.warn("a {brace} stays without fields")
    log.error("two\nlines with \x1b")
    ((text, level), (brace, _), (more, _)) = lines
    assert text.endswith("+0000 [wampush.parent#info] process 7 serves\n")
    assert text.startswith("1970-01-01T00:00:00")
    assert level == "info"
    assert brace.endswith("[wampush.parent#warn] a {brace} stays without fields\n")
    assert more.endswith("[wampush.parent#error] two\n\tlines with \\u001b\n")


def test_json_has_the_form_of_the_node() -> None:
    lines: list[str] = []
    log = Log(lambda text, _: lines.append(text), is_json=True, level="warn")
    log.info("left out")
    log.error("process {process}", process=7)
    log.log("error", "from the node", {}, "stderr")
    first, second = map(json.loads, lines)
    assert (first["level"], first["logger"], first["message"], first["fields"]) == (
        "error",
        "wampush.parent",
        "process 7",
        {"process": 7},
    )
    assert second["logger"] == "stderr"
    assert "fields" not in second


def test_a_file_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "wampush.log"
    destination = Destination("file", str(path))
    assert destination.is_relayed
    output = Output(destination)
    output.write("first\n", "info")
    output.rotate()
    output.write("second\n", "info")
    assert path.read_text(encoding="utf-8") == "second\n"
    assert (tmp_path / "wampush.log.1").read_text(encoding="utf-8") == "first\n"
    assert not output.is_terminal


def test_syslog_gets_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda _: None)
    monkeypatch.setattr(syslog, "syslog", lambda *line: written.append(line))
    _, log = standard_log(Destination("syslog", "wampush"), "info", "text")
    log.warn("attention")
    assert written == [(syslog.LOG_WARNING, "[wampush.parent#warn] attention")]


def test_standard_output_is_json_where_nobody_reads_it(capfd: pytest.CaptureFixture[str]) -> None:
    _, log = standard_log(Destination("stdout"), "info", "auto")
    log.info("hello")
    Output(Destination("stderr")).write("there\n", "info")
    captured = capfd.readouterr()
    assert json.loads(captured.out)["message"] == "hello"
    assert captured.err == "there\n"


def test_what_cannot_be_written_does_no_harm() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    kept = os.dup(1)
    try:
        os.dup2(write_end, 1)
        Output(Destination("stdout")).write("lost\n", "info")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(write_end)
    flush_standard_streams()


def test_a_pipe_that_nobody_reads_holds_up_nobody() -> None:
    read_end, write_end = os.pipe()
    write_in_time(write_end, "x" * 1_000_000)
    os.set_blocking(read_end, False)
    assert 0 < len(os.read(read_end, 2_000_000)) < 1_000_000
    os.close(read_end)
    os.close(write_end)


def test_fields_that_are_not_json_are_written_as_text() -> None:
    lines: list[str] = []
    log = Log(lambda text, _: lines.append(text), is_json=True)
    log.error("cannot start a node: {error}", error=OSError(12, "Cannot allocate memory"))
    event = json.loads(lines[0])
    assert event["message"] == "cannot start a node: [Errno 12] Cannot allocate memory"
    assert event["fields"] == {"error": "[Errno 12] Cannot allocate memory"}


def test_a_log_goes_on_after_a_rotation_that_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wampush.log"
    output = Output(Destination("file", str(path)))
    output.write("first\n", "info")

    def fail(_: LogFile) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "_openFile", fail)
        output.rotate()
        output.write("lost\n", "info")
    output.write("second\n", "info")
    assert path.read_text(encoding="utf-8") == "second\n"


def test_lines_about_one_of_several_workers_say_which() -> None:
    lines: list[str] = []
    for is_json in (False, True):
        log = Log(lambda text, _: lines.append(text), is_json=is_json, level="warn")
        log.about(lambda: 2).error("process {process} has ended", process=7)
        log.about(lambda: 0).error("process {process} has ended", process=7)
        log.about(lambda: 2).info("left out, as before")
    first, second, third, fourth = lines
    assert first.endswith("[wampush.parent#error] worker 2: process 7 has ended\n")
    assert second.endswith("[wampush.parent#error] process 7 has ended\n")
    assert list(json.loads(third)) == ["time", "level", "logger", "worker", "message", "fields"]
    assert "worker" not in json.loads(fourth)
