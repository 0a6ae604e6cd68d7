"""A node is put together as its settings say."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.local_reactor import LocalReactor
from wampush.broker.access.policy import Publishing
from wampush.broker.identity import ANONYMOUS
from wampush.broker.ledger import Source
from wampush.choices import Action
from wampush.config.load import load
from wampush.errors import OperatorError, PushRefused, Refusal
from wampush.node.build import Node, build

MADE: list[Node] = []


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    while MADE:
        MADE.pop().apps.stop(0)


def node_of(folder: Path, text: str = "") -> Node:
    """The node of a configuration file."""
    path = folder / "wampush.toml"
    path.write_text(text if "[zmq]" in text else f"{text}\n[zmq]\npull = []\n", encoding="utf-8")
    loaded = load(path, {}, {})
    reactor: Any = LocalReactor()
    MADE.append(build(loaded.settings, reactor, 10, loaded.folder))
    return MADE[-1]


def test_nobody_may_publish_until_that_is_decided(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    found = [node.broker.policy.publishing]
    node.set_publishing(Publishing.LOCAL)
    found.append(node.broker.policy.publishing)
    assert found == [Publishing.NOBODY, Publishing.LOCAL]


#: What a plain node starts without, by the setting that turns it on.
OPTIONAL = {
    "auth.order": ["wampush.edges.auth.tokens", "jwt", "wampush.edges.auth.callback"],
    "backplane.url": ["wampush.edges.backplane.redis_bus", "wampush.net.redis", "hiredis"],
    "history.database": ["wampush.edges.storage", "sqlite3"],
    "redis_source": ["wampush.edges.redis.source", "txredisapi"],
    "webhooks.url": ["wampush.node.webhooks", "wampush.net.http_post", "twisted.web.client"],
}
_PLAIN_NODE = """
import json, sys
from twisted.internet import epollreactor
epollreactor.install()
from twisted.internet import reactor
import wampush.twistd_service, wampush.node.service, wampush.node.http_site
from wampush.config.settings import Settings
from wampush.node import steps
from wampush.node.build import build
steps.look_at_redis(Settings())
build(Settings(), reactor, 10)
print(json.dumps([*sys.modules]))
"""


def test_a_plain_node_starts_without_what_is_off() -> None:
    """Every upgrade waits for what a node imports; this is a fifth of the package's part."""
    done = subprocess.run(
        [sys.executable, "-c", _PLAIN_NODE], capture_output=True, text=True, timeout=60, check=True
    )
    modules = json.loads(done.stdout)
    assert "wampush.edges.websocket.server" in modules
    found = {key: [each for each in names if each in modules] for key, names in OPTIONAL.items()}
    assert found == {key: [] for key in OPTIONAL}


def test_what_is_off_by_default(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    assert node.webhooks is None
    assert node.apps.application is None
    assert node.broker.policy.permissions is None
    assert not node.broker._router.topic_rules.uses_presence
    assert node.redis.status() == []
    assert node.components.hosts == []


def test_rules_for_topics(tmp_path: Path) -> None:
    node = node_of(
        tmp_path,
        '[[topics]]\nmatch = "chat.*"\npresence = true\nslow_client = "latest"\n'
        '[[topics]]\nmatch = "log"\nhistory = 10\n',
    )
    rules = node.broker._router.topic_rules
    assert rules.has_presence("chat.a")
    assert rules.slow_client("chat.a").value == "latest"
    assert rules.slow_client("log").value == "catch-up"
    assert rules.slow_client("news").value == "disconnect"


def test_permissions(tmp_path: Path, log: list[str]) -> None:
    node = node_of(
        tmp_path,
        '[clients]\nsubscribe = "deny"\n'
        '[[permissions]]\nmatch = "news"\nactions = ["subscribe"]\nto = ["anyone"]\n',
    )
    permissions = node.broker.policy.permissions
    assert permissions is not None
    assert permissions.decide(ANONYMOUS, Action.SUBSCRIBE, "news").allowed
    assert not permissions.decide(ANONYMOUS, Action.SUBSCRIBE, "other").allowed
    (line,) = [line for line in log if line.startswith("permissions: ")]
    assert line.startswith("permissions: 1 entries; where none decides, ")
    assert "clients.subscribe" in line


def test_components_and_apps(tmp_path: Path, log: list[str]) -> None:
    (tmp_path / "node_rooms.py").write_text(
        "from wampush.apps import App\n"
        "from wampush.apps.component import Component\n"
        "class Rooms(Component):\n    pass\n"
        "app = App()\n"
        "@app.on_connect\ndef connect(ctx):\n    pass\n",
        encoding="utf-8",
    )
    node = node_of(
        tmp_path,
        'apps = ["node_rooms:app"]\n[[routes]]\npath = "/rooms"\ncomponent = "node_rooms:Rooms"\n',
    )
    assert "serving component node_rooms:Rooms at /rooms" in log
    assert node.apps.application is not None
    assert node.apps.application.judges_connecting
    assert len(node.components.hosts) == 1


def test_topics_that_sessions_get_without_asking(tmp_path: Path) -> None:
    node = node_of(tmp_path, '[clients]\nauto_subscribe = ["user.{user}"]\n')
    assert node.broker.automatic is not None


def test_pushes_have_the_limits_of_the_settings(tmp_path: Path) -> None:
    node = node_of(tmp_path, "[pushes]\nmax_message_bytes = 100\n")
    payload = json.dumps("x" * 200).encode()
    failures: list[Any] = []
    node.acknowledged_pushes.publish([b"news", payload], "here").addErrback(failures.append)
    (failure,) = failures
    assert isinstance(failure.value, PushRefused)
    assert failure.value.refusal is Refusal.TOO_LARGE
    assert node.broker.ledger.refused == {(Source.HTTP, Refusal.TOO_LARGE): 1}


def test_refusals_are_logged(tmp_path: Path, log: list[str]) -> None:
    node = node_of(tmp_path)
    node.acknowledged_pushes.publish([b"news", b"{"], "here").addErrback(lambda _: None)
    assert any("refused HTTP request from here: not-json" in line for line in log)


def test_code_that_cannot_be_loaded_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nowhere:app"):
        node_of(tmp_path, 'apps = ["nowhere:app"]\n')


DURABLE = """
[[topics]]
match = "d"
last = true
durable = true
[history]
database = "{path}"
"""


def test_durable_topics_have_a_database(tmp_path: Path, log: list[str]) -> None:
    path = tmp_path / "events.sqlite"
    node = node_of(tmp_path, DURABLE.format(path=path))
    assert f"durable topics: the database is {path}, with 0 topics" in log
    assert node.late_journal is None
    assert node.durable is not None
    node.durable.stop()


def test_a_node_that_takes_over_opens_the_database_later(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    file = tmp_path / "wampush.toml"
    file.write_text(DURABLE.format(path=path) + "[zmq]\npull = []\n", encoding="utf-8")
    loaded = load(file, {}, {})
    reactor: Any = LocalReactor()
    MADE.append(build(loaded.settings, reactor, 10, loaded.folder, takes_over=True))
    assert not path.exists()
    MADE[-1].open_journal()
    assert path.exists()
    durable = MADE[-1].durable
    assert durable is not None
    durable.stop()


def test_the_event_loop_is_measured_between_start_and_stop(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    callbacks = len(gc.callbacks)
    node.start_measuring()
    assert len(gc.callbacks) == callbacks + 1
    node.stop_measuring()
    assert len(gc.callbacks) == callbacks
