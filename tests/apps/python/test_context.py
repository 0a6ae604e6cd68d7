"""What handlers can do with their context."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apps.python.fake_server import FakeServer
from wampush.apps.python.context import Exclusion, Selection
from wampush.broker.identity import ANONYMOUS
from wampush.broker.publication import EVERYONE, Targets
from wampush.broker.push_options import _KINDS, _TARGETS
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.errors import CloseReason, NotSerialisable, PushRefused


def test_publishing() -> None:
    server = FakeServer()
    context = server.contexts.of(server.subscriber())
    assert context.publish("chat", {"n": 1}) == 5
    context.publish("chat", None, {"users": ["7"]})
    context.publish("chat", None, Targets(users=frozenset({"8"})))
    assert [(each.topic, each.payload) for each in server.published] == [
        ("chat", b'{"n":1}'),
        ("chat", b"null"),
        ("chat", b"null"),
    ]
    everyone, first, second = (each.audience for each in server.published)
    assert everyone is EVERYONE
    assert first.to is not None
    assert first.to.users == frozenset({"7"})
    assert second.to is not None
    assert second.to.users == frozenset({"8"})
    assert server.reactor_calls == ["publish"] * 3


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("wampush.x", 1), PushRefused),
        (("a", object()), NotSerialisable),
        (("a", 1, {"user": ["7"]}), PushRefused),
    ],
)
def test_what_cannot_be_published(arguments: Any, error: type[Exception]) -> None:
    server = FakeServer()
    with pytest.raises(error):
        server.contexts.of(server.subscriber()).publish(*arguments)
    assert server.published == []


def test_ending_the_sessions_of_a_user() -> None:
    server = FakeServer()
    context = server.contexts.of(server.subscriber())
    ended = context.end_sessions("7", "banned")
    assert ended == 2
    assert ended.unanswered == ("b",)
    assert server.ended == [("7", CloseReason.ENDED_BY_APPLICATION, "banned")]
    assert server.reactor_calls == ["end_user"]


def test_time_and_presence() -> None:
    server = FakeServer()
    context = server.contexts.of(server.subscriber())
    assert context.now() == 1000.5
    assert context.presence.num_clients == 3


def test_a_connect_context_has_the_handshake() -> None:
    server = FakeServer()
    request = ConnectRequest("/a?b=c", {}, "192.0.2.7")
    context = server.contexts.connecting(ConnectAttempt(ANONYMOUS, request))
    assert context.request is request
    assert context.session.address == "192.0.2.7"


def test_the_types_know_the_keys_that_are_accepted() -> None:
    assert set(Selection.__annotations__) == set(_TARGETS)
    assert set(Exclusion.__annotations__) == set(_KINDS)
