"""Presence as apps see it."""

from __future__ import annotations

from tests.apps.python.fake_server import FakeServer
from wampush.apps.python.presence import Presence


def test_presence() -> None:
    server = FakeServer()
    presence = Presence(server.api)
    assert (presence.num_online, presence.num_clients) == (2, 3)
    assert presence.is_online("7")
    assert not presence.is_online("8")
    assert presence.users("chat") == {"chat": 1}
    assert server.reactor_calls == ["is_online", "is_online", "users"]
