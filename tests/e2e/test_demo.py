"""What ``make run`` starts: the daemon, the publisher, and the page that shows its pushes."""

from __future__ import annotations

import json
import re
import socket
import sys
import urllib.request
from pathlib import Path

from playwright.sync_api import expect

from tests.support.browser import Browser
from tests.support.waiting import PATIENCE
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process

ROOT = Path(__file__).resolve().parents[2]


def test_a_port_that_is_taken_stops_the_demo_before_it_starts(tmp_path: Path) -> None:
    with reserved_ports(2) as (websocket, http), socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        demo = Process(
            [
                sys.executable,
                str(ROOT / "scripts" / "run_demo.py"),
                f"--ws-port={websocket}",
                f"--zmq-port={taken}",
                f"--http-port={http}",
            ],
            cwd=tmp_path,
        )
        assert demo.wait() == 1
    (line,) = demo.lines
    assert f"port {taken} is in use" in line
    assert "make run ZMQ_PORT=" in line


def test_the_demo_page_is_fed(browser: Browser, tmp_path: Path) -> None:
    with reserved_ports(3) as (websocket, zmq, http):
        demo = Process(
            [
                sys.executable,
                str(ROOT / "scripts" / "run_demo.py"),
                f"--ws-port={websocket}",
                f"--zmq-port={zmq}",
                f"--http-port={http}",
            ],
            cwd=tmp_path,
        )
        try:
            address = f"http://127.0.0.1:{http}/demo/"
            demo.wait_for_line(f"Open {address}")
            page = browser.open(address)
            # The page forbids eval, so that only playwright's own conditions work here.
            expect(page.locator("#price-value")).to_have_text(re.compile("[0-9]"))
            expect(page.locator("#load-value")).to_have_text(re.compile("[0-9]+%"))
            expect(page.locator("#price-title")).to_have_text("WMP")
            expect(page.locator("#log li")).to_have_count(20)
            # The lines to copy work as they are, though ZeroMQ is not at its usual port.
            for line in page.locator("#examples code").all():
                expect(line).to_have_text(re.compile(f" --to tcp://127.0.0.1:{zmq}$"))
            # Pages that are opened later are filled at once.
            for topic in ("demo.price", "demo.load"):
                url = f"http://127.0.0.1:{http}/topics/{topic}"
                with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                    assert len(json.load(answer)["events"]) == 1
            pictures = ROOT / ".cache" / "screenshots"
            page.screenshot(path=pictures / "demo.png", full_page=True)
        finally:
            # Asked to end, it ends its daemon too; killed, it could not.
            status = demo.terminate()
        assert status == 0, demo.log
        assert "Traceback" not in demo.log
