"""The guide to people: its PHP, page and commands with a daemon and the genuine AutobahnJS."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import blocks_in, on
from tests.support.pages import PageServer
from tests.support.php import php_command
from tests.support.raw_client import RawClient
from tests.support.tokens import KEY, token
from tests.support.waiting import PATIENCE
from wampush.cli import main

GUIDE = "docs/howto/push-to-a-person.md"


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the settings of the guide."""
    folder = tmp_path_factory.mktemp("daemon")
    (settings,) = blocks_in(GUIDE, "toml")
    (folder / "wampush.toml").write_text(settings, encoding="utf-8")
    (folder / "token.key").write_text(KEY, encoding="utf-8")
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as running:
        yield running


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    """That daemon, once nothing is left of the clients of the test before."""
    return shared_daemon


@pytest.fixture
def page(browser: Browser, pages: PageServer, daemon: Daemon) -> Any:
    """A page with two sessions of user 7, one each of 8, 9 and nobody, all subscribed to news."""
    opened = browser.open(f"{pages.url}/plain.html")
    tokens = {"7a": token("7"), "7b": token("7"), "8": token("8", "staff"), "9": token("9")}
    for name in (*tokens, "visitor"):
        query = f"/?token={tokens[name]}" if name in tokens else "/"
        opened.evaluate(
            "([name, url]) => openSession(name, url)", [name, daemon.websocket_url + query]
        )
        subscribe(opened, name, "news")
    return opened


def subscribe(page: Any, name: str, topic: str) -> None:
    page.evaluate(
        "([name, topic]) => sessions[name].subscribe(topic, sessions[name].listener)", [name, topic]
    )
    page.evaluate("name => settled(name)", name)


def received(page: Any, name: str) -> list[Any]:
    """What a session has got until the end of the pushes."""
    page.wait_for_function(
        "name => sessions[name].received.some(([topic, data]) => data === 'end')", arg=name
    )
    *before, end = page.evaluate("name => taken(name)", name)
    assert end == ["news", "end"]
    return before


def run_php(code: str, folder: Path) -> None:
    script = folder / "push.php"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        php_command(str(script)), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_targets_from_php(daemon: Daemon, page: Any, tmp_path: Path) -> None:
    run_php(on(daemon, blocks_in(GUIDE, "php")[0]) + "push('news', 'end');\n", tmp_path)
    expected = {
        "for all subscribers": "7a 7b 8 9 visitor",
        "for one user, in every tab": "7a 7b",
        "for a group, and one more user": "8 9",
        "for everybody who is logged in": "7a 7b 8 9",
        "for everybody except a group": "7a 7b 9 visitor",
    }
    for name in ("7a", "7b", "8", "9", "visitor"):
        titles = [data["title"] for _, data in received(page, name)]
        assert titles == [title for title, names in expected.items() if name in names.split()]


def test_automatic_subscriptions_from_php(daemon: Daemon, page: Any, tmp_path: Path) -> None:
    (code,) = blocks_in(GUIDE, "js")
    page.evaluate("code => { window.show = new Function(code + '; return show;')(); }", code)
    page.evaluate("show(sessions['7a'], '7')")
    subscribe(page, "8", "group.staff")
    for topic in ("user.7", "group.staff", "broadcast"):
        subscribe(page, "visitor", topic)
    assert daemon.health()["refusals"] == {"subscribe-forbidden": 2}
    with RawClient(daemon.websocket_port, path=f"/?token={token('7', 'staff')}") as program:
        end = "$socket->sendmulti(['news', '\"end\"']);\n"
        run_php(on(daemon, blocks_in(GUIDE, "php")[1]) + end, tmp_path)
        for topic in ("user.7", "group.staff", "broadcast"):
            assert program.receive()[1] == topic
    # AutobahnJS passes on what the page has subscribed to, and that once.
    assert received(page, "7a") == []
    assert page.title() == "wherever you are"
    assert received(page, "7b") == []
    assert [topic for topic, _ in received(page, "8")] == ["group.staff"]
    assert received(page, "9") == []
    assert [topic for topic, _ in received(page, "visitor")] == ["broadcast"]


def test_the_commands(daemon: Daemon) -> None:
    (code,) = blocks_in(GUIDE, "sh")
    by_command, by_curl = code.splitlines()
    with (
        RawClient(daemon.websocket_port, path=f"/?token={token('7')}") as seven,
        RawClient(daemon.websocket_port) as visitor,
    ):
        seven.subscribe("news")
        visitor.subscribe("news")
        assert main([*shlex.split(by_command)[1:], "--to", daemon.zmq_address]) == 0
        assert seven.receive() == [8, "news", {"title": "for one user"}]
        program, *arguments = shlex.split(on(daemon, by_curl))
        command = [program, "--silent", "--show-error", "--noproxy", "*", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert json.loads(done.stdout) == {"receivers": 1}
        assert seven.receive() == [8, "news", {"title": "for one user"}]
        assert main(["push", "news", "1", "--to", daemon.zmq_address]) == 0
        assert visitor.receive() == [8, "news", 1]
