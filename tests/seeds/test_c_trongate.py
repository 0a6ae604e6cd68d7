"""Trongate's WebSocket module: each of its jobs, done by wampush."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.browser import Browser
from tests.support.client_pages import ClientPages
from tests.support.daemon import Daemon, running_daemon
from tests.support.nginx import running_nginx
from tests.support.php import UNHURRIED, php_program, php_server
from tests.support.raw_client import RawClient
from tests.support.redis_server import RedisServer, running_redis
from tests.support.tokens import KEY, token
from tests.support.waiting import PATIENCE
from tests.support.webhooks import shop
from wampush.testing.ports import reserved_ports

SCRIPTS = Path(__file__).with_name("php")
EVENT = {"title": "Grüße", "price": 101.25}
PUBLISH = """
$redis = new Redis();
$redis->connect('127.0.0.1', (int) $argv[1]);
echo $redis->publish($argv[2], json_encode(json_decode($argv[3])));
"""


@contextlib.contextmanager
def instance(folder: Path, redis: RedisServer) -> Iterator[Daemon]:
    """One server instance that is subscribed to the channels of the web application."""
    folder.mkdir()
    path = folder / "wampush.toml"
    path.write_text(
        f'[[redis_source]]\nurl = "{redis.url}"\nchannels = ["live_*"]\n', encoding="utf-8"
    )
    with running_daemon(folder, extra=["--config", str(path)]) as daemon:
        daemon.wait_for_line("taking pushes from 'live_*'")
        yield daemon


def published(redis: RedisServer, channel: str, event: object = EVENT) -> int:
    """Publish as the web application does; how many subscribers Redis found."""
    command = [php_program(), "-r", PUBLISH, str(redis.port), channel, json.dumps(event)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout)


def test_json_on_a_redis_channel_is_an_event_of_that_name_on_every_instance(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(running_redis(tmp_path))
        daemons = [stack.enter_context(instance(tmp_path / name, redis)) for name in ("a", "b")]
        clients = [
            stack.enter_context(RawClient(daemon.websocket_port))
            for daemon in daemons
            for _ in range(2)
        ]
        for client in clients:
            client.subscribe("live_orders")
        assert published(redis, "live_prices") == 2
        assert published(redis, "live_orders") == 2
        assert published(redis, "orders") == 0
        for client in clients:
            assert client.receive() == [8, "live_orders", EVENT]
        for daemon in daemons:
            assert daemon.health()["redis_sources"][0]["messages"] == 2


def test_a_handler_of_a_module_runs_php_with_the_data_and_the_state_of_the_client(
    tmp_path: Path,
) -> None:
    # {handler: "add", module: "cart", data: 17} is the call of cart.add with 17.
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(shop(tmp_path))
        port = running.daemon.websocket_port
        alice, bob = (
            stack.enter_context(RawClient(port, cookie=running.php.log_in(user)))
            for user in ("7", "8")
        )
        # The value goes back to who has called; the cart is the one of its login.
        for client, call_id, data, items in (
            (alice, "a1", 17, 1),
            (bob, "b1", 4, 1),
            (alice, "a2", 18, 2),
        ):
            client.send(2, call_id, "cart.add", data)
            assert client.receive() == [3, call_id, {"items": items}]


def test_num_online_and_num_clients_are_pushed_to_every_client_and_on_change(
    tmp_path: Path,
) -> None:
    # Who a client is comes from the URL; without a token it is nobody, as null is there.
    (tmp_path / "token.key").write_text(KEY, encoding="utf-8")
    (tmp_path / "wampush.toml").write_text(
        '[auth]\norder = ["token", "anonymous"]\n'
        '[token]\nkey_file = "token.key"\nquery = "trongateToken"\n',
        encoding="utf-8",
    )
    with contextlib.ExitStack() as stack:
        extra = ["--config", "wampush.toml"]
        daemon = stack.enter_context(running_daemon(tmp_path, extra=extra))

        def connect(user: str | None) -> RawClient:
            query = f"trongateToken={token(user)}&user_id={user}" if user else "user_id=null"
            path = f"/?{query}"
            return stack.enter_context(RawClient(daemon.websocket_port, path=path))

        def values(client: RawClient, *, until: tuple[int, int]) -> None:
            """Take what is pushed to a client until its values are these."""
            online, clients = until
            wanted = {
                "wampush.presence.num_online": online,
                "wampush.presence.num_clients": clients,
            }
            while any(state[client].get(topic) != value for topic, value in wanted.items()):
                _, topic, value = client.receive()
                state[client][topic] = value

        state: dict[RawClient, dict[str, int]] = {}
        for user, expected in ((None, (0, 1)), ("7", (1, 2)), ("7", (1, 3)), ("8", (2, 4))):
            client = connect(user)
            state[client] = {}
            for topic in ("wampush.presence.num_online", "wampush.presence.num_clients"):
                client.send(5, topic)
            for each in state:
                values(each, until=expected)
        # A tab of 7 is closed: one connection fewer, and as many users.
        first, tab, *others = state
        tab.__exit__(None, None, None)
        for each in (first, *others):
            values(each, until=(2, 3))


HANDLERS = """
from wampush.apps import App, Context

app = App()
ITEMS: dict[str | None, list[object]] = {}


@app.procedure("basket.add")
def add(ctx: Context, data: object) -> object:
    items = ITEMS.setdefault(ctx.session.user, [])
    items.append(data)
    return {"items": items}


@app.procedure("members.state")
def state(ctx: Context, data: object = None) -> object:
    session = ctx.session
    session.data.asked = getattr(session.data, "asked", 0) + 1
    return {
        "user_id": session.user,
        "level": session.identity.data.get("level"),
        "num_online": ctx.presence.num_online,
        "num_clients": ctx.presence.num_clients,
        "asked": session.data.asked,
        "address": session.address,
        "data": data,
    }
"""


@contextlib.contextmanager
def with_handlers(folder: Path, more: str = "") -> Iterator[Daemon]:
    """A daemon with handlers in Python, that asks PHP who a client is by its URL.

    :param more: tables of its configuration.
    """
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    with php_server(folder, SCRIPTS) as web:
        path = folder / "wampush.toml"
        path.write_text(
            'apps = ["handlers:app"]\n'
            '[auth]\norder = ["callback", "anonymous"]\n'
            f'[callback]\nurl = "{web.url}/trongate_token.php"\n{more}',
            encoding="utf-8",
        )
        with running_daemon(folder, extra=["--config", str(path), *UNHURRIED]) as daemon:
            yield daemon


def test_who_a_client_is_comes_from_the_url_and_is_null_when_not_logged_in(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(with_handlers(tmp_path))
        for query, user, level in (
            ("?trongateToken=QmvFNXSEH9wcCyZe&user_id=7", "7", "member"),
            ("?trongateToken=fGNqKpVXBdJbe4t3&user_id=8", "8", "member"),
            ("?trongateToken=QmvFNXSEH9wcCyZe&user_id=8", None, None),
            ("?trongateToken=forged&user_id=7", None, None),
            ("?trongateToken=null&user_id=null", None, None),
            ("", None, None),
        ):
            client = RawClient(daemon.websocket_port, path=f"/{query}")
            stack.enter_context(client)
            client.send(2, "id", "members.state")
            kind, _, state = client.receive()
            assert (kind, state["user_id"], state["level"]) == (3, user, level), query
        assert (state["num_online"], state["num_clients"]) == (2, 6)


def test_a_handler_of_a_module_runs_with_the_data_and_the_state_of_the_client(
    tmp_path: Path, browser: Browser, client_site: ClientPages
) -> None:
    with with_handlers(tmp_path) as daemon:
        page = browser.open(client_site.page("wampush.js", "wampush-modern.js"))
        for name, query in (("ann", "?trongateToken=QmvFNXSEH9wcCyZe&user_id=7"), ("nobody", "")):
            url = f"{daemon.websocket_url}/{query}"
            page.evaluate("([name, url]) => { window[name] = new Wampush(url); }", [name, url])
            page.wait_for_function("name => window[name].connected", arg=name)
        send = "([name, message]) => window[name].send(JSON.stringify(message))"

        def add(name: str, data: object) -> object:
            message = {"handler": "add", "module": "basket", "data": data}
            return page.evaluate(send, [name, message])

        # The return value goes to who has sent the message; each has what is its own.
        assert add("ann", {"article": 17}) == {"items": [{"article": 17}]}
        assert add("nobody", None) == {"items": [None]}
        assert add("ann", 18) == {"items": [{"article": 17}, 18]}
        asked = {"handler": "state", "module": "members", "data": [1, 2]}
        page.evaluate(send, ["ann", asked])
        assert page.evaluate(send, ["ann", asked]) == {
            "user_id": "7",
            "level": "member",
            "num_online": 1,
            "num_clients": 2,
            "asked": 2,
            "address": "127.0.0.1",
            "data": [1, 2],
        }


# The example of the module's guide, with the name of the constructor changed.
EXAMPLE = """
const socket = new Wampush(
    `WEBSOCKET_URL/?trongateToken=TOKEN&user_id=USER`
);

socket.onStateChange('num_online', (value) => {
    document.querySelectorAll('.online_count').forEach((element) => {
        element.innerHTML = `${value} Online`;
    });
});

socket.onStateChange('num_clients', (value) => {
    document.title = `${value} clients`;
});

socket.onMessage('live_streams', (event) => {
    document.querySelector('#streams').append(`${event.status} ${event.id};`);
});

socket.send(
    JSON.stringify({
        handler: 'controller',
        module: 'chat',
        data: 'hello world'
    })
).then((value) => {
    document.querySelector('#answer').textContent = value;
});
"""
BODY = '<span class="online_count">0 Online</span><p id="streams"></p><p id="answer"></p>'
CHAT = """
from wampush.apps import App, Context

app = App()


@app.procedure("chat.controller")
def controller(ctx: Context, data: object) -> object:
    return f"Ahoy, {ctx.session.user}: {data}"
"""


def test_the_example_of_its_client_library_runs(
    tmp_path: Path, browser: Browser, client_site: ClientPages
) -> None:
    (tmp_path / "token.key").write_text(KEY, encoding="utf-8")
    (tmp_path / "chat.py").write_text(CHAT, encoding="utf-8")
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(running_redis(tmp_path))
        (tmp_path / "wampush.toml").write_text(
            'apps = ["chat:app"]\n[auth]\norder = ["token", "anonymous"]\n'
            '[token]\nkey_file = "token.key"\nquery = "trongateToken"\n'
            f'[[redis_source]]\nurl = "{redis.url}"\nchannels = ["live_*"]\n',
            encoding="utf-8",
        )
        daemon = stack.enter_context(running_daemon(tmp_path, extra=["--config", "wampush.toml"]))
        daemon.wait_for_line("taking pushes from 'live_*'")

        def open_tab(user: str) -> Page:
            example = EXAMPLE.replace("WEBSOCKET_URL", daemon.websocket_url)
            code = example.replace("TOKEN", token(user)).replace("USER", user)
            scripts = ("wampush.js", "wampush-modern.js")
            return browser.open(client_site.page(*scripts, code=code, body=BODY))

        tabs = [open_tab("7"), open_tab("7"), open_tab("8")]
        for tab, user in zip(tabs, "778", strict=True):
            # Two tabs of one user count once in the first and twice in the second.
            expect(tab.locator(".online_count")).to_have_text("2 Online")
            expect(tab).to_have_title("3 clients")
            expect(tab.locator("#answer")).to_have_text(f"Ahoy, {user}: hello world")
        assert published(redis, "live_streams", {"status": "new", "id": 17}) == 1
        for tab in tabs:
            expect(tab.locator("#streams")).to_have_text("new 17;")
        tabs.pop(1).close()
        for tab in tabs:
            expect(tab).to_have_title("2 clients")
            expect(tab.locator(".online_count")).to_have_text("2 Online")


NGINX = """
server {{
    listen 127.0.0.1:{port};
    location /ws {{
        proxy_pass http://127.0.0.1:{websocket_port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For 192.0.2.7;
        proxy_read_timeout 86400;
    }}
}}
"""


def test_it_runs_behind_location_ws_of_nginx(
    tmp_path: Path, browser: Browser, client_site: ClientPages
) -> None:
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(with_handlers(tmp_path, '[proxy]\ntrusted = ["127.0.0.1"]\n'))
        (port,) = stack.enter_context(reserved_ports(1))
        server = NGINX.format(port=port, websocket_port=daemon.websocket_port)
        stack.enter_context(running_nginx(tmp_path / "nginx", "events {}\n", server))
        page = browser.open(client_site.page("wampush.js", "wampush-modern.js"))
        url = f"ws://127.0.0.1:{port}/ws?trongateToken=QmvFNXSEH9wcCyZe&user_id=7"
        page.evaluate("url => { window.ann = new Wampush(url); }", url)
        state = page.evaluate("ann.send({handler: 'state', module: 'members', data: null})")
        # Who it is comes from the URL, where it comes from out of the header.
        assert (state["user_id"], state["address"]) == ("7", "192.0.2.7")
