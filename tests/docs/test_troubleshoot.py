"""The troubleshooting page: its words are those of browsers, the log and the metrics.

Every reason that is logged is on it, and nothing on it has gone out of use.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.certificates import make_certificate
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import blocks_in, on
from tests.support.nginx import running_nginx
from tests.support.pages import PageServer
from tests.support.waiting import PATIENCE, eventually
from wampush.reasons import CloseReason, Refusal
from wampush.testing.ports import reserved_ports

ROOT = Path(__file__).parents[2]
NAME = "docs/howto/troubleshoot.md"
TEXT = (ROOT / NAME).read_text(encoding="utf-8")
CODES = {reason.code for reason in (*CloseReason, *Refusal)}

OPEN = """([url, protocols]) => new Promise((resolve) => {
    const socket = new WebSocket(url, protocols);
    socket.onopen = () => { resolve('open'); socket.close(); };
    socket.onclose = (end) => resolve([end.code, end.wasClean]);
})"""


END = """([url, protocols]) => new Promise((resolve) => {
    const socket = new WebSocket(url, protocols);
    socket.onclose = (end) => resolve([end.code, end.wasClean]);
})"""


def section(heading: str) -> str:
    """The text below a heading, up to the next one of the same level."""
    (found,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def first_cells(text: str) -> list[str]:
    """The code in the first cell of each row of the tables."""
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def test_every_reason_that_is_logged_is_on_the_page() -> None:
    logged = {reason.code for reason in CloseReason if reason.value.is_logged}
    logged |= {reason.code for reason in Refusal}
    named = set(re.findall(r"`([a-z0-9-]+)`", TEXT))
    assert logged - named == set()


def test_every_reason_on_the_page_exists() -> None:
    words = set(first_cells(section("Reasons in the log")))
    assert words - CODES == set()
    hyphenated = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", TEXT))
    assert hyphenated - CODES == set()


def test_every_status_of_a_refusal_is_on_the_page() -> None:
    rows = re.findall(
        r"^\| (\d[\d, ]*) \| ([^|]+) \|", section("A page does not connect"), re.MULTILINE
    )
    found = {
        (int(status), code)
        for statuses, codes in rows
        for status in statuses.split(", ")
        for code in re.findall(r"`([^`]+)`", codes)
    }
    assert found == {
        (reason.value.http_status, reason.code)
        for reason in CloseReason
        if reason.value.http_status not in (None, 200)
    }


def test_every_metric_on_the_page_exists() -> None:
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(wampush_\w+)` \|", reference, re.MULTILINE))
    assert set(re.findall(r"`(wampush_\w+)`", TEXT)) - known == set()


@cache
def texts_of_the_code() -> list[str]:
    """All strings in the source code."""
    return [
        node.value
        for path in sorted((ROOT / "wampush").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def log_words() -> Iterator[str]:
    """The words of the log and of errors that the page quotes."""
    for heading in ("Other lines of the log", "wampush does not start"):
        yield from (word.rstrip(" …") for word in first_cells(section(heading)))


@pytest.mark.parametrize("words", list(log_words()))
def test_lines_of_the_log_exist(words: str) -> None:
    assert any(words in text for text in texts_of_the_code()), words


# The words of Chromium


@pytest.fixture
def words() -> set[str]:
    """What the page says that the console shows."""
    return {word.split("…")[0] for word in first_cells(section("A page does not connect"))}


def attempt(browser: Browser, page: Any, url: str, protocols: list[str]) -> str:
    """Try to connect; return what the console says about it."""
    before = len(browser.logged)
    end = page.evaluate(OPEN, [url, protocols])
    assert end == [1006, False], url
    (line,) = (text for text in browser.logged[before:] if text.startswith("WebSocket connection"))
    return line


def test_chromium_says_what_the_page_says(
    tmp_path: Path, browser: Browser, pages: PageServer, words: set[str]
) -> None:
    certificate = make_certificate(tmp_path, "own")
    pages.files["/here.html"] = b"<!doctype html><title>here</title><link rel=icon href=data:,>"
    here = browser.open(f"{pages.url}/here.html")
    elsewhere = browser.open("about:blank")
    with (
        reserved_ports(2) as (tls, nobody),
        running_daemon(
            tmp_path,
            extra=[
                f"--listen=ssl:{tls}:interface=127.0.0.1",
                f"--set=tls.certificate={certificate.certificate}",
                f"--set=tls.key={certificate.key}",
            ],
        ) as daemon,
    ):
        port = daemon.websocket_port
        attempts = [
            (here, f"ws://127.0.0.1:{nobody}/", "net::ERR_CONNECTION_REFUSED"),
            (here, "ws://nobody.invalid/", "net::ERR_NAME_NOT_RESOLVED"),
            (here, f"wss://127.0.0.1:{port}/", "net::ERR_SSL_PROTOCOL_ERROR"),
            (here, f"wss://127.0.0.1:{tls}/", "net::ERR_CERT_AUTHORITY_INVALID"),
            (here, f"ws://127.0.0.1:{tls}/", "Connection closed before receiving a handshake resp"),
            (here, f"ws://127.0.0.1:{daemon.http_port}/", "Unexpected response code: 400"),
            (elsewhere, daemon.websocket_url, "net::ERR_BLOCKED_BY_LOCAL_NETWORK_ACCESS_CHECKS"),
        ]
        for page, url, expected in attempts:
            line = attempt(browser, page, url, ["wamp"])
            assert expected in line
            assert any(word in line for word in words), line
        # Which of the two depends on whether the greeting of ZeroMQ or its end is seen first.
        line = attempt(browser, here, f"ws://127.0.0.1:{daemon.zmq_port}/", ["wamp"])
        assert any(
            error in words and error in line
            for error in ("net::ERR_CONNECTION_RESET", "net::ERR_INVALID_HTTP_RESPONSE")
        )
        expected_codes = {"wrong-port", "wrong-protocol", "backend-handshake"}
        daemon.wait_for_log(lambda log: all(code in log for code in expected_codes))


PROXY = """server {{
    listen 127.0.0.1:{proxy};
    location / {{
        proxy_pass http://127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header Host $host;
        proxy_read_timeout 3s;
    }}
    location /plain {{ proxy_pass http://127.0.0.1:{port}; }}
    location /down {{ proxy_pass http://127.0.0.1:{nobody}; }}
}}"""


def test_what_a_proxy_does_to_pages(
    tmp_path: Path, daemon: Daemon, browser: Browser, pages: PageServer
) -> None:
    pages.files["/here.html"] = b"<!doctype html><title>here</title><link rel=icon href=data:,>"
    page = browser.open(f"{pages.url}/here.html")
    with reserved_ports(2) as (proxy, nobody):
        server = PROXY.format(proxy=proxy, port=daemon.websocket_port, nobody=nobody)
        with running_nginx(tmp_path / "nginx", "events { }", server):
            url = f"ws://127.0.0.1:{proxy}"
            for path, status in (("/plain", 400), ("/down", 502)):
                line = attempt(browser, page, f"{url}{path}", ["wamp"])
                assert f"Unexpected response code: {status}" in line
            # nginx ends the idle connection, and nobody says anything.
            before = list(browser.logged)
            assert page.evaluate(END, [f"{url}/", ["wamp"]]) == [1006, False]
            assert browser.logged == before
            ends = eventually(lambda: daemon.health()["ends"], lambda ends: "peer-lost" in ends)
            assert set(ends) == {"bad-handshake", "peer-lost"}
            daemon.wait_for_log(lambda log: "bad-handshake" in log)
            assert "peer-lost" not in daemon.log


def test_curl_shows_why_an_origin_is_refused(daemon: Daemon) -> None:
    (block,) = (text for text in blocks_in(NAME, "sh") if "Origin:" in text)
    command = shlex.split(on(daemon, block).replace("\\\n", " "))
    shown = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout
    assert shown.startswith("HTTP/1.1 403 ")
    assert "https://www.example.com" in shown


def test_the_first_commands_work(daemon: Daemon) -> None:
    block, *_ = blocks_in(NAME, "sh")
    lines = [
        shlex.split(line) for line in on(daemon, block).splitlines() if line.startswith("curl")
    ]
    for line in lines:
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert done.stdout.startswith("{"), line
    assert len(lines) == 4
