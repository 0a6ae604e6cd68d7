"""No signed token that a client sends gets into the log or into what is kept for inspection."""

from __future__ import annotations

import json

import pytest

from tests.broker.world import World
from wampush.broker.identity import AWAITING, Identity

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    "text",
    [
        f'[2,"c","wampush.refresh","{TOKEN}"',
        f'["{TOKEN}"]',
        f'[2,"{TOKEN}"]',
        f'"{TOKEN}"',
        f'[2,"c","unknown","{TOKEN}"]',
        TOKEN,
    ],
)
def test_a_token_in_a_refused_message_is_kept_nowhere(text):
    world = World()
    client = world.client(limit=10_000)
    client.become(Identity(source=AWAITING))
    world.says(client, text)
    (refused,) = world.ledger.recent
    kept = json.dumps(refused.as_json()) + "".join(world.lines)
    assert "[token]" in kept
    for part in TOKEN.split("."):
        assert part not in kept
