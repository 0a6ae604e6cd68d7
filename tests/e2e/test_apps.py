"""The guides to apps and actions are followed in a real browser, and apps run in the daemon."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import ROOT, blocks_in
from tests.support.pages import PageServer
from tests.support.raw_client import RawClient
from tests.support.tokens import KEY, token
from tests.support.waiting import PATIENCE, eventually
from wampush.cli import main
from wampush.wamp.cra import Salting, derive

APPS = "docs/howto/write-an-app.md"
ACTIONS = "docs/howto/actions.md"
IDENTITY = "docs/howto/identity.md"
ERROR = "http://api.wamp.ws/error#"
#: Fewer than in the guide: the browser takes its time.
ITERATIONS = 50
TOKENS = '[auth]\norder = ["token", "anonymous"]\n[token]\nkey_file = "token.key"\n'


def module(folder: Path, guide: str, words: str) -> str:
    """Write the one block of a guide with these words as a module; return the app's name."""
    (code,) = (block for block in blocks_in(guide, "python") if words in block)
    name = re.sub(r"\W+", "_", words).strip("_")
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    return f"{name}:app"


@contextmanager
def serving(
    folder: Path, apps: list[str], more: str = "", *, traceback_expected: bool = False
) -> Iterator[Daemon]:
    """A daemon with apps, beside its configuration file."""
    (folder / "token.key").write_text(KEY, encoding="utf-8")
    path = folder / "wampush.toml"
    path.write_text(f"apps = {apps}\n{more}".replace("'", '"'), encoding="utf-8")
    with running_daemon(
        folder, extra=["--config", str(path)], traceback_expected=traceback_expected
    ) as daemon:
        yield daemon


@pytest.fixture
def page(browser: Browser, pages: PageServer) -> Page:
    """A page that can open sessions and call; AutobahnJS is loaded."""
    opened = browser.open(f"{pages.url}/plain.html")
    opened.evaluate(
        """() => {
            window.called = (name, uri, ...args) => new Promise(resolve =>
                sessions[name].call(uri, ...args).then(
                    result => resolve({result}),
                    error => resolve({uri: error.uri, desc: error.desc, detail: error.detail})));
        }"""
    )
    return opened


def open_session(page: Page, name: str, daemon: Daemon, query: str = "") -> None:
    url = f"{daemon.websocket_url}/{query}"
    page.evaluate("([name, url]) => openSession(name, url)", [name, url])


def called(page: Page, name: str, uri: str, *arguments: Any) -> Any:
    return page.evaluate("a => called(...a)", [name, uri, *arguments])


def subscribe(page: Page, name: str, topic: str) -> None:
    """Subscribe with the session's own listener, and wait until the server has done it."""
    page.evaluate("([n, t]) => sessions[n].subscribe(t, sessions[n].listener)", [name, topic])
    page.evaluate("name => settled(name)", name)


def with_code(page: Page, code: str, expression: str, argument: Any = None) -> Any:
    """Evaluate with functions of a guide in the page."""
    page.evaluate("code => { (0, eval)(code); }", code)
    return page.evaluate(expression, argument)


# The guide to apps.


def test_the_first_procedure_and_its_page(tmp_path: Path, page: Page) -> None:
    name = module(tmp_path, APPS, 'procedure("shop.add")').replace("procedure_shop_add", "shop")
    (tmp_path / "procedure_shop_add.py").rename(tmp_path / "shop.py")
    (settings, _) = blocks_in(APPS, "toml")
    assert settings == f'apps = ["{name}"]\n'
    with serving(tmp_path, [name]) as daemon:
        open_session(page, "A", daemon)
        (code,) = blocks_in(APPS, "js")
        found = with_code(page, code, "() => new Promise(resolve => sum(sessions.A, resolve))")
        assert found == 5
        answer = called(page, "A", "shop.add", 1)
        assert answer["uri"] == f"{ERROR}invalid-argument"
        assert answer["desc"] == "shop.add: expected 2 arguments (a, b), got 1"


def test_the_test_of_the_guide_passes(tmp_path: Path) -> None:
    module(tmp_path, APPS, 'procedure("shop.add")')
    (tmp_path / "procedure_shop_add.py").rename(tmp_path / "shop.py")
    module(tmp_path, APPS, "def test_add")
    done = subprocess.run(
        [sys.executable, "-c", "import def_test_add; def_test_add.test_add()"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0


def test_errors_functions_that_take_time_and_what_they_can_do(tmp_path: Path, page: Page) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE articles (number INTEGER, name TEXT)")
        database.execute("INSERT INTO articles VALUES (7, 'book')")
    words = ['"shop.order"', '"shop.soon"', '"shop.article"', '"shop.tell"']
    apps = [module(tmp_path, APPS, each) for each in words]
    with serving(tmp_path, apps, TOKENS) as daemon:
        open_session(page, "A", daemon, f"?token={token('7')}")
        open_session(page, "B", daemon)
        for name, topic in (
            ("B", "shop.looked-at"),
            ("A", "shop.news"),
            ("B", "shop.news"),
            ("A", "shop.receipt"),
        ):
            subscribe(page, name, topic)
        assert called(page, "A", "shop.order", "book", 1) == {"result": {"left": 2}}
        assert called(page, "A", "shop.order", "book", 5) == {
            "uri": "http://example.com/error#stock",
            "desc": "only 2 are left",
            "detail": {"left": 2},
        }
        assert called(page, "A", "shop.order", 5, 5)["uri"] == "http://example.com/error#order"
        assert called(page, "A", "shop.soon") == {"result": "now"}
        assert called(page, "A", "shop.article", 7) == {"result": ["book"]}
        assert page.evaluate("taken('B')") == [["shop.looked-at", {"number": 7}]]
        assert called(page, "A", "shop.tell", "to me") == {"result": 1}
        topic, receipt = page.evaluate("taken('A')")[0]
        assert (topic, receipt["text"]) == ("shop.receipt", "to me")
        assert called(page, "B", "shop.tell", "to all") == {"result": 2}
        assert page.evaluate("taken('B')") == [["shop.news", "to all"]]
        daemon.wait_for_line("7 from 127.0.0.1 said something")


def handshake(daemon: Daemon, **headers: str) -> tuple[int, str]:
    """Status and body of a handshake."""
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "wamp",
    }
    with contextlib.closing(
        HTTPConnection("127.0.0.1", daemon.websocket_port, PATIENCE)
    ) as connection:
        connection.request("GET", "/", headers={**upgrade, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_deciding_what_clients_may_do(tmp_path: Path, page: Page) -> None:
    app = module(tmp_path, APPS, "@app.on_connect")
    more = '[clients]\npublish = "always"\n[proxy]\ntrusted = ["127.0.0.1"]\n'
    with serving(tmp_path, [app], more) as daemon:
        status, body = handshake(daemon, **{"X-Forwarded-For": "192.0.2.66"})
        assert status == 403
        assert "banned" in body
        open_session(page, "A", daemon, "?room=garden")
        open_session(page, "B", daemon, "?room=cellar")
        for name in "AB":
            for topic in ("chat.room", "chat.garden"):
                subscribe(page, name, topic)
        page.evaluate("sessions.B.publish('chat.garden', 'hello', false)")
        page.evaluate("sessions.B.publish('chat.garden', 5, false)")
        page.evaluate("settled('B')")
        assert page.evaluate("taken('A')") == [
            ["chat.garden", {"text": "hello", "from": "somebody"}]
        ]
        assert page.evaluate("taken('B')") == []
        # B asked for two topics of rooms that are not its own.
        assert daemon.health()["refusals"] == {"application-refused": 4}


def test_what_is_sent_before_welcome_comes_after_it(tmp_path: Path) -> None:
    app = module(tmp_path, APPS, "@app.on_connect")
    with (
        serving(tmp_path, [app]) as daemon,
        RawClient(daemon.websocket_port, path="/?room=garden") as client,
    ):
        assert client.receive() == [8, "chat.room", "garden"]


def test_hearing_who_comes_and_goes(tmp_path: Path) -> None:
    app = module(tmp_path, APPS, "@app.on_authenticated")
    with serving(tmp_path, [app], TOKENS) as daemon:
        port = daemon.websocket_port
        with RawClient(port) as other:
            other.subscribe("shop.left")
            with RawClient(port, path=f"/?token={token('7')}") as client:
                assert client.receive() == [8, "shop.welcome", {"user": "7"}]
            assert other.receive() == [8, "shop.left", {"user": "7", "why": "peer-lost"}]


# The guide to actions.


def test_actions_of_a_page(tmp_path: Path, page: Page) -> None:
    app = module(tmp_path, ACTIONS, '"Cart/add"')
    (code,) = (each for each in blocks_in(ACTIONS, "js") if "addToCart(" in each)
    with serving(tmp_path, [app], TOKENS) as daemon:
        for name, query in (
            ("A", f"?token={token('7')}"),
            ("A2", f"?token={token('7')}"),
            ("B", ""),
        ):
            open_session(page, name, daemon, query)
        page.evaluate("sessions.A2.subscribe('Cart/changed', sessions.A2.listener)")
        page.evaluate("sessions.A2.subscribe('Cart/add', sessions.A2.listener)")
        page.evaluate("settled('A2')")
        send = """([name, article]) => new Promise(resolve => addToCart(
            sessions[name], article, resolve, (code, text) => resolve([code, text])))"""
        assert with_code(page, code, send, ["A", "book"]) == ["book"]
        assert page.evaluate(send, ["B", "book"]) == [401, "log in first"]
        assert page.evaluate("settled('A2')") is not None
        assert page.evaluate("taken('A2')") == [["Cart/changed", 1]]
        (shorter,) = (each for each in blocks_in(ACTIONS, "js") if "addToCartShortly(" in each)
        page.add_script_tag(path=ROOT / "static" / "wampush.js")
        page.add_script_tag(path=ROOT / "static" / "wampush-modern.js")
        send = """([url, article]) => new Promise(resolve => addToCartShortly(
            new Wampush(url), article, resolve, (code, text) => resolve([code, text])))"""
        url = f"{daemon.websocket_url}/"
        articles = with_code(page, shorter, send, [f"{url}?token={token('7')}", "pen"])
        assert articles == ["book", "pen"]
        assert page.evaluate(send, [url, "pen"]) == [401, "log in first"]


def test_the_actions_of_the_server(tmp_path: Path) -> None:
    app = module(tmp_path, ACTIONS, "Client/authentication")
    with serving(tmp_path, [app], TOKENS) as daemon:
        with RawClient(daemon.websocket_port, path=f"/?token={token('7')}") as client:
            answer = {"user": "7", "language": None}
            assert client.receive() == [8, "Client/authentication", answer]
            client.send(7, "Client/disconnection", None)
            client.subscribe("anything")
            assert "has left" not in daemon.log
            assert daemon.health()["refusals"] == {"client-topic-reserved": 1}
        daemon.wait_for_line("7 has left")


# Keys from an app.


def test_keys_from_an_app(tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE users (id INTEGER, name TEXT, derived TEXT, salt TEXT)")
        salt = "a1b2c3d4e5f60718"
        derived = derive("what ann types", Salting(salt, ITERATIONS, 32))
        database.execute("INSERT INTO users VALUES (7, 'ann', ?, ?)", (derived, salt))
    monkeypatch.setenv("DECOY_SEED", "a seed for this test")
    app = module(tmp_path, IDENTITY, "@app.cra_key")
    path = tmp_path / f"{app.removesuffix(':app')}.py"
    code = path.read_text(encoding="utf-8")
    assert code.count("10_000") == 2
    path.write_text(code.replace("10_000", str(ITERATIONS)), encoding="utf-8")
    (code,) = (block for block in blocks_in(IDENTITY, "js") if "authreq" in block)
    log_in = """([name, key, secret]) => new Promise(resolve => login(
        sessions[name], key, secret, resolve, error => resolve(error.uri)))"""
    with serving(tmp_path, [app], "[auth]\norder = ['cra']\n") as daemon:
        for name in "ABC":
            open_session(page, name, daemon)
        assert with_code(page, code, log_in, ["A", "ann", "what ann types"]).keys() == {
            "pubsub",
            "rpc",
        }
        assert called(page, "A", "wampush.session")["result"]["user"] == "7"
        wrong = f"{ERROR}invalid-signature"
        assert page.evaluate(log_in, ["B", "ann", "something else"]) == wrong
        assert page.evaluate(log_in, ["C", "nobody", "what ann types"]) == wrong
        assert called(page, "C", "wampush.session")["uri"] == f"{ERROR}not-authenticated"


# What no guide shows.

FAILING = """
import time
from twisted.internet.defer import Deferred
from wampush.apps import App, WampError
app = App()

@app.procedure("fail")
def fail(ctx):
    raise ValueError("a secret of the app")

@app.procedure("exit")
def leave(ctx):
    raise SystemExit(1)

@app.procedure("never", timeout=0.2)
def never(ctx):
    return Deferred()

@app.procedure("block", threaded=True)
def block(ctx):
    time.sleep(0.5)
    return ctx.session.id

@app.procedure("out")
async def out(ctx):
    raise WampError("x:y", "enough", {"n": 1}, end_session=True)
"""


def test_errors_in_the_daemon(tmp_path: Path, page: Page) -> None:
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    with serving(tmp_path, ["failing:app"], traceback_expected=True) as daemon:
        open_session(page, "A", daemon)
        open_session(page, "B", daemon)
        numbers: list[str] = []
        for name in ("fail", "exit"):
            error = called(page, "A", name)
            assert error["uri"] == f"{ERROR}internal"
            number = re.fullmatch(r"internal error, incident ([0-9a-f]{8})", error["desc"])
            assert number is not None
            numbers.append(number[1])
        daemon.wait_for_log(lambda log: all(f"incident {each}: " in log for each in numbers))
        daemon.wait_for_line("ValueError: a secret of the app")
        assert called(page, "A", "never")["uri"] == f"{ERROR}timeout"
        # A thread that blocks holds nobody up: the quick answer is there first.
        order = page.evaluate(
            """() => new Promise(resolve => {
                var order = [];
                sessions.A.call('block').then(() => { order.push('slow'); resolve(order); });
                sessions.B.call('wampush.time').then(() => order.push('quick'));
            })"""
        )
        assert order == ["quick", "slow"]
        assert called(page, "B", "out") == {"uri": "x:y", "desc": "enough", "detail": {"n": 1}}
        eventually(daemon.counts, lambda counts: counts[0] == 1)
        assert called(page, "A", "wampush.time")["result"] > 1_600_000_000


def test_handlers_may_go_on_until_the_daemon_has_ended(tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text(
        "from twisted.internet import reactor\n"
        "from twisted.internet.task import deferLater\n"
        "from wampush.apps import App\n"
        "app = App()\n"
        "@app.on_disconnect\n"
        "async def gone(ctx, reason):\n"
        "    await deferLater(reactor, 0.3)\n"
        "    ctx.log.info('dealt with {reason}', reason=reason)\n"
        "@app.procedure('block', threaded=True)\n"
        "def block(ctx):\n"
        "    ctx.session.send('begun', True)\n"
        "    import time\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    with serving(tmp_path, ["leaving:app"]) as daemon, RawClient(daemon.websocket_port) as client:
        client.send(2, "id", "block")
        assert client.receive() == [8, "begun", True]
    # It did not wait for the thread, but for the handler.
    assert "dealt with peer-lost" in daemon.log


def test_what_stops_the_start_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1/0", encoding="utf-8")
    (tmp_path / "wampush.toml").write_text('apps = ["broken:app"]\n', encoding="utf-8")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("twistd")),
            "-n",
            "--pidfile=",
            "wampush",
            "--config=wampush.toml",
            "--listen=tcp:0:interface=127.0.0.1",
            "--pull=tcp://127.0.0.1:*",
            "--http=off",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("wampush: ")]
    assert line.startswith('wampush: apps = "broken:app": ')
    assert "ZeroDivisionError: division by zero" in line
    assert "Traceback" not in done.stdout + done.stderr


def test_check_looks_for_the_modules_of_apps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text('apps = ["checked_shop:app"]\n', encoding="utf-8")
    before = list(sys.path)
    try:
        assert main(["check", "--config", str(path)]) == 1
        assert 'apps = "checked_shop:app": there is no module' in capfd.readouterr().err
        (tmp_path / "checked_shop.py").write_text("1/0\n", encoding="utf-8")
        assert main(["check", "--config", str(path)]) == 0
    finally:
        sys.path[:] = before
    output = capfd.readouterr().out
    assert re.search(rf'^apps +=  ?\["checked_shop:app"\] +# file {path}$', output, re.MULTILINE)
    assert re.search(r"^application\.timeout += 10\.0 +# default$", output, re.MULTILINE)
