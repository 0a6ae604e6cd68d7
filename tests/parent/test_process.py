"""The parent process, with nodes that follow a script."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wampush.parent import process
from wampush.parent.command_socket import PREFIX, CommandSocket
from wampush.parent.inheritance import Inheritance
from wampush.parent.process import ParentProcess, main
from wampush.parent.sockets.targets import WEBSOCKET

SIGNALS = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD),
)

#: A node that serves; STEPS is what it does then.
NODE = """
import json, os, signal, socket, sys, time

channel = socket.socket(fileno=int(os.environ["_WAMPUSH_CONTROL"]))
channel.setblocking(True)
say = lambda kind, **fields: channel.send(json.dumps({"kind": kind, **fields}).encode())
hear = lambda: json.loads(channel.recv(65536))["kind"]
parent = os.getppid()
number = len(open("starts").read()) if os.path.exists("starts") else 0
open("starts", "a").write("x")
STEPS
"""
SERVE = """
say("ready"); assert hear() == "serve"; say("heartbeat"); say("serving", status="all is well")
"""
STOP = """
os.kill(parent, signal.SIGTERM)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of signals are put back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def inheritance(folder: Path, steps: str, **more: object) -> Inheritance:
    fields: dict[str, object] = {
        "arguments": [sys.executable, "-c", NODE.replace("STEPS", steps)],
        "folder": str(folder),
        "log_kind": "file",
        "log_name": str(folder / "log"),
        "ready": 60.0,
        "hang": 60.0,
        "drain": 1.0,
        **more,
    }
    return Inheritance(**fields)  # type: ignore[arg-type]


def log_of(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8")


def test_a_node_serves_until_the_parent_is_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text("1", encoding="ascii")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(20)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    read_end, write_end = os.pipe()
    steps = 'assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(os.environ)\n' + SERVE + STOP
    status = ParentProcess(
        inheritance(tmp_path, steps, pid_file=str(pid_file), status_pipe=write_end)
    ).run()
    assert status == -signal.SIGTERM
    assert os.read(read_end, 100) == b"0"
    os.close(read_end)
    assert not pid_file.exists()
    log = log_of(tmp_path)
    assert "[wampush.parent#info] SIGTERM: stopping" in log
    assert (
        "[wampush.parent#warn] systemd: WatchdogSec=1 would end a server that works, which gives a "
        "sign of life each second; use 3 or more"
    ) in log
    told = [manager.recv(1000) for _ in range(3)]
    manager.close()
    assert told == [b"WATCHDOG=1", b"READY=1\nSTATUS=all is well", b"STOPPING=1\nSTATUS=stopping"]


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"WATCHDOG_USEC": "3000000"}, ""),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, ""),
        ({"WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC is 'soon'; it must be a number of microseconds"),
    ],
)
def test_a_watchdog_that_is_patient_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], problem: str
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ParentProcess(inheritance(tmp_path, SERVE + STOP)).run() == -signal.SIGTERM
    manager.close()
    log = log_of(tmp_path)
    assert "WatchdogSec" not in log
    assert problem in log


def test_a_start_that_fails_ends_with_the_status_of_the_node(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    steps = 'print("wampush: a.toml is wrong", file=sys.stderr)\nsys.exit(3)\n'
    missing = str(tmp_path / "no-pid-file")
    parent = ParentProcess(inheritance(tmp_path, steps, pid_file=missing, status_pipe=write_end))
    assert parent.run() == 3
    assert os.read(read_end, 100) == b"1 the server has not started"
    os.close(read_end)
    assert "[stderr#error] wampush: a.toml is wrong" in log_of(tmp_path)
    assert "cannot remove the pid file" in log_of(tmp_path)


def test_a_crash_is_followed_by_a_new_node_and_signals_have_effects(tmp_path: Path) -> None:
    steps = (
        SERVE
        + """
if number == 0:
    print("a line of the log", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if number == 1:
    os.kill(parent, signal.SIGUSR1)
    os.kill(parent, signal.SIGHUP)
    assert hear() == "reload"
    say("reloaded", changed="", problem="")
    os.kill(parent, signal.SIGUSR2)
    time.sleep(60)
"""
        + STOP
    )
    assert ParentProcess(inheritance(tmp_path, steps)).run() == -signal.SIGTERM
    before = (tmp_path / "log.1").read_text(encoding="utf-8")
    assert "a line of the log\n" in before
    assert "it was ended by SIGKILL; starting another one now" in before
    assert "upgrade: process " in log_of(tmp_path)
    assert (tmp_path / "starts").read_text(encoding="ascii") == "xxx"


def test_commands_are_carried_out(tmp_path: Path) -> None:
    steps = (
        SERVE
        + f"""
def ask(command):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(f"\\0{PREFIX}{{parent}}")
        client.send(json.dumps({{"command": command}}).encode())
        if command == "reload":
            assert hear() == "reload"
            say("reloaded", changed="", problem="")
        print(client.recv(65536).decode(), flush=True)

if number == 0:
    ask("nonsense")
    ask("reload")
    ask("upgrade")
elif number == 1:
    sys.exit(7)
"""
    )
    steps = steps.replace(SERVE, 'if number == 1: sys.exit("it does not start")\n' + SERVE) + STOP
    assert ParentProcess(inheritance(tmp_path, steps)).run() == -signal.SIGTERM
    answers = [json.loads(line) for line in log_of(tmp_path).splitlines() if line[0] == "{"]
    assert [(each["done"], each["text"].partition(":")[0]) for each in answers] == [
        (False, "unknown command 'nonsense'"),
        (True, "keys and certificates were read again; no setting has changed"),
        (False, "the new node has not become ready"),
    ]


def test_sockets_are_taken_over(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        address = f"tcp:{port}:interface=127.0.0.1"
        request = {"use": WEBSOCKET, "address": address, "number": 0}
        steps = f'channel.send(json.dumps({{"kind": "listen", **{request}}}).encode())\n'
        steps += "(descriptor,) = socket.recv_fds(channel, 1000, 1)[1]\n"
        steps += "print(socket.socket(fileno=descriptor).getsockname(), flush=True)\n"
        steps += SERVE + STOP
        listening = [(WEBSOCKET, address, 0, 1, os.dup(server.fileno()))]
        assert ParentProcess(inheritance(tmp_path, steps, listening=listening)).run() == -15
    assert f"('127.0.0.1', {port})\n" in log_of(tmp_path)


def test_standard_error_of_a_node_in_the_foreground(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = 'print("wampush: wrong", file=sys.stderr)\nsys.exit(1)\n'
    assert ParentProcess(inheritance(tmp_path, steps, log_kind="stdout")).run() == 1
    assert capfd.readouterr().err == "wampush: wrong\n"


def test_the_program_ends_as_it_was_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *signal: killed.append(signal))
    monkeypatch.setattr(ParentProcess, "run", lambda _: -signal.SIGTERM)
    descriptor = inheritance(tmp_path, "").written()
    assert main([str(descriptor), "twistd"]) == -signal.SIGTERM
    assert killed == [(os.getpid(), signal.SIGTERM)]
    signal.set_wakeup_fd(-1)


def test_a_parent_starts_without_a_command_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> CommandSocket:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(process, "CommandSocket", fail)
    assert ParentProcess(inheritance(tmp_path, SERVE + STOP)).run() == -signal.SIGTERM
    assert "cannot reach this process, send SIGUSR2 and SIGHUP" in log_of(tmp_path)
