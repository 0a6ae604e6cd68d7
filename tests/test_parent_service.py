"""How twistd's process becomes the parent."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Application
from twisted.logger import ILogObserver

from wampush import parent_service
from wampush.node.log.output import choose_output
from wampush.node.options import Options
from wampush.parent.inheritance import Inheritance
from wampush.parent.log import Destination
from wampush.parent_service import (
    ParentService,
    current_folder,
    destination_of,
    level_of,
    node_command,
    passed_names,
    reason_against,
)
from wampush.testing.ports import reserved_ports

ANY = ["--listen", "tcp:0:interface=127.0.0.1", "--pull", "tcp://127.0.0.1:*"]


def options_with(arguments: list[str], **twistd: Any) -> Options:
    """Options as twistd parses them."""
    options = Options()
    options.parent = {"nodaemon": True, "pidfile": "", **twistd}  # type: ignore[assignment]
    options.parseOptions(arguments)
    return options


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the process was replaced by; signals are handled as before at the end."""
    calls: list[Any] = []

    def execute(program: str, arguments: list[str], environment: Any) -> None:
        inheritance = Inheritance.read(int(arguments[3]))
        calls.append((program, arguments, environment, inheritance))

    monkeypatch.setattr(os, "execve", execute)
    yield calls
    signal.pthread_sigmask(signal.SIG_UNBLOCK, parent_service._SIGNALS)


def test_the_process_is_replaced_with_everything_open(
    executed: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read_end, pipe = os.pipe()
    options = options_with([*ANY, "--http", "off"], pidfile="twistd.pid", statusPipe=pipe)
    ParentService(options, None).privilegedStartService()
    ((program, arguments, environment, found),) = executed
    assert program == sys.executable
    assert Path(arguments[2]).parts[-3:] == ("wampush", "parent", "__main__.py")
    assert environment is os.environ
    assert found.arguments[-len(ANY) - 3 :] == ["wampush", *ANY, "--http", "off"]
    assert (found.folder, found.pid_file) == (str(tmp_path), str(tmp_path / "twistd.pid"))
    assert (found.status_pipe, found.drain) == (pipe, 10.0)
    assert [each[:4] for each in found.listening] == [
        ("websocket", "tcp:0:interface=127.0.0.1", 0, 1),
        ("pull", "tcp://127.0.0.1:*", 0, 1),
    ]
    assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    os.close(read_end)
    os.close(pipe)


def test_addresses_that_cannot_be_used_are_left_to_the_node(executed: list[Any]) -> None:
    options = options_with(["--listen", "tcp:0:interface=192.0.2.1", "--listen", "onion:1", *ANY])
    ParentService(options, None).privilegedStartService()
    found = executed[0][3]
    assert {each[1] for each in found.listening} <= {*ANY, "tcp:8081:interface=127.0.0.1"}


def test_in_the_foreground_the_process_is_replaced_before_twistd_imports_its_reactor(
    executed: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    options = options_with(
        ["--listen", "unix:ws", "--pull", "ipc://push", "--http", "off"],
        rundir="run",
        umask=0o27,
        pidfile="twistd.pid",
    )
    before = os.umask(0)
    try:
        ParentService(options, None).setServiceParent(Application("test"))
        assert os.umask(0) == 0o27
    finally:
        os.umask(before)
    found = executed[0][3]
    assert [each[1] for each in found.listening] == ["unix:ws", "ipc://push"]
    run = tmp_path / "run"
    assert (run / "ws").is_socket()
    assert (run / "twistd.pid").read_text(encoding="ascii") == str(os.getpid())
    assert found.pid_file == str(run / "twistd.pid")
    # The node is started in the same folder, and changes to the other one itself.
    assert (found.folder, f"--rundir={'run'}" in found.arguments) == (str(tmp_path), True)


def test_a_daemon_opens_its_ports_at_once_and_files_later(
    executed: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with reserved_ports(1) as (port,):
        listen = f"tcp:{port}:interface=127.0.0.1"
        options = options_with(
            ["--listen", listen, "--pull", "ipc://push", "--http", "off"], nodaemon=False
        )
        service = ParentService(options, None)
        service.setServiceParent(Application("test"))
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
        assert executed == []
        assert not (tmp_path / "push").exists()
        service.privilegedStartService()
    assert [each[1] for each in executed[0][3].listening] == [listen, "ipc://push"]


def test_each_worker_gets_its_ports(executed: list[Any], tmp_path: Path) -> None:
    listen = ["tcp:0:interface=127.0.0.1", f"unix:{tmp_path}/ws"]
    options = options_with(["--listen", listen[0], "--listen", listen[1], *ANY[2:], "--http=off"])
    settings = options["loaded"].settings
    process = dataclasses.replace(settings.process, workers=3)
    loaded = dataclasses.replace(
        options["loaded"], settings=dataclasses.replace(settings, process=process)
    )
    options["loaded"] = loaded
    ParentService(options, None).privilegedStartService()
    found = executed[0][3]
    assert found.workers == 3
    assert [(each[1], each[3]) for each in found.listening] == [
        *((listen[0], worker) for worker in (1, 2, 3)),
        (listen[1], 1),
        *(("tcp://127.0.0.1:*", worker) for worker in (1, 2, 3)),
    ]
    assert len({each[4] for each in found.listening}) == 7


def test_twistd_logs_where_the_node_will(tmp_path: Path) -> None:
    options = options_with(ANY, nodaemon=False)
    output = choose_output(
        {"nodaemon": True, "logfile": str(tmp_path / "log")}, options["loaded"].settings
    )
    assert output is not None
    application = Application("test")
    ParentService(options, output).setServiceParent(application)
    assert application.getComponent(ILogObserver) is output.observer


@pytest.mark.parametrize(
    ("twistd", "expected"),
    [
        ({"chroot": "/srv"}, "twistd --chroot is for one process"),
        ({"profile": "file"}, "twistd --profile is for one process"),
        ({}, ""),
    ],
)
def test_some_options_are_for_one_process(twistd: dict[str, str], expected: str) -> None:
    assert reason_against(options_with(ANY, **twistd)) == expected


def test_a_server_that_restarts_on_changes_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    options = options_with(ANY)
    options["is_supervised"] = True
    assert reason_against(options) == "--reload restarts the whole server"
    options["is_supervised"] = False
    monkeypatch.delattr(os, "memfd_create")
    assert reason_against(options) == "this system has no files in memory"


def test_the_command_of_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/twistd", "--uid=7", "wampush", "--http", "off"])
    monkeypatch.setattr(
        sys,
        "orig_argv",
        ["python", "-Xdev", "/bin/twistd", "--uid=7", "wampush", "--http", "off"],
    )
    twistd = {
        "uid": 7,
        "gid": None,
        "umask": 0o27,
        "rundir": "/srv",
        "syslog": 1,
        "euid": 0,
        "pidfile": "a",
        "logfile": "b",
    }
    assert node_command(twistd, ["--http", "off"]) == [
        *(sys.executable, "-Xdev", "/bin/twistd", "--nodaemon", "--pidfile="),
        *("--uid=7", "--umask=27", "--rundir=/srv", "--syslog", "wampush", "--http", "off"),
    ]


@pytest.mark.parametrize(
    ("twistd", "expected"),
    [
        ({"nodaemon": True}, Destination("stdout")),
        ({"debug": True}, Destination("stdout")),
        ({"nodaemon": True, "logfile": "-"}, Destination("stdout")),
        ({"nodaemon": True, "logfile": "/a"}, Destination("file", "/a")),
        ({}, Destination("file", str(Path("twistd.log").absolute()))),
        ({"syslog": True, "prefix": "p"}, Destination("syslog", "p")),
        ({"logger": "a.b"}, Destination("stderr")),
    ],
)
def test_the_log_goes_where_twistd_would_send_it(
    twistd: dict[str, Any], expected: Destination
) -> None:
    assert destination_of(twistd) == expected


def test_the_folder_keeps_its_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, current = tmp_path / "release-1", tmp_path / "current"
    release.mkdir()
    current.symlink_to(release)
    monkeypatch.chdir(current)
    assert current_folder({"PWD": str(current)}) == str(current)
    assert current_folder({"PWD": str(tmp_path)}) == str(release)
    assert current_folder({"PWD": "/no/such/folder"}) == str(release)
    assert current_folder({}) == str(release)


def test_sockets_of_a_service_manager() -> None:
    own = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web"}
    assert passed_names(own) == ["web", ""]
    assert passed_names({**own, "LISTEN_PID": "1"}) == ()
    assert passed_names({}) == ()


def test_the_level_of_the_parent() -> None:
    assert level_of(options_with([*ANY, "--set", "log.level=warn"])["loaded"].settings) == "warn"
    chosen = options_with([*ANY, "--set", "log_levels.parent=error"])
    assert level_of(chosen["loaded"].settings) == "error"
