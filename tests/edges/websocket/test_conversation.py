"""Which route a request takes."""

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
