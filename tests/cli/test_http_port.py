"""The HTTP port as the subcommands use it: its URL, its token, and what a failure means."""

from __future__ import annotations

import threading
import urllib.error
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from wampush.cli import http_port
from wampush.errors import OperatorError


class Handler(BaseHTTPRequestHandler):
    """Answers with what it was asked; paths with a number have that status."""

    def do_GET(self) -> None:
        self._answer(b"GET")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        if self.path == "/nothing":
            return
        status = int(self.path[1:]) if self.path[1:].isdigit() else 200
        answer = b'{"sentence":"No.","detail":"Really."}' if status == 400 else body
        self.send_response(status)
        self.send_header("Authorization-Was", str(self.headers["Authorization"]))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """The test's output stays clean."""


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8081", "https://a.example/push/", "http://[::1]"]
)
def test_urls(url: str) -> None:
    assert http_port.mistake_in_url(url) == ""


@pytest.mark.parametrize(
    "url", ["", "localhost:8081", "ws://a", "http://", "http://a:0", "http://a:x", "http://a/#b"]
)
def test_urls_that_are_not_valid(url: str) -> None:
    expected = f"--http must be a URL such as http://127.0.0.1:8081, not {url!r}"
    assert http_port.mistake_in_url(url) == expected


def test_the_token_of_a_file(url: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n", encoding="ascii")
    with http_port.request(url, http_port.authorization(str(path)), 5.0, b"1") as response:
        assert response.read() == b"1"
        assert response.headers["Authorization-Was"] == "Bearer secret"
    assert http_port.authorization(None) == {}


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_token_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperatorError, match=f"cannot read the token in {path}: "):
        http_port.authorization(str(path))


def test_no_proxy_is_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with http_port.request(url, {}, 5.0) as response:
        assert response.read() == b"GET"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/400", "No. Really."),
        ("/503", "503 Service Unavailable"),
        ("/nothing", "Remote end closed connection without response"),
    ],
)
def test_why_a_request_failed(url: str, path: str, problem: str) -> None:
    with pytest.raises(OSError) as caught:
        http_port.request(f"{url}{path}", {}, 5.0)
    assert http_port.problem_of(caught.value) == problem


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (TimeoutError(), "TimeoutError"),
        (BadStatusLine("SSH-2.0"), "SSH-2.0"),
        (
            urllib.error.URLError(ConnectionRefusedError(111, "refused")),
            "[Errno 111] refused; is wampush running?",
        ),
    ],
)
def test_why_there_was_no_response(error: OSError | HTTPException, problem: str) -> None:
    assert http_port.problem_of(error) == problem
