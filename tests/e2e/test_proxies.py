"""Every reverse proxy of deploy/, as a real process: the seed's page, addresses, event streams."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq
from playwright.sync_api import Browser as Chromium

from tests.support.browser import new_user
from tests.support.certificates import Certificate, make_certificate
from tests.support.daemon import Daemon, running_daemon
from tests.support.pages import PageServer
from tests.support.proxies import DEPLOY, PROXIES, running_proxy
from tests.support.raw_client import RawClient
from tests.support.waiting import eventually

#: Another address of this machine, which proxy.trusted does not have.
CLIENT = "127.0.0.2"
FORGED = "203.0.113.66"

APP = """
from wampush.apps import App, ConnectContext

app = App()


@app.on_connect
def report(ctx: ConnectContext) -> None:
    headers = ctx.request.headers
    ctx.session.send(
        "arrived",
        {
            "address": ctx.session.address,
            "scheme": ctx.request.scheme,
            "host": headers.get("host"),
            "forwarded_for": headers.get("x-forwarded-for"),
            "forwarded": headers.get("forwarded"),
        },
    )
"""


@dataclass(frozen=True)
class Proxied:
    """A daemon behind a proxy.

    :param port: of the proxy, with TLS.
    """

    daemon: Daemon
    port: int
    certificate: Certificate

    @property
    def topic(self) -> str:
        """A topic that no client of another proxy has."""
        return f"category-{self.port}"

    def push(self, **fields: object) -> None:
        """Push to the topic as soon as it has a subscriber."""
        eventually(self.is_subscribed, bool)
        self.push_now(**fields)

    def is_subscribed(self) -> bool:
        """Whether the topic has a subscriber."""
        return self.topic in read(f"{self.daemon.http_url}/topics?prefix={self.topic}")

    def is_subscribed_after_push(self) -> bool:
        """Whether the topic has a subscriber after something has been sent to it.

        Apache notices that a client is gone when it writes; wampush sends something at every ping.
        """
        self.push_now(title="to nobody")
        return self.is_subscribed()

    def push_now(self, **fields: object) -> None:
        """Push to the topic, whether it has a subscriber or not."""
        with zmq.Context() as context, context.socket(zmq.PUSH) as backend:
            backend.connect(self.daemon.zmq_address)
            backend.send_json({"category": self.topic, **fields})

    def client(self, *headers: str) -> RawClient:
        """A client of another address than the proxy's."""
        return RawClient(self.port, tls=self.certificate.context(), source=CLIENT, headers=headers)


def read(url: str, tls: ssl.SSLContext | None = None) -> str:
    """What a server responds with."""
    with urllib.request.urlopen(url, timeout=20, context=tls) as response:
        return str(response.read().decode())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The daemon behind all proxies, with the settings of deploy/ and an app that reports."""
    folder = tmp_path_factory.mktemp("daemon")
    (folder / "arrivals.py").write_text(APP, encoding="utf-8")
    settings = folder / "wampush.toml"
    text = (DEPLOY / "wampush.toml").read_text(encoding="utf-8")
    settings.write_text(f'apps = ["arrivals:app"]\n{text}', encoding="utf-8")
    with running_daemon(folder, extra=["--config", str(settings)]) as running:
        yield running


@pytest.fixture(scope="module", params=PROXIES)
def proxied(
    request: pytest.FixtureRequest, daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxy")
    certificate = make_certificate(folder)
    with running_proxy(request.param, folder, daemon, certificate) as port:
        yield Proxied(daemon, port, certificate)


def test_the_seeds_page_gets_a_push(
    proxied: Proxied, shared_chromium: Chromium, pages: PageServer
) -> None:
    template = (Path(__file__).parent / "pages" / "seed.html").read_text(encoding="utf-8")
    direct, through = "ws://127.0.0.1:PORT", f"wss://127.0.0.1:{proxied.port}"
    assert direct in template
    text = template.replace(direct, through).replace("CATEGORY", proxied.topic)
    pages.files["/seed.html"] = text.encode()
    with new_user(shared_chromium, any_certificate=True) as browser:
        page = browser.open(f"{pages.url}/seed.html")
        proxied.push(title="Grüße", price=12.5)
        page.wait_for_function("document.getElementById('count').textContent === '1'")
        assert page.inner_text("#title") == "Grüße"
        assert page.inner_text("#price") == "12.5"
        assert page.inner_text("#state") == "open"
        assert browser.errors == []


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (f"X-Forwarded-For: {FORGED}",),
        (f"X-Forwarded-For: {FORGED}", f"x-forwarded-for: {FORGED}, 127.0.0.1"),
        (f"Forwarded: for={FORGED};proto=http", f"X-Real-IP: {FORGED}", "X-Forwarded-Proto: http"),
        # A header that Connection names is for the next hop only: it must not take that of the
        # proxy along.
        ("Connection: X-Forwarded-For, X-Forwarded-Proto", f"X-Forwarded-For: {FORGED}"),
    ],
    ids=["honest", "forged", "forged-twice", "other-headers", "hop-by-hop"],
)
def test_the_address_of_a_client_is_that_of_its_connection(
    proxied: Proxied, headers: tuple[str, ...]
) -> None:
    with proxied.client(*headers) as client:
        _, topic, seen = client.receive()
    assert topic == "arrived"
    assert seen["address"] == CLIENT
    assert seen["scheme"] == "wss"
    # Nothing that the client wrote is left, also for applications that read headers themselves.
    assert seen["forwarded_for"] == CLIENT
    assert seen["forwarded"] is None
    assert seen["host"].partition(":")[0] == "127.0.0.1"


def test_the_address_of_an_event_stream_is_that_of_its_connection(proxied: Proxied) -> None:
    # An ordinary request may take another way through a proxy than a WebSocket.
    connection = http.client.HTTPSConnection(
        "127.0.0.1",
        proxied.port,
        timeout=20,
        context=proxied.certificate.context(),
        source_address=(CLIENT, 0),
    )
    headers = {
        "X-Forwarded-For": FORGED,
        "Forwarded": f"for={FORGED}",
        "Connection": "keep-alive, X-Forwarded-For",
    }
    connection.request("GET", f"/events?topic={proxied.topic}", headers=headers)
    with contextlib.closing(connection), connection.getresponse() as stream:
        assert stream.status == 200
        line = next(line for line in stream if b'"session"' in line)
        session = json.loads(line.partition(b":")[2])["session"]
        listed = json.loads(read(f"{proxied.daemon.http_url}/sessions"))["sessions"]
        assert {each["session"]: each["address"] for each in listed}[session] == CLIENT
    eventually(proxied.is_subscribed_after_push, lambda subscribed: not subscribed)


def test_an_event_stream_is_not_held_back(proxied: Proxied) -> None:
    url = f"https://127.0.0.1:{proxied.port}/events?topic={proxied.topic}"
    with urllib.request.urlopen(url, timeout=20, context=proxied.certificate.context()) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        proxied.push(title="streamed")
        # urlopen gives what has arrived, line by line; a proxy that buffers would give nothing.
        event = next(line for line in stream if b"streamed" in line)
        assert json.loads(event.partition(b":")[2])["title"] == "streamed"
    eventually(proxied.is_subscribed_after_push, lambda subscribed: not subscribed)


def test_the_http_port_cannot_be_reached(proxied: Proxied) -> None:
    url = f"https://127.0.0.1:{proxied.port}/metrics"
    assert "wampush_sessions" in read(f"{proxied.daemon.http_url}/metrics")
    assert "wampush_sessions" not in read(url, proxied.certificate.context())
