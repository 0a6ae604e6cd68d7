"""What CleverStyle's WebSockets module does, done with wampush."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.support.browser import Browser
from tests.support.client_pages import ClientPages
from tests.support.daemon import Daemon, running_daemon
from tests.support.php import UNHURRIED, need_zmq, php_server
from tests.support.raw_client import RawClient
from tests.support.tokens import KEY, token
from tests.support.waiting import PATIENCE

SCRIPTS = Path(__file__).with_name("php")
ACTION = "Deferred_tasks/done"
ALL, REGISTERED, USERS, GROUP, SESSIONS = range(1, 6)


@dataclass(frozen=True)
class Clients:
    """Connected clients by name; 7 has two tabs."""

    by_name: dict[str, RawClient]

    def got(self) -> dict[str, list[object]]:
        """What each has got of the action until ``"end"`` came."""
        return {name: list(_until_end(client)) for name, client in self.by_name.items()}

    def session(self, name: str) -> str:
        """The session id of a client."""
        return str(self.by_name[name].welcome[1])


def _until_end(client: RawClient) -> Iterator[object]:
    while (event := client.receive()) != [8, ACTION, "end"]:
        assert event[:2] == [8, ACTION]
        yield event[2]


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that knows who its clients are by token, or not at all."""
    folder = tmp_path_factory.mktemp("daemon")
    (folder / "token.key").write_text(KEY, encoding="utf-8")
    (folder / "wampush.toml").write_text(
        '[auth]\norder = ["token", "anonymous"]\n[token]\nkey_file = "token.key"\n',
        encoding="utf-8",
    )
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as running:
        yield running


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    """One for all tests here; a start costs more than most of them."""
    return shared_daemon


@pytest.fixture
def clients(daemon: Daemon) -> Iterator[Clients]:
    """Two tabs of user 7, users 8 and 9 with groups, and a visitor; all listen for the action."""
    paths = {
        "7 here": f"/?token={token('7')}",
        "7 there": f"/?token={token('7')}",
        "8": f"/?token={token('8', '1', '3')}",
        "9": f"/?token={token('9', '3')}",
        "visitor": "/",
    }
    with contextlib.ExitStack() as stack:
        opened = {
            name: stack.enter_context(RawClient(daemon.websocket_port, path=path))
            for name, path in paths.items()
        }
        for client in opened.values():
            client.subscribe(ACTION)
        yield Clients(opened)


@pytest.fixture
def send_to_clients(daemon: Daemon, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Ask PHP's web server for a page that calls ``send_to_clients`` for each, and then for all."""
    need_zmq()
    with php_server(tmp_path, SCRIPTS) as web:
        query = urllib.parse.urlencode({"address": daemon.zmq_address})
        url = f"{web.url}/send_to_clients.php?{query}"

        def send(*sent: list[object]) -> None:
            body = json.dumps([*sent, [ACTION, "end", ALL]]).encode()
            with urllib.request.urlopen(url, body, timeout=PATIENCE) as response:
                assert response.read() == b"sent"

        yield send


def test_all_clients(send_to_clients: Callable[..., None], clients: Clients) -> None:
    send_to_clients([ACTION, {"task": 5, "by": "cron"}, ALL])
    assert clients.got() == {name: [{"task": 5, "by": "cron"}] for name in clients.by_name}


def test_registered_users(send_to_clients: Callable[..., None], clients: Clients) -> None:
    send_to_clients([ACTION, 1, REGISTERED])
    assert clients.got() == {"7 here": [1], "7 there": [1], "8": [1], "9": [1], "visitor": []}


def test_specific_users_in_every_open_tab(
    send_to_clients: Callable[..., None], clients: Clients
) -> None:
    send_to_clients(
        [ACTION, 1, USERS, 7],
        [ACTION, 2, USERS, [8, "9"]],
        [ACTION, 3, USERS, [12, 7]],
        [ACTION, 4, USERS, []],
    )
    assert clients.got() == {
        "7 here": [1, 3],
        "7 there": [1, 3],
        "8": [2],
        "9": [2],
        "visitor": [],
    }


def test_users_of_a_group(send_to_clients: Callable[..., None], clients: Clients) -> None:
    send_to_clients([ACTION, 1, GROUP, 3], [ACTION, 2, GROUP, [1, 4]], [ACTION, 3, GROUP, 5])
    assert clients.got() == {"7 here": [], "7 there": [], "8": [1, 2], "9": [1], "visitor": []}


def test_specific_sessions(send_to_clients: Callable[..., None], clients: Clients) -> None:
    one, two = clients.session("7 there"), clients.session("visitor")
    send_to_clients([ACTION, 1, SESSIONS, one], [ACTION, 2, SESSIONS, [two, one, "gone"]])
    assert clients.got() == {"7 here": [], "7 there": [1, 2], "8": [], "9": [], "visitor": [2]}


def test_an_error_reply_is_a_composed_code_and_text(
    send_to_clients: Callable[..., None], clients: Clients
) -> None:
    client = clients.by_name["9"]
    client.subscribe(f"{ACTION}:error")
    send_to_clients([f"{ACTION}:error", [404, "no such task"], USERS, 9])
    assert client.receive() == [8, f"{ACTION}:error", [404, "no such task"]]


# Actions of clients.

APP = """
from wampush.apps import ActionError, App, Context

app = App()


@app.action("Blogs/post")
def post(ctx: Context, details: object) -> object:
    session = ctx.session
    if session.user is None:
        raise ActionError(403, "log in first")
    session.send("Blogs/received", {"on": session.id})
    return {
        "details": details,
        "language": session.identity.language,
        "user": session.user,
        "session": session.identity.web_session,
        "connection": session.id,
        "address": session.address,
    }


@app.action("Blogs/quiet")
async def quiet(ctx: Context, details: object) -> None:
    ctx.publish("Blogs/new", details, to={"users": [ctx.session.user or ""]})


@app.action("Blogs/broken")
def broken(ctx: Context, details: object) -> None:
    raise RuntimeError("the database is away")


@app.action("Client/authentication")
def came(ctx: Context, details: None) -> object:
    ctx.publish("here", [ctx.session.user, ctx.session.identity.web_session])
    return {"user": ctx.session.user, "language": ctx.session.identity.language}


@app.action("Client/disconnection")
def left(ctx: Context, details: None) -> None:
    ctx.publish("gone", [ctx.session.user, ctx.session.identity.web_session])
"""


@contextlib.contextmanager
def with_actions(folder: Path) -> Iterator[Daemon]:
    """A daemon with actions in Python, that asks PHP who a client is by its session cookie."""
    (folder / "blogs.py").write_text(APP, encoding="utf-8")
    with php_server(folder, SCRIPTS) as web:
        (folder / "wampush.toml").write_text(
            'apps = ["blogs:app"]\n'
            '[auth]\norder = ["callback", "anonymous"]\n'
            f'[callback]\nurl = "{web.url}/cleverstyle_session.php"\n'
            '[clients]\npublish = "always"\n',
            encoding="utf-8",
        )
        extra = ["--config", "wampush.toml", *UNHURRIED]
        with running_daemon(folder, extra=extra, traceback_expected=True) as daemon:
            yield daemon


USER = "session=aaf4c61ddcc5e8a2"
GUEST = "session=bb11d2c3e4f5a6b7"
AUTHENTICATED = [8, "Client/authentication", {"user": "7", "language": "uk"}]


def test_an_action_gets_details_language_user_session_and_connection(tmp_path: Path) -> None:
    with (
        with_actions(tmp_path) as daemon,
        RawClient(daemon.websocket_port, cookie=USER) as client,
        RawClient(daemon.websocket_port, cookie=USER) as tab,
    ):
        assert client.receive() == tab.receive() == AUTHENTICATED
        # An action is nobody else's business, whatever they listen to.
        tab.subscribe("Blogs/post")
        connection = client.welcome[1]
        for details in ({"title": "x"}, ["a", "b"], None, 0, "text"):
            client.send(7, "Blogs/post", details)
            assert client.receive() == [8, "Blogs/received", {"on": connection}]
            assert client.receive() == [
                8,
                "Blogs/post",
                {
                    "details": details,
                    "language": "uk",
                    "user": "7",
                    "session": "aaf4c61ddcc5e8a2",
                    "connection": connection,
                    "address": "127.0.0.1",
                },
            ]
        # Every open tab of the user.
        for each in (client, tab):
            each.subscribe("Blogs/new")
        client.send(7, "Blogs/quiet", {"id": 5})
        assert client.receive() == tab.receive() == [8, "Blogs/new", {"id": 5}]


def test_an_error_is_answered_with_code_and_text(tmp_path: Path) -> None:
    with (
        with_actions(tmp_path) as daemon,
        RawClient(daemon.websocket_port, cookie=GUEST) as client,
        RawClient(daemon.websocket_port) as other,
    ):
        other.subscribe("Blogs/post:error")
        client.send(7, "Blogs/post", {})
        assert client.receive() == [8, "Blogs/post:error", [403, "log in first"]]
        client.send(7, "Blogs/broken", {})
        kind, topic, (code, text) = client.receive()
        assert (kind, topic, code) == (8, "Blogs/broken:error", 500)
        number = text.removeprefix("internal error, incident ")
        daemon.wait_for_line(f"incident {number}: ")
        daemon.wait_for_line("RuntimeError: the database is away")
        # Only the server says that something went wrong.
        client.send(7, "Blogs/post:error", [1, "forged"], False)
        client.send(7, "here", "for nobody")
        client.settle()
        other.subscribe("here")
        client.send(7, "here", "for all")
        assert other.receive() == [8, "here", "for all"]


def test_who_comes_and_goes_is_an_action_that_no_client_can_send(tmp_path: Path) -> None:
    with (
        with_actions(tmp_path) as daemon,
        RawClient(daemon.websocket_port, cookie=GUEST) as watcher,
    ):
        for topic in ("here", "gone", "Client/authentication"):
            watcher.subscribe(topic)
        with RawClient(daemon.websocket_port, cookie=USER) as client:
            assert client.receive() == AUTHENTICATED
            assert watcher.receive() == [8, "here", ["7", "aaf4c61ddcc5e8a2"]]
            client.send(7, "Client/authentication", {"user": "1"}, False)
            client.send(7, "Client/disconnection", None, False)
            client.subscribe("anything")
        assert watcher.receive() == [8, "gone", ["7", "aaf4c61ddcc5e8a2"]]
        assert daemon.health()["refusals"] == {"client-topic-reserved": 2}
        # A guest is nobody, so only its end is told.
        with RawClient(daemon.websocket_port) as guest:
            guest.subscribe("anything")
        assert watcher.receive() == [8, "gone", [None, None]]


# The client library: its example, with the object that the module puts there made by hand.
EXAMPLE = """
const cs = { WebSockets: new Wampush('WEBSOCKET_URL') };
const got = [];

cs.WebSockets
    .on('Client/authentication', ({ user, language }) => got.push(['here', user, language]))
    .on('Blogs/post', (post) => got.push(['posted', post.details.title]), (code, text) => {
        got.push(['refused', code, text]);
    })
    .once('Blogs/new', (first) => got.push(['once', first]))
    .on('Deferred_tasks/done', (task, by) => got.push(['done', task, by]), (code, text) => {
        got.push(['failed', code, text]);
    });

function onNew(value) {
    got.push(['new', value]);
}

cs.WebSockets.on('Blogs/new', onNew);
cs.WebSockets.send('Blogs/post', { title: 'x' });
cs.WebSockets.send('Blogs/quiet', 5);
cs.WebSockets.send('Blogs/quiet', [6]);
"""


def test_the_example_of_its_client_library_runs(
    tmp_path: Path, browser: Browser, client_site: ClientPages
) -> None:
    def until(page: Page, count: int) -> list[list[object]]:
        page.wait_for_function("count => got.length >= count", arg=count)
        found: list[list[object]] = page.evaluate("got.splice(0)")
        return found

    with with_actions(tmp_path) as daemon:
        code = EXAMPLE.replace("WEBSOCKET_URL", daemon.websocket_url)
        url = client_site.page("wampush.js", "wampush-modern.js", code=code)
        guest = browser.open(url)
        # Nobody is here, so the action is refused.
        assert until(guest, 1) == [["refused", 403, "log in first"]]
        guest.evaluate("cookie => { document.cookie = cookie; cs.WebSockets.close(); }", USER)
        member = browser.open(url)
        assert until(member, 5) == [
            ["here", "7", "uk"],
            ["posted", "x"],
            ["once", 5],
            ["new", 5],
            ["new", 6],
        ]
        member.evaluate("cs.WebSockets.off('Blogs/new', onNew).send('Blogs/quiet', 7)")
        need_zmq()
        with php_server(tmp_path, SCRIPTS) as web:
            query = urllib.parse.urlencode({"address": daemon.zmq_address})
            sent = [
                [ACTION, [5, "cron"], USERS, 7],
                [ACTION, "all", ALL],
                [f"{ACTION}:error", [404, "no such task"], REGISTERED],
            ]
            body = json.dumps(sent).encode()
            urllib.request.urlopen(f"{web.url}/send_to_clients.php?{query}", body).close()
            # Details in an array are spread over the arguments.
            assert until(member, 3) == [
                ["done", 5, "cron"],
                ["done", "all", None],
                ["failed", 404, "no such task"],
            ]
