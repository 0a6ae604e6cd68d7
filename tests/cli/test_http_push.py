"""``wampush push --http``: the request, the number of receivers, and what goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.puller import one_line
from tests.support.daemon import Daemon
from wampush.cli import main
from wampush.testing.ports import reserved_ports


class HttpServer(ThreadingHTTPServer):
    """Answers every push in the same way, and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = 200, b'{"receivers":3}'
        self.requests: list[tuple[str, str | None, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: HttpServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """The test's output stays clean."""


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def test_it_prints_the_number_of_receivers(
    server: HttpServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert main(["push", "caf\u00e9/1", '{"a": 1.0}', "--http", f"{server.url}/"]) == 0
    server.answer = 200, b'{"receivers":1}'
    assert main(["push", "t", "2", "--http", server.url, "--user", "7", "--also", "u"]) == 0
    assert capfd.readouterr() == ("3 receivers\n1 receiver\n", "")
    assert server.requests == [
        ("/publish/caf%C3%A9%2F1", None, b'{"a": 1.0}'),
        ("/publish/t?to=%7B%22users%22%3A+%5B%227%22%5D%7D&topics=%5B%22u%22%5D", None, b"2"),
    ]


def test_it_sends_the_token(server: HttpServer, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n", encoding="ascii")
    assert main(["push", "t", "1", "--http", server.url, "--token-file", str(path)]) == 0
    assert server.requests == [("/publish/t", "Bearer secret", b"1")]


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (401, {"sentence": "No.", "detail": ""}, "refused the push: No."),
        (400, {"sentence": "No.", "detail": "Really."}, "refused the push: No. Really."),
        (404, "other", "refused the push: 404 Not Found"),
        (200, "other", "is not the HTTP port of wampush"),
        (200, {"other": 1}, "is not the HTTP port of wampush"),
    ],
)
def test_what_the_server_does_not_accept(
    server: HttpServer, capfd: pytest.CaptureFixture[str], status: int, answer: object, why: str
) -> None:
    server.answer = status, json.dumps(answer).encode()
    assert main(["push", "t", "1", "--http", server.url]) == 1
    assert one_line(capfd) == f"wampush: {server.url} {why}\n"


def test_a_server_that_does_not_run(capfd: pytest.CaptureFixture[str]) -> None:
    with reserved_ports(1) as (port,):
        url = f"http://127.0.0.1:{port}"
        assert main(["push", "t", "1", "--http", url]) == 1
    line = one_line(capfd)
    assert line.startswith(f"wampush: cannot push to {url}: ")
    assert line.endswith("; is wampush running?\n")


def test_a_token_that_cannot_be_read(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert main(["push", "t", "1", "--http", "http://127.0.0.1:1", "--token-file", missing]) == 1
    assert one_line(capfd).startswith(f"wampush: cannot read the token in {missing}: ")


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ("--token-file x", "--token-file needs --http"),
        ("--http 127.0.0.1:8081", "--http must be a URL such as http://127.0.0.1:8081"),
        ("--http http://127.0.0.1:99999", "--http must be a URL such as http://127.0.0.1:8081"),
        ("--http http://a/?b", "--http must be a URL such as http://127.0.0.1:8081"),
        ("--http http://a --server-key b --secret-key c", "--http cannot be combined with"),
    ],
)
def test_wrong_options(capfd: pytest.CaptureFixture[str], options: str, mistake: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["push", "t", "1", *options.split()])
    assert caught.value.code == 2
    assert mistake in one_line(capfd)


def test_a_daemon_says_that_nobody_is_subscribed(
    daemon: Daemon, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", "t", "1", "--http", daemon.http_url]) == 0
    assert capfd.readouterr().out == "0 receivers\n"
