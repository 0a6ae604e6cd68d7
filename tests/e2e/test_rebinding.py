"""A page of a stranger whose host name was made to mean this machine (DNS rebinding)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Playwright

from tests.support.browser import running_browser
from tests.support.daemon import Daemon
from tests.support.pages import PageServer
from tests.support.raw_client import RawClient

STRANGER = "stranger.example"


def test_a_page_of_this_machine_may_publish_unasked(
    driver: Playwright, tmp_path: Path, daemon: Daemon, pages: PageServer
) -> None:
    page_port, port = urlsplit(pages.url).port, daemon.websocket_port
    with running_browser(driver, tmp_path) as browser, RawClient(port) as witness:
        witness.subscribe("news")
        page = browser.open(f"http://localhost:{page_port}/plain.html")
        page.evaluate("url => openSession('page', url)", f"ws://localhost:{port}/")
        page.evaluate("() => sessions.page.publish('news', 'from the page', false)")
        page.evaluate("() => settled('page')")
        assert witness.receive() == [8, "news", "from the page"]
        assert daemon.health()["refusals"].get("publish-forbidden", 0) == 0


def test_a_page_of_a_stranger_may_not_connect(
    driver: Playwright, tmp_path: Path, daemon: Daemon, pages: PageServer
) -> None:
    page_port, port = urlsplit(pages.url).port, daemon.websocket_port
    with running_browser(driver, tmp_path, host_here=STRANGER) as browser:
        page = browser.open(f"http://{STRANGER}:{page_port}/plain.html")
        with pytest.raises(BrowserError, match=r"ab\.Session"):
            page.evaluate("url => openSession('page', url)", f"ws://{STRANGER}:{port}/")
        assert daemon.health()["ends"]["origin-forbidden"] >= 1
        assert daemon.health()["sessions"] == 0
