"""Publishing over HTTP with a daemon: the examples of the guide, and pages that must not."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import blocks_in, on
from tests.support.pages import page_server
from tests.support.php import php_command
from tests.support.raw_client import RawClient
from tests.support.tokens import KEY, token
from tests.support.waiting import PATIENCE, eventually

GUIDE = "docs/howto/publish-over-http.md"


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    """One for all examples that need no configuration."""
    return shared_daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    """A client that subscribed to the topics of the examples."""
    with RawClient(daemon.websocket_port) as subscribed:
        for topic in ("MainCategory", "orders/7", "after"):
            subscribed.subscribe(topic)
        yield subscribed


def run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shell(code: str, cwd: Path) -> str:
    """What an example prints; curl keeps its progress to itself."""
    quiet = 'curl() { command curl --silent --show-error --noproxy "*" "$@"; }\n'
    return run(["bash", "-c", quiet + code], cwd)


def test_the_curl_lines_of_the_guide(daemon: Daemon, client: RawClient, tmp_path: Path) -> None:
    first, second = blocks_in(GUIDE, "sh")[:2]
    assert json.loads(shell(on(daemon, first), tmp_path)) == {"receivers": 1}
    assert json.loads(shell(on(daemon, second), tmp_path)) == {"receivers": 1}
    assert client.receive() == [8, "MainCategory", {"title": "hello"}]
    assert client.receive()[2] == {"category": "MainCategory", "title": "hello"}


def test_the_answers_of_the_reference(daemon: Daemon, tmp_path: Path) -> None:
    line = f"curl --data-binary hello {daemon.http_url}/publish/orders"
    shown = next(each for each in blocks_in("docs/reference/http.md", "json") if "sentence" in each)
    assert json.loads(shell(line, tmp_path)) == json.loads(shown)


def test_the_targets_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "token.key").write_text(KEY)
    (tmp_path / "wampush.toml").write_text(
        '[auth]\norder = ["token", "anonymous"]\n[token]\nkey_file = "token.key"\n'
    )
    targets = blocks_in(GUIDE, "sh")[2]
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, extra=["--config", "wampush.toml"]))
        clients = [
            stack.enter_context(RawClient(daemon.websocket_port, path=path))
            for path in (f"/?token={token('7')}", f"/?token={token('8', 'staff')}", "/")
        ]
        for each in clients:
            each.subscribe("MainCategory")
        assert json.loads(shell(on(daemon, targets), tmp_path)) == {"receivers": 2}
        for each in clients[:2]:
            assert each.receive() == [8, "MainCategory", {"title": "for you"}]


def test_the_topics_of_the_guide(daemon: Daemon, tmp_path: Path) -> None:
    topics = blocks_in(GUIDE, "sh")[3]
    with RawClient(daemon.websocket_port) as client:
        for topic in ("news.all", "news.football"):
            client.subscribe(topic)
        eventually(lambda: daemon.health()["topics"], lambda count: count == 2)
        assert json.loads(shell(on(daemon, topics), tmp_path)) == {"receivers": 2}
        received = [client.receive() for _ in range(2)]
    assert received == [[8, topic, {"title": "hello"}] for topic in ("news.football", "news.all")]


def test_the_php_of_the_guide(daemon: Daemon, client: RawClient, tmp_path: Path) -> None:
    (code,) = blocks_in(GUIDE, "php")
    script = tmp_path / "publish.php"
    script.write_text(on(daemon, code), encoding="utf-8")
    assert run(php_command(str(script)), tmp_path) == "1\n"
    assert client.receive() == [8, "orders/7", {"state": "paid"}]
    refused = on(daemon, code).replace("'orders/7'", "''")
    script.write_text(refused, encoding="utf-8")
    done = subprocess.run(
        php_command(str(script)), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (
        "wampush refused: The topic is an empty string; name a topic." in done.stdout + done.stderr
    )


def test_the_token_of_the_guide(tmp_path: Path) -> None:
    make_token, publish = blocks_in(GUIDE, "sh")[4:6]
    shell(make_token, tmp_path)
    (settings,) = blocks_in(GUIDE, "toml")
    (token_file,) = (line for line in settings.splitlines() if line.startswith("token_file"))
    (tmp_path / "wampush.toml").write_text(f"[http]\n{token_file}\n")
    with (
        running_daemon(tmp_path, extra=["--config", "wampush.toml"]) as daemon,
        RawClient(daemon.websocket_port) as client,
    ):
        client.subscribe("MainCategory")
        line = publish.replace("https://push.example.org:8443", daemon.http_url)
        assert line != publish
        without = line.replace("Authorization", "X-Nothing")
        assert json.loads(shell(without, tmp_path))["code"] == "no-access"
        assert json.loads(shell(line, tmp_path)) == {"receivers": 1}
        assert client.receive() == [8, "MainCategory", {"title": "hello"}]
        daemon.wait_for_line("refused HTTP request from 127.0.0.1: no-access")


def test_large_bodies(daemon: Daemon, client: RawClient, tmp_path: Path) -> None:
    url = f"{daemon.http_url}/publish/MainCategory"
    for size, expected in ((1_048_000, "receivers"), (1_048_577, "too-large"), (9_000_000, "too-")):
        body = tmp_path / "body.json"
        body.write_bytes(b'"' + b"x" * (size - 2) + b'"')
        assert expected in shell(f"curl --data-binary @{body} {url}", tmp_path)
    assert len(client.receive()[2]) == 1_047_998


ATTACKS = {
    "fetch": "fetch('URL', {method: 'POST', mode: 'no-cors', body: '1'})",
    "fetch without referrer": (
        "fetch('URL', {method: 'POST', mode: 'no-cors', body: '1', referrerPolicy: 'no-referrer'})"
    ),
    "fetch with a type that asks first": (
        "fetch('URL', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '1'})"
        ".catch(() => 0)"
    ),
    "fetch with a token": (
        "fetch('URL', {method: 'POST', headers: {Authorization: 'Bearer x'}, body: '1'})"
        ".catch(() => 0)"
    ),
    "beacon": "navigator.sendBeacon('URL', '1')",
    "form": """new Promise(done => {
        const frame = document.createElement('iframe');
        frame.name = 'target';
        document.body.append(frame);
        const form = document.createElement('form');
        Object.assign(form, {action: 'URL', method: 'POST', enctype: 'text/plain'});
        form.target = 'target';
        document.body.append(form);
        frame.onload = done;
        form.submit();
    })""",
    "opaque frame": """new Promise(done => {
        const frame = document.createElement('iframe');
        frame.sandbox = 'allow-scripts';
        frame.srcdoc = `<script>fetch('URL', {method: 'POST', mode: 'no-cors', body: '1'})
            .finally(() => parent.postMessage('done', '*'))<\\/script>`;
        window.onmessage = done;
        document.body.append(frame);
    })""",
}


#: Those that a browser lets through, for the server to refuse; before the others it asks first.
SIMPLE = len(ATTACKS) - 2


def test_pages_of_other_sites_can_not_publish(
    daemon: Daemon, client: RawClient, browser: Browser
) -> None:
    url = f"{daemon.http_url}/publish/MainCategory"
    before = Counter(daemon.health()["refusals"])
    with page_server({"/evil.html": b"<!doctype html><body>"}) as pages:
        for host in ("127.0.0.1", "localhost"):
            address = f"{pages.url}/evil.html".replace("127.0.0.1", host)
            for attack in ATTACKS.values():
                page = browser.open(address)
                page.evaluate("async (code) => { await eval(code); }", attack.replace("URL", url))
                page.close()
    # Nobody waits for a beacon.
    refusals = eventually(
        lambda: Counter(daemon.health()["refusals"]) - before,
        lambda seen: seen["foreign-page"] >= 2 * SIMPLE,
    )
    assert refusals == {"foreign-page": 2 * SIMPLE}
    assert_nothing_came(daemon, client)


def test_the_pages_of_the_port_may_publish(
    daemon: Daemon, client: RawClient, browser: Browser
) -> None:
    page = browser.open(f"{daemon.http_url}/")
    answer = page.evaluate(
        "() => fetch('/publish/orders%2F7', {method: 'POST', body: '[1.0]'}).then(a => a.json())"
    )
    assert answer == {"receivers": 1}
    assert client.receive() == [8, "orders/7", [1.0]]


def assert_nothing_came(daemon: Daemon, client: RawClient) -> None:
    """What is published last is what arrives first."""
    request = urllib.request.Request(f"{daemon.http_url}/publish/after", data=b"1")
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        assert json.load(response) == {"receivers": 1}
    assert client.receive() == [8, "after", 1]
