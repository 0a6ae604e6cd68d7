"""The components of a node: how they are found and made, and what the operator is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from tests.apps.sample_components import FakeLine
from wampush.apps.component import Component, ConnectRequest
from wampush.apps.components.registry import Components
from wampush.broker.identity import ANONYMOUS
from wampush.broker.memory import UNLIMITED, Memory
from wampush.config.tables.routes import RouteSettings
from wampush.errors import OperatorError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a configuration file; what is imported from there is forgotten."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def made(folder: Path | None, *names: str) -> Components:
    routes = [RouteSettings(f"/{number}", name) for number, name in enumerate(names)]
    return Components(
        routes=routes,
        folder=folder,
        max_pending=100,
        max_pending_bytes=2**18,
        memory=Memory(UNLIMITED),
        call_later=Clock().callLater,
    )


def complaint(folder: Path, text: str, name: str = "Chat") -> str:
    """What the operator is told of a module with this text."""
    module = f"components_{abs(hash((text, name)))}"
    (folder / f"{module}.py").write_text(
        f"from wampush.apps.component import Component\n{text}", encoding="utf-8"
    )
    with pytest.raises(OperatorError) as caught:
        made(folder, f"{module}:{name}")
    told = str(caught.value)
    assert told.startswith(f'routes[1].component = "{module}:{name}": ')
    assert "\n" not in told
    return told.partition('": ')[2].replace(str(folder / module), "MODULE")


def test_each_route_has_an_object_of_its_own_made_once():
    components = made(None, "wampush.examples.chat:Chat", "wampush.examples.chat:Chat")
    first, second = (host.component for host in components.hosts)
    assert isinstance(first, Component)
    assert type(first) is type(second)
    assert first is not second
    assert made(None).hosts == []


def test_connections_are_counted_over_all_components():
    components = made(None, "wampush.examples.chat:Chat", "wampush.examples.chat:Chat")
    request = ConnectRequest("/", {}, "192.0.2.1")
    lines = [FakeLine() for _ in range(3)]
    for line, host in zip(lines, [*components.hosts, components.hosts[0]], strict=True):
        host.begin(line, ANONYMOUS, request, None).on_open()
    assert lines[0].written == ["Client 3 connected."]


def test_a_class_next_to_the_configuration_file(folder):
    (folder / "chat_beside.py").write_text(
        "from wampush.apps.component import Component\n\n\nclass Chat(Component):\n    pass\n"
    )
    (host,) = made(folder, "chat_beside:Chat").hosts
    assert type(host.component).__name__ == "Chat"
    assert host.name == "chat_beside:Chat"


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("def on_open(self): ...", "on_open must take (self, conn), not (self)"),
        (
            "def on_message(self, conn): ...",
            "on_message must take (self, conn, data), not (self, conn)",
        ),
        (
            "def on_close(self, conn, code): ...",
            "on_close must take (self, conn), not (self, conn, code)",
        ),
        ("def on_error(self, conn): ...", "on_error must take (self, conn, exc), not (self, conn)"),
        ("on_message = 5", "on_message must take (self, conn, data), but is 5"),
        (
            "def onMessage(self, conn, data): ...",
            "onMessage is never called; rename it to on_message",
        ),
        ("def onOpen(self, conn): ...", "onOpen is never called; rename it to on_open"),
    ],
)
def test_a_method_that_cannot_be_called(folder, method, told):
    assert complaint(folder, f"class Chat(Component):\n    {method}\n") == told


def test_methods_of_any_form(folder):
    (folder / "chat_forms.py").write_text(
        "from wampush.apps.component import Component\n\n\nclass Chat(Component):\n"
        "    def on_open(self, *all): ...\n    async def on_message(self, a, b, c=1): ...\n"
        "    on_close = min\n    def onMessage(self): ...\n"
    )
    assert made(folder, "chat_forms:Chat").hosts


def test_what_is_no_component(folder):
    told = "it must be a subclass of wampush.apps.component.Component, not <"
    assert complaint(folder, "class Chat:\n    pass\n").startswith(f"{told}class ")
    assert complaint(folder, "Chat = Component()\n").startswith(f"{told}wampush.apps.component")
    assert complaint(folder, "def Chat():\n    return Component()\n").startswith(f"{told}function ")


def test_a_missing_class_is_reported(folder):
    assert complaint(folder, "").endswith("has no 'Chat'")


def test_a_constructor_that_fails_is_reported_with_its_line(folder):
    text = "class Chat(Component):\n    def __init__(self):\n        self.x = 1 / 0\n"
    assert complaint(folder, text) == "ZeroDivisionError: division by zero (MODULE.py:4)"


def test_a_constructor_that_wants_arguments_is_reported(folder):
    text = "class Chat(Component):\n    def __init__(self, shop):\n        self.shop = shop\n"
    told = complaint(folder, text)
    assert told.startswith("TypeError: ")
    assert "missing 1 required positional argument: 'shop'" in told
    assert ".py:" not in told


def test_the_end_waits_for_every_component():
    done: list[None] = []
    made(None, "wampush.examples.chat:Chat").stop().addCallback(done.append)
    made(None).stop().addCallback(done.append)
    assert done == [None, None]
