"""A page of a stranger whose host name was made to mean this machine (DNS rebinding)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import running_browser
from tests.support.daemon import Daemon
from tests.support.pages import PageServer
from tests.support.raw_client import RawClient

STRANGER = "stranger.example"


@pytest.mark.parametrize(("host", "arrives"), [("localhost", True), (STRANGER, False)])
def test_only_pages_of_this_machine_may_publish_unasked(
    tmp_path: Path, daemon: Daemon, pages: PageServer, host: str, arrives: bool
) -> None:
    page_port, port = urlsplit(pages.url).port, daemon.websocket_port
    with running_browser(tmp_path, host_here=STRANGER) as browser, RawClient(port) as witness:
        witness.subscribe("news")
        page = browser.open(f"http://{host}:{page_port}/plain.html")
        page.evaluate("url => openSession('page', url)", f"ws://{host}:{port}/")
        page.evaluate("() => sessions.page.publish('news', 'from the page', false)")
        page.evaluate("() => settled('page')")
        witness.send(7, "news", "from a program", False)
        if arrives:
            assert witness.receive() == [8, "news", "from the page"]
        assert witness.receive() == [8, "news", "from a program"]
        assert daemon.health()["refusals"].get("publish-forbidden", 0) == int(not arrives)
