"""The channels that a node follows at Redis, and the commands about them."""

from __future__ import annotations

from wampush.edges.backplane.following import BATCH, Following


def test_changes_are_told_in_their_order_and_in_batches() -> None:
    following = Following(b"p{m}:", "c:own")
    following.add([f"t:{number}" for number in range(BATCH + 1)])
    following.remove(["t:0", "t:1"])
    following.add(["t:ä"])
    commands = list(following.commands())
    assert [(words[0], len(words) - 1) for words in commands] == [
        (b"SUBSCRIBE", BATCH),
        (b"SUBSCRIBE", 1),
        (b"UNSUBSCRIBE", 2),
        (b"SUBSCRIBE", 1),
    ]
    assert commands[3][1] == "p{m}:t:ä".encode()
    assert list(following.commands()) == []
    assert len(following) == BATCH


def test_a_new_server_is_told_what_is_wanted_then() -> None:
    following = Following(b"p:", "c:own")
    following.add(["t:a", "t:b"])
    following.remove(["t:a"])
    following.begin_again()
    assert list(following.commands()) == [(b"SUBSCRIBE", b"p:c:own", b"p:t:b")]
    following.remove(["t:b", "t:unknown"])
    following.forget_changes()
    assert list(following.commands()) == []
    assert len(following) == 0


def test_confirmations_are_handed_on_once() -> None:
    following = Following(b"p:", "c:own")
    for kind, name in (
        (b"subscribe", b"p:t:a"),
        (b"subscribe", b"p:c:own"),
        (b"unsubscribe", b"p:t:b"),
    ):
        following.on_confirmed(kind, name)
    assert following.take_confirmed() == ["t:a"]
    assert following.take_confirmed() == []
