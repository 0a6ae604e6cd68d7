"""How calls are answered, and ``wampush.refresh``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.broker.world import World
from wampush.broker.identity import Identity
from wampush.broker.requests.procedures import CallRefused, check_no_arguments, refresh
from wampush.broker.subscriber import Subscriber
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.wamp.messages import Call
from wampush.wamp.uris import PROCEDURE_REFRESH

PRESENT = Identity(user="7", groups=frozenset({"old"}), expires=2000.0, source="token")


def answers(world: World, *messages: object) -> list[Any]:
    client = world.client(limit=10_000)
    client.become(PRESENT)
    for message in messages:
        world.says(client, json.dumps(message))
    world.end_turn()
    return [json.loads(text) for text in client.texts]


def echo(_: Subscriber, call: Call) -> object:
    return list(call.arguments)


def raise_refused(*_: object) -> object:
    raise CallRefused("http://example.com/error#no", "because", {"more": 1})


def test_results_errors_and_values_that_cannot_be_written():
    world = World()
    world.serve(
        {
            "echo": echo,
            "none": lambda *_: None,
            "odd": lambda *_: object(),
            "no": raise_refused,
        }
    )
    calls = [[2, name, name, 1, "x"] for name in ("echo", "none", "odd", "no")]
    got = answers(world, *calls)
    assert got[0] == [3, "echo", [1, "x"]]
    assert got[1] == [3, "none", None]
    assert got[2][:3] == [4, "odd", "http://api.wamp.ws/error#internal"]
    assert got[3] == [4, "no", "http://example.com/error#no", "because", {"more": 1}]


def test_the_error_uri_is_shrunk_by_a_prefix_of_the_client():
    world = World()
    world.serve({"no": raise_refused})
    got = answers(world, [1, "e", "http://example.com/error#"], [2, "1", "no"])
    assert got[0][2] == "e:no"


def test_arguments_where_none_are_taken():
    check_no_arguments(Call("c", "wampush.time"))
    with pytest.raises(CallRefused) as caught:
        check_no_arguments(Call("c", "wampush.time", (None,)))
    assert caught.value.uri == "http://api.wamp.ws/error#invalid-argument"
    assert str(caught.value) == "wampush.time takes no arguments"


class Refreshed:
    """A session opened with a token, and the identity that the next token speaks of."""

    def __init__(self, present: Identity = PRESENT) -> None:
        self.world = World()
        self.fresh: Identity | None = None
        self.world.serve({PROCEDURE_REFRESH: refresh(self._identify, self.world.change)})
        self.client = self.world.client(limit=10_000)
        self.client.become(present)
        self.client.peer.identities.clear()

    @property
    def changes(self) -> int:
        return len(self.client.peer.identities)

    def _identify(self, _: str) -> Identity:
        if self.fresh is None:
            raise AuthenticationRefused(CloseReason.TOKEN_REFUSED, "It has expired.")
        return self.fresh

    def call(self, *arguments: Any) -> Any:
        self.world.says(self.client, json.dumps([2, "c", PROCEDURE_REFRESH, *arguments]))
        self.world.end_turn()
        return json.loads(self.client.texts[-1])


def test_refresh_gives_the_session_the_identity_in_the_token():
    session = Refreshed()
    session.fresh = Identity(
        user="7", groups=frozenset({"new"}), expires=3000.0, source="token", language="de"
    )
    assert session.call("token") == [3, "c", {"user": "7", "expires": 3000.0}]
    assert session.client.subscriber.identity is session.fresh
    assert session.changes == 1


@pytest.mark.parametrize(
    ("arguments", "fresh", "error"),
    [
        ((), PRESENT, "invalid-argument"),
        ((1,), PRESENT, "invalid-argument"),
        (("a", "b"), PRESENT, "invalid-argument"),
        (("a",), None, "token-refused"),
        (("a",), Identity(user="8", source="token"), "token-refused"),
        (("a",), Identity(source="token"), "token-refused"),
    ],
)
def test_refresh_refuses(arguments, fresh, error):
    session = Refreshed()
    session.fresh = fresh
    assert session.call(*arguments)[2] == f"http://api.wamp.ws/error#{error}"
    assert session.client.subscriber.identity is PRESENT
    assert session.changes == 0


@pytest.mark.parametrize("source", ["anonymous", "callback", "cra", "awaiting-cra"])
def test_only_sessions_opened_with_a_token_are_refreshed(source):
    session = Refreshed(Identity(user="7", source=source))
    session.fresh = PRESENT
    assert session.call("token")[2] == "http://api.wamp.ws/error#token-refused"
