"""A supervisor with real children, whose signals a test scripts."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_ident

import pytest

from wampush.node.autoreload import supervisor as supervisor_module
from wampush.node.autoreload.supervisor import Arrived, Supervisor, supervise

#: A server: notes its start, then ends as its file says, or stays until a signal.
SERVER = """
import os, signal, sys, time
with open("starts", "a") as file:
    file.write(open("shop.py").read())
if "broken" in open("shop.py").read():
    sys.exit(3)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
os.write(int(os.environ["_WAMPUSH_RELOAD_PIPE"]), os.getcwd().encode() + b"/lib\\0")
signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
while (number := signal.sigwait(signals)) == signal.SIGHUP:
    open("hangups", "a").write("x")
open("ends", "a").write(signal.Signals(number).name + " ")
"""

Step = Callable[[], Arrived | None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the application, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervisor_module, "SETTLE", 0.001)
    (tmp_path / "lib").mkdir()
    (tmp_path / "shop.py").write_text("first\n")
    return tmp_path


class Script:
    """What happens each time that the supervisor waits; runs out with the last step."""

    def __init__(self, *steps: Step) -> None:
        self.steps = iter(steps)
        self.lines: list[str] = []
        self.supervisor = Supervisor(
            [sys.executable, "-S", "-c", SERVER],
            os.environ,
            Path("wampush.toml").absolute(),
            wait=self.wait,
            report=self.lines.append,
        )

    def wait(self, seconds: float) -> Arrived | None:
        assert seconds > 0
        return next(self.steps)()

    def run(self) -> None:
        self.supervisor.run()
        # A server that ends at once needs no more waiting.
        assert next(self.steps, self.ended) == self.ended
        assert next(self.steps, None) is None
        assert self.supervisor._process == 0

    def ended(self) -> Arrived:
        """The server has ended."""
        os.waitid(os.P_PID, self.supervisor._process, os.WEXITED | os.WNOWAIT)
        return Arrived(signal.SIGCHLD)

    def ready(self) -> None:
        """The server has reported; nothing else happens."""
        reader = self.supervisor._reader
        assert reader is not None
        os.set_blocking(reader._read_end, True)
        reader._rest += os.read(reader._read_end, 1000)
        os.set_blocking(reader._read_end, False)


def written(path: Path, text: str) -> Callable[[], None]:
    """A step in which nothing happens but that a file is written."""

    def write() -> None:
        path.write_text(text)

    return write


def reading(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def script(make: Callable[[Script], Iterator[Step]]) -> Script:
    """A script whose steps need it."""
    made = Script()
    made.steps = make(made)
    return made


def test_a_change_restarts_the_server(folder: Path) -> None:
    def steps(made: Script) -> Iterator[Step]:
        yield made.ready
        yield written(folder / "shop.py", "second\n")
        yield made.ended
        yield made.ready
        yield written(folder / "wampush.toml", "apps = []\n")
        yield made.ended
        yield made.ready
        yield lambda: Arrived(signal.SIGHUP)
        yield lambda: Arrived(signal.SIGTERM)
        yield made.ended

    made = script(steps)
    made.run()
    assert reading(folder / "starts") == "first\nsecond\nsecond\n"
    assert reading(folder / "ends") == "SIGTERM SIGTERM SIGTERM "
    assert reading(folder / "hangups") == "x"
    assert made.lines == [
        f"{folder}/shop.py changed; restarting",
        f"{folder}/wampush.toml changed; restarting",
    ]


def test_folders_that_the_server_reports_are_watched(folder: Path) -> None:
    def steps(made: Script) -> Iterator[Step]:
        yield made.ready
        yield written(folder / "lib" / "a.py", "")
        yield made.ended
        yield made.ready
        yield lambda: Arrived(signal.SIGINT)
        yield made.ended

    made = script(steps)
    made.run()
    assert made.lines == [f"{folder}/lib/a.py changed; restarting"]
    assert reading(folder / "ends") == "SIGTERM SIGINT "


def test_a_server_that_cannot_start_is_started_after_the_next_change(folder: Path) -> None:
    (folder / "shop.py").write_text("broken\n")

    def steps(made: Script) -> Iterator[Step]:
        yield made.ended
        yield lambda: Arrived(signal.SIGCHLD)
        yield lambda: None
        yield written(folder / "shop.py", "mended\n")
        yield made.ready
        yield lambda: Arrived(signal.SIGTERM)
        yield made.ended

    made = script(steps)
    made.run()
    assert reading(folder / "starts") == "broken\nmended\n"
    assert made.lines == [
        "the server has ended (status 3); it starts again after a change",
        f"{folder}/shop.py changed; restarting",
    ]


def test_ctrl_c_is_not_passed_on_and_ends_a_restart(folder: Path) -> None:
    def steps(made: Script) -> Iterator[Step]:
        yield made.ready
        yield written(folder / "shop.py", "second\n")
        yield lambda: Arrived(signal.SIGINT, is_for_all=True)
        yield made.ended

    script(steps).run()
    assert reading(folder / "starts") == "first\n"
    assert reading(folder / "ends") == "SIGTERM "


def test_a_server_that_does_not_end_is_killed(folder: Path) -> None:
    def steps(made: Script) -> Iterator[Step]:
        yield made.ready
        yield lambda: Arrived(signal.SIGINT, is_for_all=True)
        yield lambda: None
        yield made.ended

    made = script(steps)
    made.run()
    assert reading(folder / "ends") == ""
    assert made.lines == ["the server has not ended within 20 s; killing it"]


def test_the_command_of_this_process_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Supervisor] = []

    def run(self: Supervisor) -> None:
        made.append(self)

    monkeypatch.setattr(Supervisor, "run", run)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "twisted", "wampush", "--reload"])
    hangup = signal.getsignal(signal.SIGHUP)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        supervise(None)
        assert supervisor_module._wait_for_signal(0) is None
        signal.pthread_kill(get_ident(), signal.SIGHUP)
        assert supervisor_module._wait_for_signal(1) == Arrived(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, hangup)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert made[0]._command == [sys.executable, "-m", "twisted", "wampush", "--reload"]
