"""The example chat with names: who is here, who says what, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.apps.sample_components import FakeLine, HostWorld
from wampush.apps.components.connection_runner import ConnectionRunner
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.errors import CloseReason
from wampush.examples.named_chat import NamedChat

TIME = 1_790_000_000_250


def world() -> HostWorld:
    return HostWorld(NamedChat(lambda: TIME / 1000))


def join(
    world: HostWorld, query: str, identity: Identity = ANONYMOUS
) -> tuple[FakeLine, ConnectionRunner]:
    line = FakeLine()
    request = ConnectRequest(f"/chat{query}", {"host": "a"}, "192.0.2.1")
    runner = world.host.begin(line, identity, request, None)
    runner.on_open()
    return line, runner


def received(line: FakeLine) -> list[dict[str, Any]]:
    found = [json.loads(each) for each in line.written]
    line.written.clear()
    return found


def test_joins_messages_and_leaves_have_names_and_times() -> None:
    chat = world()
    ann, ann_runner = join(chat, "?name=Ann")
    assert received(ann) == [{"type": "welcome", "id": 1, "name": "Ann", "people": ["Ann"]}]
    bob, bob_runner = join(chat, "?name=Bob")
    both = ["Ann", "Bob"]
    assert received(bob) == [{"type": "welcome", "id": 2, "name": "Bob", "people": both}]
    assert received(ann) == [{"type": "join", "name": "Bob", "time": TIME, "people": both}]
    bob_runner.on_message("<b>hi</b> 🐘")
    bob_runner.on_message(" \n")
    message = {"type": "message", "id": 2, "name": "Bob", "time": TIME, "text": "<b>hi</b> 🐘"}
    assert received(ann) == received(bob) == [message]
    chat.lose(bob, bob_runner)
    assert received(ann) == [{"type": "leave", "name": "Bob", "time": TIME, "people": ["Ann"]}]
    ann_runner.on_message("bye")
    assert len(received(ann)) == 1
    assert received(bob) == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "Guest 1"),
        ("?name=%20%0a", "Guest 1"),
        ("?name=%20A%0an%20%20n%e2%80%ae", "A n n"),
        (f"?name={'x' * 50}", "x" * 40),
    ],
)
def test_names_are_on_one_line_and_short(query: str, name: str) -> None:
    line, _ = join(world(), query)
    assert received(line)[0]["name"] == name


def test_nobody_takes_the_name_of_somebody_else() -> None:
    chat = world()
    names = [received(join(chat, f"?name={each}")[0])[0]["name"] for each in ("Ann", "ann", "Ann")]
    assert names == ["Ann", "ann (2)", "Ann (3)"]


def test_a_user_has_the_name_of_the_identity() -> None:
    line, _ = join(world(), "?name=Mallory", Identity("ann", source="token"))
    assert received(line)[0]["name"] == "ann"


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"\x00", 1003, "Only text messages are accepted."),
        ("x" * 2001, 4000, "A message has at most 2000 characters."),
    ],
)
def test_a_message_of_another_kind_ends_its_connection(
    message: str | bytes, code: int, reason: str
) -> None:
    chat = world()
    ann, _ = join(chat, "?name=Ann")
    bob, runner = join(chat, "?name=Bob")
    received(ann)
    runner.on_message(message)
    assert bob.ended == [(CloseReason.CLOSED_BY_COMPONENT, reason, code)]
    assert received(ann) == []
