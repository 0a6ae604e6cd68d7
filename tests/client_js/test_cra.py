"""WAMP-CRA of the client against a real server, in Chromium."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.browser import Browser
from tests.support.client_pages import ClientPages
from tests.support.daemon import Daemon, running_daemon
from tests.support.delay import DelayingProxy
from tests.support.waiting import PATIENCE, eventually
from wampush.wamp.cra import Salting, derive

CONFIG = """
[auth]
order = ["cra"]
[cra]
keys_file = "keys.toml"
[clients]
publish = "always"
[[topics]]
match = "kept.*"
history = 100
"""
KEYS = f"""
[keys.alice]
secret = "a long random text"
user = "7"

[keys.bob]
derived = "{derive("pässword", Salting("SALT99", 1000, 32))}"
salt = "SALT99"
iterations = 1000
keylen = 32
user = "8"
"""


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon on which clients can do nothing before they have authenticated."""
    folder = tmp_path_factory.mktemp("daemon")
    (folder / "wampush.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "keys.toml").write_text(KEYS, encoding="utf-8")
    (folder / "keys.toml").chmod(0o600)
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as running:
        yield running


def run(page: Page, code: str, **names: Any) -> Any:
    """Run the body of an async function in a page, with names for values."""
    keys = ", ".join(names)
    return page.evaluate(f"async ({{ {keys} }}) => {{ {code} }}", names)


#: What pages with AutobahnJS do.
LOGIN = """
const login = (key, secret) => new Promise((resolve, reject) => {
  const session = new ab.Session(url, () => {
    session.authreq(key).then((challenge) => {
      const derived = ab.deriveKey(secret, JSON.parse(challenge).authextra);
      return session.auth(session.authsign(challenge, derived));
    }).then(() => resolve(session), reject);
  });
});
"""


@pytest.mark.parametrize("scripts", [("wampush.js", "wampush-cra.js"), ("wampush-full.js",)])
def test_pages_of_autobahn_js_log_in(
    browser: Browser, client_site: ClientPages, shared_daemon: Daemon, scripts: tuple[str, ...]
) -> None:
    page = browser.open(client_site.page(*scripts))
    for key, secret, user in (("alice", "a long random text", "7"), ("bob", "pässword", "8")):
        session = run(
            page,
            LOGIN + "const session = await login(key, secret);"
            "const found = await session.call('wampush.session'); session.close(); return found;",
            url=shared_daemon.websocket_url,
            key=key,
            secret=secret,
        )
        assert session["user"] == user
    for key in ("bob", "nobody"):
        error = run(
            page,
            LOGIN + "return login(key, 'wrong').catch((error) => [error.uri, error.desc]);",
            url=shared_daemon.websocket_url,
            key=key,
        )
        assert error[0] == "http://api.wamp.ws/error#invalid-signature"
    assert page.evaluate("violations") == []


OLD_PAGE = """
window.got = [];
window.lost = [];
window.logins = 0;
addEventListener("wampush:state-lost", (event) => lost.push(event.detail.topic));
const session = new ab.Session(url, () => {
  session.authreq("alice").then((challenge) => {
    session.auth(session.authsign(challenge, "a long random text")).then(() => {
      session.subscribe("kept.a", (topic, event) => got.push(event));
      session.call("wampush.time").then(() => { logins += 1; });
    });
  });
}, () => got.push("closed"));
"""


def test_an_old_page_logs_in_again_and_misses_nothing(
    browser: Browser, client_site: ClientPages, shared_daemon: Daemon
) -> None:
    def publish(event: int) -> None:
        url = f"{shared_daemon.http_url}/publish/kept.a"
        urllib.request.urlopen(url, data=str(event).encode(), timeout=PATIENCE).close()

    with DelayingProxy(shared_daemon.websocket_port, 0).running() as proxy:
        page = browser.open(client_site.page("wampush-full.js"))
        run(page, OLD_PAGE, url=f"ws://127.0.0.1:{proxy.port}/")
        page.wait_for_function("() => logins === 1")
        publish(1)
        page.wait_for_function("() => got.length === 1")
        for count in (2, 3):
            proxy.cut()
            eventually(shared_daemon.counts, lambda counts: counts[0] == 0)
            publish(count)
            page.wait_for_function("count => logins === count", arg=count)
            assert page.evaluate("[got, lost]") == [list(range(1, count + 1)), []]


CLIENT = """
window.got = [];
window.c = new Wampush(url, Object.assign({
  longest: 10, authenticate: (session) => WampushCra.authenticate(session, "bob", secret),
}, tabs ? { connect: WampushTabs.sharedConnection } : {}));
c.onError((error) => got.push(error.uri));
c.onMessage("kept.a", (event) => got.push(event));
"""


@pytest.mark.parametrize("tabs", [False, True])
def test_each_session_authenticates_before_it_subscribes(
    browser: Browser, client_site: ClientPages, shared_daemon: Daemon, tabs: bool
) -> None:
    with DelayingProxy(shared_daemon.websocket_port, 0).running() as proxy:
        page = browser.open(client_site.page())
        url = f"ws://127.0.0.1:{proxy.port}/"
        run(page, CLIENT, url=url, secret="pässword", tabs=tabs)
        assert run(page, "return (await c.call('wampush.session')).user;") == "8"
        run(page, "c.publish('kept.a', 1, { excludeMe: false }); await c.call('wampush.time');")
        before = run(page, "return c.sessionId;")
        proxy.cut()
        page.wait_for_function("before => c.connected && c.sessionId !== before", arg=before)
        assert run(page, "return (await c.call('wampush.session')).user;") == "8"
        run(page, "c.publish('kept.a', 2, { excludeMe: false }); await c.call('wampush.time');")
        assert run(page, "c.close(); return got;") == [1, 2]


def test_a_wrong_secret_is_reported(
    browser: Browser, client_site: ClientPages, shared_daemon: Daemon
) -> None:
    page = browser.open(client_site.page())
    run(page, CLIENT, url=shared_daemon.websocket_url, secret="wrong", tabs=False)
    page.wait_for_function("() => got.length")
    assert run(page, "c.close(); return [got[0], c.sessionId];") == [
        "http://api.wamp.ws/error#invalid-signature",
        None,
    ]
