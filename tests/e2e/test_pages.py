"""The state of the connection on every page, and how the pages look; one browser, two daemons."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from examples.run import python_pages
from tests.support.browser import Browser
from tests.support.daemon import Daemon
from tests.support.looks import check_looks, contrast
from tests.support.waiting import PATIENCE
from wampush.testing.ports import reserved_ports

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

#: What the browser itself logs about a server that is away or refuses.
OF_THE_BROWSER = ("Failed to load resource: net::ERR_", "WebSocket connection to ")
LOST = re.compile("^Connection lost – reconnecting in [0-9]+ s$")
UNREACHABLE = re.compile("^Server not reachable – retrying in [0-9]+ s$")
REFUSED = re.compile("^Refused – retrying in [0-9]+ s$")
NO_CREDENTIALS = 'The request carries no credentials, and auth.order does not include "anonymous".'


class Site:
    """An example's pages, and a daemon with its configuration that comes and goes."""

    def __init__(self, name: str, folder: Path, autobahn_js: bytes, stack: ExitStack) -> None:
        self._ports = stack.enter_context(reserved_ports(3))
        self._stack = stack
        self._folder = folder / name
        self._folder.mkdir()
        self._secret = self._folder / "secret"
        self._secret.write_text("0" * 64, encoding="ascii")
        self._secret.chmod(0o600)
        self._name = name
        (self._folder / "autobahn.min.js").write_bytes(autobahn_js)
        websocket, zmq, http = self._ports
        self.http = f"http://127.0.0.1:{http}"
        environment = {
            **os.environ,
            "EXAMPLE_SECRET": str(self._secret),
            "EXAMPLE_WEBSOCKET": f"ws://127.0.0.1:{websocket}",
            "EXAMPLE_ZMQ": f"tcp://127.0.0.1:{zmq}",
            "EXAMPLE_HTTP": self.http,
        }
        (port,) = stack.enter_context(reserved_ports(1))
        stack.enter_context(python_pages(EXAMPLES / name, self._folder, port, environment))
        self.url = f"http://127.0.0.1:{port}/"

    def start(self) -> Daemon:
        """Start the daemon and wait until it is up."""
        token_key = ["--set", f"token.key_file={self._secret}"] if self._name == "orders" else []
        configuration = EXAMPLES / self._name / "wampush.toml"
        extra = ["--config", str(configuration), *token_key]
        daemon = Daemon(self._ports, cwd=self._folder, extra=extra)
        self._stack.callback(daemon.kill)
        daemon.wait_until_ready()
        return daemon


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def state(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#state")).to_have_text(text)


def test_states_of_the_connection_on_every_page(
    browser: Browser, autobahn_js: bytes, tmp_path: Path, stack: ExitStack
) -> None:
    chat, orders = (Site(name, tmp_path, autobahn_js, stack) for name in ("chat", "orders"))
    # Nobody is there yet.
    ann, carol = browser.open(chat.url), browser.open(orders.url)
    check_looks(ann)
    expect(carol.locator("#waiting")).to_be_visible()
    expect(carol.locator("#empty")).to_be_hidden()
    # The first field has the focus, and it shows.
    assert ann.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    ann.get_by_label("Your name").fill("Ann")
    ann.get_by_label("Your name").press("Enter")
    state(ann, UNREACHABLE)
    state(carol, UNREACHABLE)
    check_looks(carol)

    chat_daemon, orders_daemon = chat.start(), orders.start()
    demo = browser.open(f"{chat.http}/demo/")
    state(ann, "Connected as Ann")
    state(carol, "Connected")
    state(demo, re.compile("^Connected to ws://"))
    expect(carol.locator("#waiting")).to_be_hidden()
    expect(carol.locator("#push")).to_be_visible()
    # Refused, with the reason.
    mallory = browser.open(f"{orders.url}?as=mallory")
    refused_demo = browser.open(f"{orders.http}/demo/")
    for page in (mallory, refused_demo):
        state(page, REFUSED)
        expect(page.locator("#reason")).to_have_text(NO_CREDENTIALS)
        check_looks(page)

    # A message and an order, so that there is something to look at.
    ann.get_by_label("Message", exact=True).fill("Hello <b>there</b>")
    ann.get_by_label("Message", exact=True).press("Enter")
    expect(ann.locator(".own p")).to_have_text("Hello <b>there</b>")
    alice = browser.open(f"{orders.url}?as=alice")
    alice.get_by_role("button", name="Order").click()
    expect(carol.locator("#order-1")).to_contain_text("Tea")
    for page in (ann, carol, alice, demo):
        check_looks(page)

    # Ended by the server: the page waits for its reader.
    request = urllib.request.Request(f"{orders.http}/sessions?user=carol", method="DELETE")
    with urllib.request.urlopen(request, timeout=PATIENCE):
        state(carol, "Closed by the server")
    expect(carol.locator("#reason")).to_contain_text(
        "The server ended the connection with code 3000."
    )
    check_looks(carol)
    carol.get_by_role("button", name="Connect again").click()
    state(carol, "Connected")
    # The orders are asked for once the page is connected.
    expect(carol.locator("#order-1")).to_contain_text("Tea")

    # Lost: what needs the server is disabled, and nothing looks alive.
    orders_daemon.stop()
    chat_daemon.stop()
    for page in (ann, carol, alice, demo):
        state(page, LOST)
    check_looks(demo)
    expect(carol.get_by_role("button", name="Ship")).to_be_disabled()
    expect(carol.locator("#presence")).to_be_hidden()
    ann.get_by_label("Message", exact=True).fill("kept")
    ann.get_by_label("Message", exact=True).press("Enter")
    expect(ann.get_by_label("Message", exact=True)).to_have_value("kept")
    demo.evaluate("scrollTo(0, 600)")
    expect(demo.locator("#state")).to_be_in_viewport()

    # Back again.
    chat.start()
    orders.start()
    state(ann, "Connected as Ann")
    state(carol, "Connected")
    state(demo, re.compile("^Connected to ws://"))
    assert [each for each in browser.logged if not each.startswith(OF_THE_BROWSER)] == []


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)
