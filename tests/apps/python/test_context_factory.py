"""Contexts belong to the session of a client, and log under the app's name."""

from __future__ import annotations

from tests.apps.app_world import logging
from tests.apps.python.fake_server import FakeServer
from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest


def test_each_context_has_the_session_of_its_client() -> None:
    server = FakeServer()
    subscriber = server.subscriber()
    attempt = ConnectAttempt(Identity(), ConnectRequest("/a", {}, "192.0.2.7"), subscriber)
    connecting = server.contexts.connecting(attempt)
    assert connecting.request.path == "/a"
    server.sessions.on_open(subscriber)
    context = server.contexts.of(subscriber)
    assert context.session is connecting.session
    assert context.session.is_open
    ended = server.contexts.ended(subscriber)
    assert ended.session is context.session
    assert not ended.session.is_open


def test_lines_have_the_module_of_the_app_as_their_namespace() -> None:
    server = FakeServer()
    with logging() as events:
        server.contexts.of(server.subscriber()).log.info("hello")
    assert [event["log_namespace"] for event in events] == ["shop.live"]
