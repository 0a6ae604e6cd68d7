"""A page as in the README, through nginx, while the server is upgraded again and again."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from tests.support.browser import Browser, new_user
from tests.support.certificates import make_certificate
from tests.support.daemon import Daemon
from tests.support.pages import PageServer
from tests.support.proxies import running_proxy
from tests.support.steady_pusher import HttpPusher, SteadyPusher
from tests.support.waiting import PATIENCE, eventually
from wampush.cli.running_parents import ask
from wampush.testing.ports import reserved_ports

#: In a row, while the process before the last one may still be ending. Each takes what the start of
#: a process takes, more than a second beside other tests; ``PAGE_UPGRADES=20`` makes it 20.
UPGRADES = int(os.environ.get("PAGE_UPGRADES", "4"))
PER_SECOND = 200.0
TOPICS = ("one", "two", "kept")
OVER_HTTP = ("each", "lasting")


def first_differences(page: Page, expected: dict[str, list[int]]) -> dict[str, list[int]]:
    """The first numbers of each topic that are missing, and those that have come too often."""
    received = page.evaluate("received")
    differences = {}
    for topic, numbers in expected.items():
        got = received[topic]
        if got != numbers:
            missing = sorted(set(numbers) - set(got))
            differences[topic] = [len(numbers), len(got), *missing[:10]]
    return differences


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """With a parent, and the settings for a proxy."""
    settings = tmp_path / "wampush.toml"
    settings.write_text(
        '[proxy]\ntrusted = ["127.0.0.1"]\n[process]\ndrain = 1\n'
        '[[topics]]\nmatch = "kept"\nhistory = 10\n',
        encoding="utf-8",
    )
    with reserved_ports(3) as ports:
        running = Daemon(ports, cwd=tmp_path, extra=["--config", str(settings)], has_parent=True)
        try:
            running.wait_until_ready()
            yield running
            running.stop()
        finally:
            running.kill()


@pytest.fixture
def user(shared_chromium: Chromium) -> Iterator[Browser]:
    """A browser that takes the certificate of the proxy."""
    with new_user(shared_chromium, any_certificate=True) as browser:
        yield browser
        assert browser.errors == []


@pytest.mark.timeout(120 + 10 * UPGRADES)
def test_a_page_notices_nothing_of_upgrades(
    tmp_path: Path, daemon: Daemon, user: Browser, pages: PageServer
) -> None:
    certificate = make_certificate(tmp_path)
    topics = (*TOPICS, *OVER_HTTP)
    text = (Path(__file__).parent / "pages" / "counting.html").read_text(encoding="utf-8")
    with running_proxy("nginx", tmp_path, daemon, certificate) as port:
        text = text.replace("ws://127.0.0.1:PORT", f"wss://127.0.0.1:{port}")
        pages.files["/counting.html"] = text.replace("TOPICS", json.dumps(topics)).encode()
        page = user.open(f"{pages.url}/counting.html")
        page.wait_for_function("opened === 1")
        eventually(daemon.counts, lambda counts: counts[1] == len(topics))
        with (
            SteadyPusher(daemon.zmq_port, TOPICS, PER_SECOND) as backend,
            HttpPusher(daemon.http_port, "each", reconnects=True) as each,
            HttpPusher(daemon.http_port, "lasting", reconnects=False) as lasting,
        ):
            for _ in range(UPGRADES):
                outcome = ask(daemon.pid, "upgrade")
                assert outcome.is_done, outcome.text
                assert "1 sessions and" in outcome.text
        assert (each.problem, lasting.problem) == ("", "")
        expected = {topic: [n for t, n in backend.sent if t == topic] for topic in TOPICS}
        expected |= {pusher.topic: list(range(pusher.sent)) for pusher in (each, lasting)}
        # No hole, no double, in the order of each topic.
        eventually(lambda: first_differences(page, expected), lambda found: not found)
        assert page.evaluate("[opened, closed]") == [1, 0]
        # Each process that is replaced asks for a new connection, and takes no push on the old one.
        assert 2 <= lasting.connections <= UPGRADES + 1
        url = f"{daemon.http_url}/metrics"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            metrics = response.read().decode()
        assert f'wampush_upgrades_total{{kind="upgrade",outcome="done"}} {UPGRADES}.0' in metrics
        assert f'wampush_sessions_moved_total{{outcome="moved"}} {UPGRADES}.0' in metrics
        assert daemon.log.count("upgrade: process ") == 2 * UPGRADES
