"""What twistd runs: the parent, a node, or both in one."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogLevel, capturedLogs, formatEvent

from wampush.control_channel import VARIABLE, WORKER_VARIABLE
from wampush.errors import OperatorError
from wampush.node.service import WampushService
from wampush.parent_service import ParentService
from wampush.twistd_service import Options, makeService


@pytest.fixture(autouse=True)
def hook() -> Iterator[None]:
    before = sys.excepthook
    yield
    sys.excepthook = before


def options_with(*arguments: str, twistd: dict[str, Any] | None) -> Options:
    options = Options()
    options.parent = twistd  # type: ignore[assignment]
    options.parseOptions(["--http", "off", "--pull", "tcp://127.0.0.1:*", *arguments])
    return options


def test_twistd_gets_the_parent() -> None:
    options = options_with(twistd={"nodaemon": True, "pidfile": ""})
    assert isinstance(makeService(options), ParentService)


def test_a_single_process_where_that_is_wanted_or_needed() -> None:
    single = options_with("--set", "process.parent=false", twistd={"nodaemon": True})
    assert isinstance(makeService(single), WampushService)
    chroot = options_with(twistd={"nodaemon": True, "chroot": "/srv"})
    assert isinstance(makeService(chroot), WampushService)


def test_a_node_where_there_is_a_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setenv(VARIABLE, str(other.detach()))
    service = makeService(options_with(twistd={"nodaemon": True}))
    assert isinstance(service, WampushService)
    assert service._link is not None
    service._link.close()
    one.close()


@pytest.mark.parametrize(
    ("twistd", "reason"),
    [
        (None, "this program makes its own service"),
        ({"nodaemon": True, "chroot": "/srv"}, "twistd --chroot is for one process"),
    ],
)
def test_several_workers_need_a_parent(twistd: dict[str, Any] | None, reason: str) -> None:
    workers = ("--set", "process.workers=2", "--set", "backplane.url=redis://127.0.0.1")
    with pytest.raises(OperatorError) as raised:
        makeService(options_with(*workers, twistd=twistd))
    assert str(raised.value) == (
        f"process.workers = 2 needs the parent process, which cannot run here: {reason}"
    )


def test_a_worker_has_its_number_and_its_share_of_the_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setenv(VARIABLE, str(other.detach()))
    monkeypatch.setenv(WORKER_VARIABLE, "2")
    log = tmp_path / "log"
    service = makeService(
        options_with(
            *("--set", "process.workers=2", "--set", "backplane.url=redis://127.0.0.1"),
            *("--pull", "ipc:///run/pushes"),
            twistd={"nodaemon": True, "logfile": str(log)},
        )
    )
    assert isinstance(service, WampushService)
    assert service._siblings.number == 2
    assert service._loaded.settings.zmq.pull == ("tcp://127.0.0.1:*",)
    assert service._load_again is not None
    assert service._load_again() == service._loaded
    assert service._log_output is not None
    observe = service._log_output.observer
    observe({"log_format": "ready", "log_level": LogLevel.info, "log_namespace": "a"})
    assert "[a#info] worker 2: ready" in log.read_text(encoding="utf-8")
    assert service._link is not None
    service._link.close()
    one.close()


def test_a_parent_of_an_older_version_has_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setenv(VARIABLE, str(other.detach()))
    options = options_with(
        *("--set", "process.workers=2", "--set", "backplane.url=redis://127.0.0.1"),
        twistd={"nodaemon": True},
    )
    with capturedLogs() as events:
        service = makeService(options)
    assert "there is one until a restart" in str(formatEvent(events[-1]))
    assert isinstance(service, WampushService)
    assert service._link is not None
    service._link.close()
    one.close()


def test_a_supervisor_makes_no_service() -> None:
    options = options_with(twistd=None)
    calls: list[bool] = []
    options["supervise"] = lambda: calls.append(gc.isenabled())
    # As the plugin of twistd has left it; a supervisor runs for long.
    gc.disable()
    with pytest.raises(SystemExit):
        makeService(options)
    assert calls == [True]


def test_a_service_without_twistd_and_one_line_for_operators(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    assert isinstance(makeService(options_with(twistd=None)), WampushService)
    sys.excepthook(OperatorError, OperatorError("the key is missing"), None)
    assert capsys.readouterr().err == "wampush: the key is missing\n"
    sys.excepthook(OperatorError, OperatorError("first\nsecond"), None)
    assert capsys.readouterr().err == "wampush: first\nwampush: second\n"
    sys.excepthook(ValueError, ValueError("a defect"), None)
    assert "ValueError: a defect" in capsys.readouterr().err


def test_a_daemon_logs_why_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    twistd = {"pidfile": "", "logger": "a.b"}
    makeService(options_with("--set", "process.parent=false", twistd=twistd))
    with capturedLogs() as events:
        sys.excepthook(OperatorError, OperatorError("the key is missing"), None)
    assert formatEvent(events[-1]) == "wampush does not start: the key is missing"
    assert capsys.readouterr().err == "wampush: the key is missing\n"
