"""What ``make run`` starts: the daemon, the publisher, and the page that shows its pushes."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.browser import Browser
from tests.support.daemon import Process
from tests.support.ports import reserved_ports

ROOT = Path(__file__).resolve().parents[2]


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
            demo.wait_for_log(lambda log: f"Open {address}" in log)
            page = browser.open(address)
            page.wait_for_function(
                "document.getElementById('price-value').textContent !== '–'"
                " && document.getElementById('load-value').textContent !== '–'"
            )
            assert page.inner_text("#price-symbol") == "WMP"
            page.wait_for_function("document.getElementById('log').childElementCount >= 10")
            pictures = ROOT / ".cache" / "screenshots"
            page.screenshot(path=pictures / "demo.png", full_page=True)
            assert demo.terminate() == 0, demo.log
            assert "Traceback" not in demo.log
        finally:
            demo.kill()
