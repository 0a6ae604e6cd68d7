"""The client as both ports of a server serve it, and as a page of another origin loads it."""

from __future__ import annotations

import http.client
import re

import pytest
from playwright.sync_api import Browser as Chromium

from tests.support.browser import new_user
from tests.support.client_js import ROOT, STATIC
from tests.support.daemon import Daemon
from tests.support.pages import page_server
from tests.support.waiting import PATIENCE, eventually

PAGE = ROOT / "docs" / "reference" / "javascript.md"


@pytest.fixture
def ports(lasting_daemon: Daemon) -> tuple[int, int]:
    """The port of WebSocket, and that of HTTP."""
    return lasting_daemon.websocket_port, lasting_daemon.http_port


def test_both_ports_serve_the_same(ports: tuple[int, int]) -> None:
    answers = []
    for port in ports:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/static/wampush.js")
        response = connection.getresponse()
        kept = ("Content-Type", "Content-Length", "Cache-Control", "ETag")
        answers.append((response.status, response.read(), *map(response.getheader, kept)))
        tag = response.getheader("ETag")
        assert tag is not None
        connection.close()
        connection.request("GET", "/static/wampush.js", headers={"If-None-Match": tag})
        again = connection.getresponse()
        assert (again.status, again.read()) == (304, b"")
        connection.close()
    assert answers[0] == answers[1]
    assert answers[0][:2] == (200, (STATIC / "wampush.js").read_bytes())


def test_a_page_of_another_origin_with_the_digest_of_the_docs_and_a_strict_policy(
    lasting_daemon: Daemon, ports: tuple[int, int], shared_chromium: Chromium
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (digest,) = re.findall(r"`/static/wampush\.js` \| [\d,]+ \| `(sha384-[^`]+)`", text)
    server = f"127.0.0.1:{ports[0]}"
    policy = f"default-src 'none'; script-src 'self' http://{server}; connect-src ws://{server}"
    html = (
        f'<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<script src="http://{server}/static/wampush.js" crossorigin="anonymous"'
        f' integrity="{digest}"></script><script src="/page.js"></script>'
    )
    script = (
        f"var answer; var session = new ab.Session('{lasting_daemon.websocket_url}', function () {{"
        " session.call('wampush.time').then(function (time) { answer = typeof time; }); });"
    )
    with (
        page_server({"/page.html": html.encode(), "/page.js": script.encode()}) as site,
        new_user(shared_chromium) as user,
    ):
        page = user.open(f"{site.url}/page.html")
        # What waits inside of the page evaluates text there, which the policy forbids.
        eventually(lambda: page.evaluate("window.answer"), lambda answer: answer == "number")
        assert (user.errors, user.logged) == ([], [])
