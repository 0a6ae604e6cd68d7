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

from tests.support.daemon import Daemon, running_daemon
from tests.support.php import php_server
from tests.support.raw_client import RawClient
from tests.support.tokens import KEY, token

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


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that knows who its clients are by token, or not at all."""
    (tmp_path / "token.key").write_text(KEY, encoding="utf-8")
    (tmp_path / "wampush.toml").write_text(
        '[auth]\norder = ["token", "anonymous"]\n[token]\nkey_file = "token.key"\n',
        encoding="utf-8",
    )
    with running_daemon(tmp_path, extra=["--config", "wampush.toml"]) as running:
        yield running


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
    with php_server(tmp_path, SCRIPTS) as web:
        query = urllib.parse.urlencode({"address": daemon.zmq_address})
        url = f"{web.url}/send_to_clients.php?{query}"

        def send(*sent: list[object]) -> None:
            body = json.dumps([*sent, [ACTION, "end", ALL]]).encode()
            with urllib.request.urlopen(url, body, timeout=20) as response:
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
