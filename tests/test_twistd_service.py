"""What twistd runs: the parent, a node, or both in one."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent

from wampush.control_channel import VARIABLE
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


def test_a_supervisor_makes_no_service() -> None:
    options = options_with(twistd=None)
    calls: list[str] = []
    options["supervise"] = lambda: calls.append("supervised")
    with pytest.raises(SystemExit):
        makeService(options)
    assert calls == ["supervised"]


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
