"""The report of a server to its supervisor."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.waiting import eventually
from wampush.node.autoreload import module_report
from wampush.node.autoreload.module_report import (
    VARIABLE,
    ModuleReporter,
    ReportReader,
    start_reporting,
)


def test_each_folder_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ReportReader()
    reporter = ModuleReporter(reader.write_end)
    assert reporter.report()
    assert Path(__file__).parent in reader.folders()
    assert reader.folders() == set()
    late = ModuleType("late")
    late.__file__ = str(tmp_path / "late\nmodule.py")
    monkeypatch.setitem(sys.modules, "late_module", late)
    assert reporter.report()
    assert reader.folders() == {tmp_path}
    reader.close()
    assert not reporter.report()
    monkeypatch.setattr(late, "__file__", str(tmp_path / "later" / "module.py"))
    assert not reporter.report()
    reader.on_started()


def test_a_name_may_arrive_in_parts() -> None:
    reader = ReportReader()
    os.write(reader.write_end, b"/srv/sh")
    assert reader.folders() == set()
    os.write(reader.write_end, b"op\0/srv\0")
    reader.on_started()
    assert reader.folders() == {Path("/srv/shop"), Path("/srv")}
    reader.close()


def test_a_server_without_its_supervisor_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: killed.append(what))
    monkeypatch.setattr(module_report, "INTERVAL", 0.001)
    at_exit: list[object] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    reader = ReportReader()
    environ = {VARIABLE: str(reader.write_end), "A": "B"}
    assert start_reporting(environ)
    assert environ == {"A": "B"}
    assert len(at_exit) == 1
    eventually(reader.folders, lambda folders: Path(__file__).parent in folders)
    assert killed == []
    reader.close()
    eventually(lambda: killed, bool)
    assert killed == [(os.getpid(), signal.SIGTERM)]
    reader.on_started()


def test_most_servers_have_no_supervisor() -> None:
    assert not start_reporting({})
    assert not start_reporting({VARIABLE: "x"})
