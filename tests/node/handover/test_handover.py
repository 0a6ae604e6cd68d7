"""Sessions go on in another node: nobody is disconnected, nothing is lost or doubled."""

from __future__ import annotations

from tests.support.two_nodes import CATCH_UP, DEFLATE, two_nodes


def test_a_session_goes_on() -> None:
    with two_nodes(CATCH_UP) as nodes:
        plain = nodes.client(topics=["a", "kept"])
        small = nodes.client(DEFLATE, topics=["a"])
        nodes.old.publish("a", 1)
        nodes.old.publish("kept", 1)
        given, taken = nodes.hand_over()
        assert (given.sessions, given.staying, taken.sessions, taken.lost) == (2, 0, 2, 0)
        nodes.new.publish("a", 2)
        nodes.old.publish("a", 3)
        nodes.new.publish("kept", 2)
        nodes.read_all()
        assert plain.events("a") == small.events("a") == [1, 2, 3]
        assert plain.events("kept") == [1, 2]
        plain.text(5, "more")
        nodes.read_all()
        nodes.new.publish("more", "m")
        nodes.read_all()
        assert plain.events("more") == ["m"]
