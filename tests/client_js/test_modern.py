"""The class Wampush: events, actions, calls, values, iterators and tokens, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.client_js.short_tokens import SESSION_OF_LONG_TOKEN, ShortTokens
from tests.support.browser import Browser
from tests.support.client_pages import ClientPages
from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient
from tests.support.tokens import KEY

APP = """
import asyncio

from wampush.apps import ActionError, App, Context

app = App()


@app.action("echo")
def echo(ctx: Context, details: object) -> object:
    return details


@app.action("refused")
def refused(ctx: Context, details: object) -> object:
    raise ActionError(403, "log in first")


@app.procedure("cart.add")
def add(ctx: Context, article: object) -> object:
    return {"user": ctx.session.user, "article": article}


@app.procedure("slow", asyncio=True)
async def slow(ctx: Context) -> object:
    await asyncio.Event().wait()
"""

CONFIG = """
apps = ["app:app"]
[auth]
order = ["token", "anonymous"]
[token]
key_file = "token.key"
leeway = 0
[clients]
publish = "always"
[limits]
messages_per_second = 100000
message_burst = 100000
messages_per_second_per_address = 100000
[[topics]]
match = "kept.*"
history = 1000
"""


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with an app, tokens and topics that keep events."""
    folder: Path = tmp_path_factory.mktemp("daemon")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    (folder / "token.key").write_text(KEY, encoding="utf-8")
    (folder / "wampush.toml").write_text(CONFIG, encoding="utf-8")
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as running:
        yield running


#: What an iterator returns after its end.
END = {"value": None, "done": True}
OVERFLOW = (
    "StreamOverflow: More than 2 events of kept.loop wait for the loop that reads them; take them"
    " faster, or raise the option limit"
)


class Client:
    """A page whose variable ``c`` is a client."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._url = url

    def connect(self, options: str = "{}", query: str = "") -> None:
        """Make the client; ``got`` is where tests put what arrives."""
        self.run(
            f"window.got = []; window.c = new Wampush(url + query, {options});"
            "window.c.onError((error) => got.push(['error', error.desc || String(error)]));",
            query=query,
        )

    def run(self, code: str, **names: Any) -> Any:
        """Run the body of an async function in the page, with names for values."""
        names["url"] = self._url
        keys = ", ".join(names)
        return self._page.evaluate(f"async ({{ {keys} }}) => {{ {code} }}", names)

    def settled(self) -> Any:
        """What has arrived once the server has done all that the page has asked for."""
        return self.run("await c.call('wampush.time'); return got.splice(0);")


@pytest.fixture
def page(browser: Browser, client_site: ClientPages) -> Page:
    """A page with the client."""
    return browser.open(client_site.page("wampush.js", "wampush-modern.js"))


@pytest.fixture
def client(page: Page, shared_daemon: Daemon) -> Iterator[Client]:
    """A client in a page; the page's policy was kept."""
    client = Client(page, shared_daemon.websocket_url)
    yield client
    client.run("if (window.c) { c.close(); }")
    assert client.run("return violations;") == []


def test_an_action_is_answered_with_details_or_an_error(client: Client) -> None:
    client.connect()
    client.run(
        "c.on('echo', (...all) => got.push(['success', ...all]), (...all) => got.push(['no', all]))"
        " .on('refused', null, (code, text) => got.push([code, text]));"
        "for (const details of [{ a: 1 }, [1, [2]], 'text', 0, false, null, []]) {"
        "  c.send('echo', details); }"
        "c.send('echo').send('refused', 1);"
    )
    # Nothing is sent back for null.
    assert client.settled() == [
        ["success", {"a": 1}],
        ["success", 1, [2]],
        ["success", "text"],
        ["success", 0],
        ["success", False],
        ["success"],
        [403, "log in first"],
    ]


def test_once_is_once_whether_it_succeeds_or_fails_and_off_takes_handlers_off(
    client: Client,
) -> None:
    client.connect()
    client.run(
        "window.handler = (value) => got.push(['handler', value]);"
        "c.once('echo', (value) => got.push(['once', value]), () => got.push('never'));"
        "c.once('refused', () => got.push('never'), (code) => got.push(['once', code]));"
        "c.on('echo', handler, () => got.push('never')).on('echo', (v) => got.push(['other', v]));"
        "c.send('echo', 1).send('refused').send('echo', 2).send('refused');"
    )
    assert client.settled() == [
        ["once", 1],
        ["handler", 1],
        ["other", 1],
        ["once", 403],
        ["handler", 2],
        ["other", 2],
    ]
    client.run("c.off('echo', handler).send('echo', 3);")
    assert client.settled() == [["other", 3]]
    client.run("c.off('echo').off('unknown').send('echo', 4);")
    assert client.settled() == []


def test_what_a_handler_throws_keeps_no_other_from_being_called(
    client: Client, browser: Browser
) -> None:
    client.connect()
    client.run(
        "c.on('echo', () => { throw new Error('of the page'); });"
        "c.on('echo', (value) => got.push(value)); c.send('echo', 1);"
    )
    assert client.settled() == [1]
    client.run("await new Promise((resolve) => setTimeout(resolve));")
    assert browser.errors == ["of the page"]
    browser.errors.clear()


def test_calls_have_results_errors_timeouts_and_can_be_aborted(client: Client) -> None:
    client.connect()
    failure = (
        "const failed = (call) => call.then(() => 'no error', (error) =>"
        " [error instanceof Error, error.uri.split('#')[1], error.desc, error.detail]);"
    )
    assert client.run("return c.call('cart.add', ['apple']);") == {"user": None, "article": "apple"}
    assert client.run(
        failure + "const controller = new AbortController();"
        "const all = [failed(c.call('unknown')),"
        "  failed(c.call('slow', [], { timeout: 1 })),"
        "  failed(c.call('slow', [], { signal: controller.signal }))];"
        "controller.abort();"
        "all.push(failed(c.call('cart.add', ['x'], { signal: controller.signal })));"
        "return Promise.all(all);"
    ) == [
        [True, "NoSuchRPCEndpoint", "no procedure is registered under 'unknown'", None],
        [True, "timeout", "No answer within 1 ms.", None],
        [True, "aborted", "The call was aborted.", None],
        [True, "aborted", "The call was aborted.", None],
    ]
    assert (
        client.run("return c.call('cart.add', 'apple').catch((error) => String(error));")
        == "TypeError: the arguments of cart.add must be an array"
    )


def test_what_is_asked_for_before_the_connection_is_open_waits_for_it(client: Client) -> None:
    client.connect("{ timeout: 20000 }")
    assert client.run("return c.state;") in ("connecting", "open")
    client.run(
        "c.close(); got.length = 0; window.c = new Wampush(url);"
        "c.on('echo', (value) => got.push(value)); c.send('echo', 1).send('echo', 2);"
        "const result = await c.call('cart.add', ['pear']); got.push(result.article);"
    )
    assert client.settled() == [1, 2, "pear"]


def test_without_a_server_calls_expire_and_what_waits_is_bounded_and_reported(
    client: Client,
) -> None:
    client.run(
        "window.got = [];"
        "window.c = new Wampush('ws://127.0.0.1:1/', { queue: 2 });"
        "c.onError((error) => got.push(error.message));"
        "c.onConnectionChange((state, info) => got.push([state, info && info.isFinal]));"
        "c.send('a', 1).send('b', 2);"
        "try { c.send('c', 3); } catch (error) { got.push(error.message); }"
        "const controller = new AbortController();"
        "const waits = [c.call('x', [], { timeout: 1 }),"
        "  c.call('x', [], { signal: controller.signal }), c.call('x')];"
        "controller.abort();"
        "const note = ({ uri }) => got.push(uri.split('#')[1]);"
        "const failed = waits.map((each) => each.catch(note));"
        "await failed[0];"
        "while (c.state !== 'waiting') { await new Promise((resolve) => setTimeout(resolve, 5)); }"
        "c.close();"
        "await Promise.all(failed);"
        "try { c.send('d', 4); } catch (error) { got.push(error.message); }"
    )
    found = client.run("return got;")
    assert sorted(map(str, found)) == sorted(
        map(
            str,
            [
                "c was not sent: 2 messages wait for a connection",
                "aborted",
                "timeout",
                ["waiting", False],
                "2 messages were not sent: the connection is closed",
                ["closed", True],
                "connection-lost",
                "d was not sent: the connection is closed",
            ],
        )
    )


def test_on_message_gets_events_as_they_are(client: Client, shared_daemon: Daemon) -> None:
    client.connect()
    client.run("window.stop = c.onMessage('kept.news', (event) => got.push(event));")
    client.settled()
    with RawClient(shared_daemon.websocket_port) as other:
        for event in ([1, 2], None, {"a": [True]}):
            other.send(7, "kept.news", event)
        other.send(2, "1", "wampush.time")
        other.receive()
        assert client.settled() == [[1, 2], None, {"a": [True]}]
        client.run("stop();")
        other.send(7, "kept.news", 4)
        other.send(2, "2", "wampush.time")
        other.receive()
    assert client.settled() == []


def test_arguments_that_cannot_be_are_refused(client: Client) -> None:
    client.connect()
    assert client.run(
        "const found = [];"
        "for (const act of [() => c.on('x'), () => c.onMessage('x', 1), () => c.onStateChange('x'),"
        "    () => c.send(''), () => c.send(7), () => c.onError(null)]) {"
        "  try { act(); } catch (error) { found.push(`${error.name}: ${error.message}`); } }"
        "return found;"
    ) == [
        "TypeError: x needs a function for its details, or one for its errors",
        "TypeError: onMessage(x) needs a function, not number",
        "TypeError: onStateChange(x) needs a function, not undefined",
        "TypeError: send needs the name of an action, or {handler, module, data}",
        "TypeError: send needs the name of an action, or {handler, module, data}",
        "TypeError: a listener needs a function, not null",
    ]


def test_a_loop_over_a_topic_takes_all_events_and_unsubscribes_at_its_end(
    client: Client, shared_daemon: Daemon
) -> None:
    client.connect()
    client.run(
        "window.loop = (async () => { for await (const event of c.events('kept.loop')) {"
        "  got.push(event); if (event === 3) { break; } } got.push('end'); })();"
        "window.stream = c.events('kept.loop'); window.control = new AbortController();"
        "window.aborted = c.events('kept.loop', { signal: control.signal });"
        "window.waiting = Promise.all([aborted.next(), aborted.next()]);"
        "window.small = c.events('kept.loop', { limit: 2 });"
        "await c.call('wampush.time');"
        "for (const event of [1, 2, 3, 4]) { c.publish('kept.loop', event, { excludeMe: false }); }"
        "await loop;"
    )
    assert client.settled() == [1, 2, 3, "end"]
    assert client.run("control.abort(); return waiting;") == [
        {"value": 1, "done": False},
        {"value": 2, "done": False},
    ]
    assert client.run(
        "const found = []; for (let taken = 0; taken < 4; taken += 1) {"
        "  found.push((await stream.next()).value); }"
        "found.push(await stream.return(7), await stream.next()); return found;"
    ) == [1, 2, 3, 4, {"value": 7, "done": True}, END]
    assert client.run(
        "return [await small.next(), await small.next(),"
        " await small.next().catch((error) => `${error.name}: ${error.message}`),"
        " await small.next()];"
    ) == [
        {"value": 1, "done": False},
        {"value": 2, "done": False},
        OVERFLOW,
        END,
    ]
    client.run("await c.call('wampush.time');")
    assert shared_daemon.health()["topics"] == 0


def test_a_loop_ends_with_its_client(client: Client) -> None:
    client.connect()
    assert (
        client.run(
            "await c.call('wampush.time'); const next = c.events('kept.end').next();"
            "c.close(); return next;"
        )
        == END
    )


def test_values_are_pushed_at_once_and_on_change_only(
    client: Client, shared_daemon: Daemon
) -> None:
    client.connect("{ states: { price: 'kept.price' } }")
    client.run(
        "window.numbers = (value) => got.push(['num_clients', value]);"
        "c.onStateChange('num_clients', numbers);"
        "c.onStateChange('price', (value) => got.push(['price', value]));"
    )
    client.settled()
    client.run("while (!c.values.num_clients) { await new Promise((r) => setTimeout(r, 5)); }")
    client.run(
        "got.length = 0; c.onStateChange('num_clients', (value) => got.push(['later', value]));"
    )
    assert client.settled() == [["later", 1]]
    client.run(
        "for (const price of [{ a: 1 }, { a: 1 }, { a: 2 }]) {"
        "  c.publish('kept.price', price, { excludeMe: false }); }"
    )
    assert client.settled() == [["price", {"a": 1}], ["price", {"a": 2}]]
    client.run("window.stopAll = c.onStateChange((change) => got.push(change));")
    client.settled()
    with RawClient(shared_daemon.websocket_port):
        client.run(
            "while (c.values.num_online !== 0 || c.values.num_clients !== 2) {"
            " await new Promise((r) => setTimeout(r, 5)); }"
        )
        found = client.settled()
    assert ["later", 2] in found
    assert {
        "changes": ["num_clients"],
        "original": {"num_clients": 1, "num_online": 0, "price": {"a": 2}},
        "value": {"num_clients": 2, "num_online": 0, "price": {"a": 2}},
    } in found


def test_a_session_is_extended_with_a_fresh_token_before_it_expires(
    client: Client, page: Page
) -> None:
    short_tokens = ShortTokens(page)
    client.connect("{ token: freshToken }", "?a=b")
    first = client.run("return c.call('wampush.session');")
    short_tokens.end()
    last = client.run(SESSION_OF_LONG_TOKEN)
    assert (last["session"], last["user"]) == (first["session"], "7")
    # One for the URL, and others for the extensions.
    assert short_tokens.asked >= 2


def test_tokens_that_fail_are_reported_and_asked_for_again(client: Client) -> None:
    client.run("window.fail = true;")
    client.connect(
        "{ longest: 10, token: async () => {"
        "  if (fail) { fail = false; throw new Error('no token today'); } return null; } }"
    )
    # Without a token the visitor is anonymous.
    assert client.run("return (await c.call('wampush.session')).user;") is None


def test_memory_stays_flat(client: Client, page: Page) -> None:
    client.connect()
    session = page.context.new_cdp_session(page)
    client.run(
        "window.cycle = async (times) => { for (let turn = 0; turn < times; turn += 1) {"
        "  const name = `kept.cycle.${turn}`; const handler = () => {};"
        "  c.on(name, handler, handler).off(name, handler, handler);"
        "  c.onMessage(name, handler)(); c.onStateChange(name, handler)();"
        "  await c.events(name).return(); if (turn % 200 === 0) { await c.call('wampush.time'); } }"
        " await c.call('wampush.time'); };"
        "await cycle(200);"
    )

    def used() -> float:
        session.send("HeapProfiler.collectGarbage")
        return float(session.send("Runtime.getHeapUsage")["usedSize"])

    before = used()
    client.run("await cycle(2000);")
    # 10,000 subscriptions. One that stays costs 200 bytes or more.
    assert used() - before < 200_000
