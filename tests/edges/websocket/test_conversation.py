"""Which route a request takes, and what the broker knows of a connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wampush.broker.identity import ANONYMOUS, Identity
from wampush.edges.websocket.conversation import ClientPeer, Routes, movable
from wampush.errors import CloseReason

OTHERS: Any = object()
CHAT: Any = object()


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/chat", CHAT),
        ("/chat?room=1", CHAT),
        ("/chat?", CHAT),
        ("/chat/", OTHERS),
        ("/Chat", OTHERS),
        ("/%63hat", OTHERS),
        ("/", OTHERS),
        ("/other?x=/chat", OTHERS),
    ],
)
def test_a_path_with_a_route_takes_it_and_all_others_take_the_other_one(
    target: str, route: object
) -> None:
    assert Routes(OTHERS, {"/chat": CHAT}).find(target) is route
    assert Routes(OTHERS).find(target) is OTHERS


@pytest.mark.parametrize(
    ("target", "has_route"),
    [("/events", True), ("/events?topic=a", True), ("/events/", False), ("/", False)],
)
def test_ordinary_requests_have_routes_of_their_own(target: str, has_route: bool) -> None:
    plain: Any = object()
    assert Routes(OTHERS, plain={"/events": plain}).find_plain(target) is (
        plain if has_route else None
    )
    assert Routes(OTHERS, {"/events": CHAT}).find_plain(target) is None


@pytest.mark.parametrize(
    ("target", "is_file"),
    [("/static/a.js", True), ("/static/a.js?v=2", True), ("/static/", False), ("/a.js", False)],
)
def test_files_are_for_anyone_whatever_the_query(target: str, is_file: bool) -> None:
    file: Any = object()
    routes = Routes(OTHERS, files={"/static/a.js": file})
    assert routes.find_file(target) is (file if is_file else None)
    assert Routes(OTHERS).find_file(target) is None


def test_conversations_that_move_go_on_with_the_route_of_all_other_paths() -> None:
    assert Routes(OTHERS, {"/chat": CHAT}).resuming is OTHERS


@pytest.mark.parametrize("can_move", [True, False])
def test_a_conversation_moves_if_it_can_and_says_so(can_move: bool) -> None:
    conversation: Any = SimpleNamespace(can_move=can_move)
    assert movable(conversation) is (conversation if can_move else None)
    other: Any = SimpleNamespace()
    assert movable(other) is movable(None) is None


class FakeLine:
    """A connection that notes how it ends."""

    address = "192.0.2.1"
    address_name = "192.0.2.0"
    reason: CloseReason | None = None

    def accept_identity(self, identity: Identity) -> bool:
        return identity.user != "full"

    def end(self, reason: CloseReason, detail: str) -> None:
        assert detail == "Why."
        self.reason = reason


class FakeHandler:
    """Notes which sessions are lost."""

    def __init__(self) -> None:
        self.lost: list[object] = []

    def on_lost(self, subscriber: object) -> None:
        self.lost.append(subscriber)


class FakeSubscriber:
    """A session."""

    identity = Identity("ann")


def test_the_broker_sees_the_connection_of_a_client_until_it_is_lost() -> None:
    handler: Any = FakeHandler()
    line: Any = FakeLine()
    subscriber: Any = FakeSubscriber()
    peer = ClientPeer(handler, line, is_local=True)
    assert peer.identity is ANONYMOUS
    assert not peer.accept_identity(Identity("ben"))
    peer.subscriber = subscriber
    assert (peer.address, peer.address_name, peer.is_local) == ("192.0.2.1", "192.0.2.0", True)
    assert peer.identity is subscriber.identity
    assert peer.accept_identity(Identity("ben"))
    assert not peer.accept_identity(Identity("full"))
    before = peer.ended
    peer.end(CloseReason.ENDED_BY_APPLICATION, "Why.")
    assert (before, peer.ended) == (None, CloseReason.ENDED_BY_APPLICATION)
    peer.on_lost()
    peer.on_lost()
    assert handler.lost == [subscriber]
    assert peer.subscriber is None
