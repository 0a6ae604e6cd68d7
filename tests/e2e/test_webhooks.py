"""The script of docs/howto/webhooks.md, asked by the daemon on behalf of the genuine AutobahnJS."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.pages import PageServer
from tests.support.waiting import eventually
from tests.support.webhooks import Shop, example, shop
from wampush.apps.webhooks.requests import signature

UNAVAILABLE = "http://api.wamp.ws/error#unavailable"


@pytest.fixture
def page(browser: Browser, pages: PageServer) -> Any:
    """A page that can open sessions, call and say whether a WebSocket opens."""
    opened = browser.open(f"{pages.url}/plain.html")
    opened.evaluate(
        """() => {
            window.called = (name, uri, ...args) => new Promise(resolve =>
                sessions[name].call(uri, ...args).then(
                    result => resolve({result}),
                    error => resolve({error: error.uri, desc: error.desc})));
            window.opened = url => new Promise(resolve => {
                var socket = new WebSocket(url, ['wamp']);
                socket.onopen = () => { resolve(true); socket.close(); };
                socket.onerror = () => resolve(false);
            });
        }"""
    )
    return opened


def open_session(page: Any, shop: Shop, name: str) -> str:
    """Open a session and return its id."""
    opened = page.evaluate(
        "([name, url]) => openSession(name, url)", [name, shop.daemon.websocket_url]
    )
    return str(opened)


def subscribe(page: Any, name: str, *topics: str) -> None:
    for topic in topics:
        page.evaluate(
            "([name, topic]) => sessions[name].subscribe(topic, sessions[name].listener)",
            [name, topic],
        )


def call(page: Any, name: str, uri: str, *arguments: object) -> Any:
    return page.evaluate("a => called(...a)", [name, uri, *arguments])


def received(page: Any, name: str, count: int = 1) -> list[Any]:
    """Wait for so many events and take them."""
    page.wait_for_function("([name, n]) => sessions[name].received.length >= n", arg=[name, count])
    taken = page.evaluate("name => taken(name)", name)
    assert isinstance(taken, list)
    return taken


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_php_application_decides_and_answers(tmp_path: Path, browser: Browser, page: Any) -> None:
    with shop(tmp_path) as running:
        daemon = running.daemon
        # Nobody is logged in yet.
        assert not page.evaluate("url => opened(url)", daemon.websocket_url)
        daemon.wait_for_log(lambda log: "connect-refused" in log and "not logged in" in log)
        # Cookies know no ports: the browser sends those of the PHP server to wampush too.
        browser.open(f"{running.php.url}/login.php?user=7")
        ids = {name: open_session(page, running, name) for name in "AB"}
        assert names(running.online) == set(ids.values())
        for name in ids:
            subscribe(page, name, "chat", "user.7", "user.8")
        eventually(lambda: daemon.health()["refusals"].get("application-refused"), lambda n: n == 2)
        assert daemon.counts()[1] == 2

        page.evaluate("() => sessions.A.publish('chat', 'hello', false)")
        for name in "AB":
            assert received(page, name) == [["chat", {"from": "7", "text": "hello"}]]
        page.evaluate("() => sessions.A.publish('chat', {html: '<b>'}, false)")
        eventually(lambda: daemon.health()["refusals"]["application-refused"], lambda n: n == 3)

        assert call(page, "A", "cart.add", 17) == {"result": {"items": 1}}
        assert received(page, "B") == [["user.7", {"items": 1}]]
        assert call(page, "B", "cart/add", 18)["error"].endswith("#NoSuchRPCEndpoint")
        assert call(page, "B", "cart.add", 18) == {"result": {"items": 2}}
        assert received(page, "A") == [["user.7", {"items": 2}]]
        assert call(page, "A", "cart.add", "seventeen")["desc"].startswith("log in, and send")
        assert call(page, "A", "cart.drop", 1)["desc"].startswith("there is no such handler")
        # An ordinary page of the application has the same cart.
        cart = browser.open(f"{running.php.url}/cart.php")
        assert cart.inner_text("body") == "[17,18]"

        page.evaluate("() => sessions.A.close()")
        eventually(lambda: names(running.online), lambda found: found == {ids["B"]})
        # The last end is told while the daemon stops.
        daemon.stop()
        assert names(running.online) == set()


def test_the_page_of_the_guide(tmp_path: Path, browser: Browser, page: Any) -> None:
    with shop(tmp_path) as running:
        browser.open(f"{running.php.url}/login.php?user=7")
        open_session(page, running, "A")
        page.evaluate(
            f"() => {{ {example('js', 'function start')} window.shown = [];"
            " start(sessions.A, text => shown.push(text)); }"
        )
        page.wait_for_function("() => window.shown.length === 2")
        assert set(page.evaluate("() => window.shown")) == {"7: hello", "1 items"}


def test_an_application_that_is_stopped_and_started(
    tmp_path: Path, browser: Browser, page: Any
) -> None:
    more = "breaker_failures = 2\nbreaker_seconds = 0.3\n"
    with shop(tmp_path, more) as running:
        daemon = running.daemon
        browser.open(f"{running.php.url}/login.php?user=7")
        ids = {name: open_session(page, running, name) for name in "AB"}
        running.php.stop()
        for name in "ABA":
            answer = call(page, name, "cart.add", 17)
            assert answer["error"] == UNAVAILABLE
        daemon.wait_for_line("call: 2 failures in a row")
        assert daemon.log.count("failures in a row") == 1
        daemon.wait_for_line("the connection was refused")
        # The stated default: refuse.
        subscribe(page, "A", "chat")
        eventually(
            lambda: daemon.health()["refusals"], lambda found: found == {"application-failed": 1}
        )
        assert not page.evaluate("url => opened(url)", daemon.websocket_url)
        daemon.wait_for_line("connect-undecided")
        page.evaluate("() => sessions.B.close()")
        eventually(
            lambda: daemon.health()["webhooks"],
            lambda state: state["breakers"]["disconnect"] == "open",
        )
        assert names(running.online) == set(ids.values())

        running.php.start()
        eventually(
            lambda: call(page, "A", "cart.add", 17),
            lambda answer: answer == {"result": {"items": 1}},
        )
        daemon.wait_for_line("call: responding again")
        eventually(lambda: page.evaluate("url => opened(url)", daemon.websocket_url), bool)
        # What it missed is told now.
        eventually(
            lambda: names(running.online) & set(ids.values()), lambda left: left == {ids["A"]}
        )
        state = daemon.health()["webhooks"]
        assert state["breakers"]["call"] == "closed"
        assert state["disconnects_dropped"] == 0
        subscribe(page, "A", "user.7")
        eventually(lambda: daemon.counts()[1], lambda topics: topics == 1)


def test_a_default_that_allows(tmp_path: Path, page: Any) -> None:
    with shop(tmp_path, 'when_down = "allow"\n') as running:
        running.php.stop()
        open_session(page, running, "A")
        subscribe(page, "A", "chat")
        page.evaluate("() => sessions.A.publish('chat', {n: 1}, false)")
        assert received(page, "A") == [["chat", {"n": 1}]]
        assert call(page, "A", "cart.add", 17)["error"] == UNAVAILABLE


def test_only_a_signature_of_now_counts(tmp_path: Path, browser: Browser, page: Any) -> None:
    with shop(tmp_path) as running:
        browser.open(f"{running.php.url}/login.php?user=7")
        open_session(page, running, "A")
        # The application has another secret now; the daemon still signs with the old one.
        secret = "fedcba9876543210" * 4
        running.key.write_text(secret, encoding="utf-8")
        assert call(page, "A", "cart.add", 17)["error"] == UNAVAILABLE
        running.daemon.wait_for_line("call: unexpected status 401")
        os.kill(running.daemon.pid, signal.SIGHUP)
        running.daemon.wait_for_line("webhooks: secret reloaded")
        assert call(page, "A", "cart.add", 17) == {"result": {"items": 1}}
        running.key.write_text("short", encoding="utf-8")
        os.kill(running.daemon.pid, signal.SIGHUP)
        running.daemon.wait_for_line("could not reload the webhooks secret")
        assert secret not in running.daemon.log


def test_the_signature_is_checked_in_python_as_the_guide_says() -> None:
    names: dict[str, Any] = {}
    exec(compile(example("python", "is_genuine"), "guide", "exec"), names)
    secret, body, now = b"s" * 32, b'{"a": 1}', int(time.time())
    is_genuine = names["is_genuine"]
    assert is_genuine(secret, signature(secret, now, body), body)
    assert not is_genuine(secret, signature(secret, now, body), body + b" ")
    assert not is_genuine(b"t" * 32, signature(secret, now, body), body)
    assert not is_genuine(secret, signature(secret, now - 400, body), body)
    for header in ("", "t=,v1=", f"t={now}", f"t={now},v1=\xe4", "t=\xb2,v1=0"):
        assert not is_genuine(secret, header, body)
