"""The example chat: every message reaches all other clients."""

from __future__ import annotations

from tests.apps.sample_components import HostWorld
from wampush.examples.chat import Chat


def test_messages_reach_all_others() -> None:
    world = HostWorld(Chat())
    ann, ann_runner = world.connect()
    bob, bob_runner = world.connect()
    carol, carol_runner = world.connect()
    assert ann.written == ["Client 2 connected.", "Client 3 connected."]
    bob_runner.on_message("hello")
    bob_runner.on_message(b"\x00")
    assert ann.written[2:] == carol.written == ["hello", b"\x00"]
    assert bob.written == ["Client 3 connected."]
    world.lose(carol, carol_runner)
    ann_runner.on_message("bye")
    assert bob.written[1:] == ["bye"]
    assert len(carol.written) == 2
