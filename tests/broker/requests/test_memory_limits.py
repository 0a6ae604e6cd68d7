"""What requests make the node keep is limited and given back, for each kind of request."""

from __future__ import annotations

import json

import pytest

from tests.broker.requests.test_handler import Slow
from tests.broker.world import Client, World
from wampush.broker.identity import Identity
from wampush.broker.memory import MemoryLimits
from wampush.broker.memory_costs import pending_bytes, prefix_bytes, subscription_bytes
from wampush.broker.pending import PASS
from wampush.errors import CloseReason, Refusal

ASTRAL = "\N{GRINNING FACE}"
TOPIC = "x" * 50
CALL = b'[2,"id","app.f",[1,[2,3]]]'
PUBLISH = b'[7,"t",{"a":[1,2,3]}]'


def world(
    per_session: int = 100_000, per_address: int = 100_000, in_all: int = 100_000
) -> tuple[World, Slow]:
    made = World(memory=MemoryLimits(per_session, per_address, in_all))
    slow = Slow(judges_subscribing=False)
    made.serve(application=slow)
    return made, slow


def subscribe(client: Client, *topics: str) -> None:
    for topic in topics:
        client.world.says(client, json.dumps([5, topic]))


def kept(client: Client) -> int:
    return client.world.broker.memory.of_owner(client.subscriber)


def test_idle_sessions_have_no_account() -> None:
    made, _ = world()
    made.client()
    assert len(made.broker.memory) == 0


def test_subscriptions_of_a_session() -> None:
    cost = subscription_bytes(TOPIC + "0")
    made, _ = world(per_session=3 * cost)
    client = made.client()
    subscribe(client, *[f"{TOPIC}{number}" for number in range(5)])
    assert len(made.subscriptions.topics(client.subscriber)) == 3
    assert made.ledger.refusals() == {"session-memory": 2}
    subscribe(client, f"{TOPIC}0")
    assert kept(client) == 3 * cost, "one that exists costs nothing"
    made.says(client, json.dumps([6, f"{TOPIC}0"]))
    subscribe(client, f"{TOPIC}4")
    assert made.ledger.refusals() == {"session-memory": 2}
    made.clients.on_lost(client.subscriber)
    assert made.broker.memory.total == 0


def test_a_topic_with_one_wide_character_counts_four_times() -> None:
    made, _ = world(per_session=subscription_bytes("x" * 90))
    client = made.client()
    subscribe(client, "x" * 80 + ASTRAL)
    assert made.ledger.refusals() == {"session-memory": 1}
    subscribe(client, "x" * 90)
    assert kept(client) == subscription_bytes("x" * 90)


@pytest.mark.parametrize(
    ("limits", "other_address", "refusal"),
    [
        ({"per_address": 4}, True, Refusal.ADDRESS_MEMORY),
        ({"in_all": 4}, False, Refusal.TOTAL_MEMORY),
    ],
)
def test_sessions_share_the_limits_of_address_and_all(
    limits: dict[str, int], other_address: bool, refusal: Refusal
) -> None:
    cost = subscription_bytes(TOPIC + "0")
    made, _ = world(**{name: count * cost for name, count in limits.items()})
    for number in range(3):
        subscribe(made.client(), f"{TOPIC}{number}", f"{TOPIC}{number + 5}")
    assert made.ledger.refusals() == {refusal.code: 2}
    stranger = made.client()
    stranger.peer.address_name = "198.51.100.1"
    subscribe(stranger, TOPIC + "9")
    assert bool(kept(stranger)) is other_address


def test_prefixes_of_a_session() -> None:
    cost = prefix_bytes("p0", "urn:x:")
    made, _ = world(per_session=2 * cost)
    client = made.client()
    for number in range(3):
        made.says(client, json.dumps([1, f"p{number}", "urn:x:"]))
    assert set(client.subscriber.session.prefixes) == {"p0", "p1"}
    assert made.ledger.refusals() == {"session-memory": 1}
    made.says(client, json.dumps([1, "p0", "u:"]))
    assert kept(client) == cost + prefix_bytes("p0", "u:")
    made.says(client, json.dumps([1, "p1", "urn:longer:"]))
    assert made.ledger.refusals() == {"session-memory": 2}
    made.clients.on_lost(client.subscriber)
    assert made.broker.memory.total == 0


def test_calls_that_the_application_has_not_answered() -> None:
    made, slow = world(per_session=2 * pending_bytes(CALL))
    client = made.client()
    for _ in range(3):
        made.says(client, CALL)
    made.end_turn()
    (error,) = [json.loads(text) for text in client.texts]
    assert error[4]["reason"] == "session-memory"
    assert "limits.kept_bytes_per_session" in error[3], "the page's console shows the limit"
    assert made.ledger.refusals() == {"session-memory": 1}
    for _, reply in slow.calls:
        reply(b"[3]")
    assert made.broker.memory.total == 0
    assert client.subscriber.pending is None


def test_an_answer_after_the_end_of_its_session() -> None:
    made, slow = world()
    client = made.client()
    made.says(client, CALL)
    made.clients.on_lost(client.subscriber)
    assert made.broker.memory.total == 0
    slow.calls[0][1](b"[3]")
    assert made.broker.memory.total == 0


def test_actions() -> None:
    made, slow = world()
    client = made.client()
    made.says(client, b'[7,"act",1]')
    assert kept(client) == pending_bytes(b'[7,"act",1]')
    slow.actions[0][1]()
    assert made.broker.memory.total == 0


def test_publications_that_the_application_has_not_decided_about() -> None:
    made, slow = world(per_session=2 * pending_bytes(PUBLISH))
    client = made.client()
    for _ in range(3):
        made.says(client, PUBLISH)
    assert made.ledger.refusals() == {"session-memory": 1}
    assert kept(client) == 2 * pending_bytes(PUBLISH)
    for _, decide in slow.asked:
        decide(PASS)
    assert made.broker.memory.total == 0
    assert made.ledger.refusals() == {"session-memory": 1}


def test_a_call_behind_a_publication_is_counted_once_at_a_time() -> None:
    made, slow = world()
    client = made.client()
    made.says(client, PUBLISH)
    made.says(client, CALL)
    assert kept(client) == pending_bytes(PUBLISH) + pending_bytes(CALL)
    slow.asked[0][1](PASS)
    assert kept(client) == pending_bytes(CALL)
    slow.calls[0][1](b"[3]")
    assert made.broker.memory.total == 0


def test_a_session_without_memory_for_its_automatic_topics_ends() -> None:
    made = World(auto_subscribe=["a", "u.{user}"], memory=MemoryLimits(700, 9999, 9999))
    assert made.client().peer.ends == []
    ended = made.client(identity=Identity(user="ann", source="token"))
    assert ended.peer.ends == [(CloseReason.MEMORY_LIMIT, "session-memory")]
    changed = made.client()
    changed.become(Identity(user="ann", source="token"))
    assert changed.peer.ends == [(CloseReason.MEMORY_LIMIT, "session-memory")]
