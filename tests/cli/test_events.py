"""``wampush listen --all``: the publications of a node, whatever happens to the connection."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.cli.puller import one_line
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE
from wampush.cli import events, http_port, main
from wampush.testing.ports import reserved_ports

ROOT = Path(__file__).resolve().parents[2]


class Ended(Exception):
    """The test has seen enough."""


class Response:
    """A response that has these lines."""

    def __init__(self, lines: Sequence[bytes | Exception]) -> None:
        self.headers = Message()
        self.headers["Content-Type"] = "application/x-ndjson"
        self._lines: Iterator[bytes | Exception] = iter(lines)

    def readline(self) -> bytes:
        line = next(self._lines, b"")
        if isinstance(line, Exception):
            raise line
        return line

    def __enter__(self) -> None:
        """As a response."""

    def __exit__(self, *_: object) -> None:
        """As a response."""


class Server:
    """Answers one attempt after another with what the test says, and passes the time."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.delays: list[float] = []
        self.events: list[tuple[str, bytes]] = []

    def request(self, url: str, headers: dict[str, str], timeout: float) -> Any:
        assert (url, headers, timeout) == ("http://server/events", {}, 60.0)
        if not self.answers:
            raise Ended
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def follow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until there are no more answers."""
        monkeypatch.setattr(http_port, "request", self.request)
        monkeypatch.setattr("time.sleep", self.delays.append)
        with pytest.raises(Ended):
            events.follow("http://server/", None, lambda *event: self.events.append(event))


def test_lines_become_events(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [b"\n", b'{"topic":"caf\xc3\xa9\\n","payload":{"a": 1.0}}\n', b'{"dropped":3}\n']
    server = Server(Response([*lines, b'{"topic":"t","payload":9007199254740993}\n', b'{"to']))
    server.follow(monkeypatch)
    assert server.events == [("café\n", b'{"a": 1.0}'), ("t", b"9007199254740993")]
    assert capfd.readouterr().err.splitlines() == [
        "wampush: connected to http://server",
        "wampush: 3 events are missing here, because they were read too slowly",
        "wampush: the server closed the connection; next try in 0.8 s",
    ]


def test_a_problem_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = ConnectionRefusedError(111, "refused")
    server = Server(*[refused] * 6, Response([TimeoutError("timed out")]), refused)
    server.follow(monkeypatch)
    assert server.delays == [0.75, 1.5, 3.0, 6.0, 10.0, 10.0, 0.75, 1.5]
    assert capfd.readouterr().err.splitlines() == [
        "wampush: [Errno 111] refused; is wampush running?; next try in 0.8 s",
        "wampush: connected to http://server",
        "wampush: the connection was lost: timed out; next try in 0.8 s",
        "wampush: [Errno 111] refused; is wampush running?; next try in 1.5 s",
    ]


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        ([], "name a topic, or use --all"),
        (["--all", "a"], "--all cannot be combined with topics"),
        (["--all", "--http", "ws://a"], "--http must be a URL such as http://127.0.0.1:8081"),
        (["a", "--token-file", "b"], "--token-file needs --all"),
    ],
)
def test_wrong_arguments(
    capfd: pytest.CaptureFixture[str], arguments: list[str], mistake: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["listen", *arguments])
    assert caught.value.code == 2
    assert mistake in one_line(capfd)


def test_the_websocket_port_is_not_the_http_port(
    daemon: Daemon, capfd: pytest.CaptureFixture[str]
) -> None:
    url = daemon.websocket_url.replace("ws", "http")
    assert main(["listen", "--all", "--http", url]) == 1
    assert one_line(capfd) == f"wampush: {url} is not the HTTP port of wampush\n"


def test_it_ends_when_it_may_not_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "other").write_text("0123456789abcdef0123456789abcdee")
    (tmp_path / "wampush.toml").write_text('[http]\ntoken_file = "token"\n')
    with running_daemon(tmp_path, extra=["--config", "wampush.toml"]) as daemon:
        url, token_file = daemon.http_url, str(tmp_path / "other")
        assert main(["listen", "--all", "--http", url, "--token-file", token_file]) == 1
    assert one_line(capfd) == f"wampush: {url} refused: 401 Unauthorized\n"


def test_a_daemon(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "wampush.cli", "listen", "--all", "--http", daemon.http_url]
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
        stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == f"wampush: connected to {daemon.http_url}\n".encode()
        assert main(["push", "nobody", '{"n": 1.0}', "--http", daemon.http_url]) == 0
        assert process.stdout.readline() == b'nobody\t{"n": 1.0}\n'
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_a_server_that_is_not_there() -> None:
    with reserved_ports(1) as (port,):
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(OSError) as caught:
            http_port.request(url, {}, 5.0)
    assert http_port.problem_of(caught.value).endswith("; is wampush running?")
