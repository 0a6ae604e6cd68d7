"""Which route a request takes, and what the broker knows of a connection."""

from __future__ import annotations

from typing import Any

import pytest

from wampush.edges.websocket.conversation import Routes

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
