"""Backends and browsers that are killed leave no session, topic or descriptor behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.support.browser import Browser, running_browser
from tests.support.daemon import Daemon
from tests.support.php import php_command, php_push
from tests.support.waiting import eventually
from wampush.testing.process import Process


@pytest.fixture
def settled_descriptors(daemon: Daemon) -> int:
    """How many descriptors the daemon has once it has served one push and one HTTP request."""
    php_push(daemon.zmq_address, {"category": "MainCategory"})
    daemon.health()
    return eventually(daemon.descriptors, lambda now: now == daemon.descriptors())


def wait_until_nothing_is_left(daemon: Daemon, descriptors: int) -> None:
    """Wait until there is no session, topic and connection, and as few descriptors as before."""
    eventually(daemon.counts, lambda counts: counts == (0, 0, 0))
    eventually(daemon.descriptors, lambda now: now <= descriptors)


def test_a_killed_browser_leaves_nothing(
    driver: Playwright,
    daemon: Daemon,
    settled_descriptors: int,
    seed_page: Callable[[str], str],
    tmp_path: Path,
) -> None:
    with running_browser(driver, tmp_path / "profile") as browser:
        for category in ("MainCategory", "Other", "MainCategory"):
            browser.open(seed_page(category))
        eventually(daemon.counts, lambda counts: counts == (3, 2, 3))
        assert daemon.descriptors() > settled_descriptors
        browser.kill()
        wait_until_nothing_is_left(daemon, settled_descriptors)


def test_a_killed_backend_leaves_nothing_and_the_page_stays(
    daemon: Daemon,
    settled_descriptors: int,
    browser: Browser,
    seed_page: Callable[[str], str],
    tmp_path: Path,
) -> None:
    page = browser.open(seed_page("MainCategory"))
    eventually(daemon.counts, lambda counts: counts == (1, 1, 1))
    backends = [
        Process(php_command("endless.php", daemon.zmq_address), cwd=tmp_path) for _ in range(3)
    ]
    try:
        page.wait_for_function("Number(document.getElementById('count').textContent) >= 100")
    finally:
        for backend in backends:
            backend.kill()
    eventually(daemon.descriptors, lambda now: now <= settled_descriptors + 1)
    assert daemon.counts() == (1, 1, 1)
    php_push(daemon.zmq_address, {"category": "MainCategory", "title": "afterwards"})
    page.wait_for_function("document.getElementById('title').textContent === 'afterwards'")
    page.close()
    wait_until_nothing_is_left(daemon, settled_descriptors)
