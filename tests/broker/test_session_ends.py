"""Ending sessions wherever they are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.broker.nodes.node_world import Installation, TestNode
from tests.broker.world import Client, World
from wampush.broker.session_ends import EndedSessions, SessionEnds
from wampush.errors import CloseReason

OPERATOR, APPLICATION = CloseReason.ENDED_BY_OPERATOR, CloseReason.ENDED_BY_APPLICATION


class Ends:
    """Nodes that end sessions."""

    def __init__(self) -> None:
        self.world = Installation(3)
        self.of = {node.name: SessionEnds(node.broker, node.nodes) for node in self.world.nodes}
        self.done: list[EndedSessions] = []

    @property
    def nodes(self) -> Sequence[TestNode]:
        return self.world.nodes

    def join(self, node: str, user: str) -> Client:
        (found,) = [each for each in self.nodes if each.name == node]
        return found.join(user)

    def outcome(self) -> tuple[int, tuple[str, ...]]:
        """The one answer."""
        self.world.settle()
        (ended,) = self.done
        self.done.clear()
        return int(ended), ended.unanswered


@pytest.fixture
def ends() -> Ends:
    return Ends()


def test_the_sessions_of_a_user_end_at_all_nodes(ends: Ends) -> None:
    clients = [ends.join(node, user) for node, user in ("a7", "b7", "b7", "c8")]
    first = ends.of["a"].end_user("7", APPLICATION, "banned", ends.done.append)
    assert (first, first.unanswered) == (1, ("b", "c"))
    assert ends.outcome() == (3, ())
    assert [each.peer.ends for each in clients] == [[(APPLICATION, "banned")]] * 3 + [[]]


def test_one_session_ends_wherever_it_is(ends: Ends) -> None:
    here, there = ends.join("a", "7"), ends.join("c", "8")
    ends.of["a"].end_session(here.id, OPERATOR, ends.done.append)
    assert ends.outcome() == (1, ())
    ends.of["a"].end_session(there.id, OPERATOR, ends.done.append)
    assert ends.outcome() == (1, ())
    assert here.peer.ends == there.peer.ends == [(OPERATOR, "")]
    here.peer.ended = OPERATOR
    for unknown in (here.id, "unknown"):
        ends.of["a"].end_session(unknown, OPERATOR, ends.done.append)
        assert ends.outcome() == (0, ())


def test_nodes_that_have_not_answered_are_named_and_end_them_later(ends: Ends) -> None:
    client = ends.join("c", "7")
    ends.nodes[2].freeze()
    ends.of["a"].end_user("7", OPERATOR, "", ends.done.append)
    ends.world.wait(2.1)
    assert ends.outcome() == (0, ("c",))
    assert client.peer.ends == []
    ends.nodes[2].wake()
    assert client.peer.ends == [(OPERATOR, "")]


def test_a_node_may_end_sessions_only_for_reasons_that_are_meant_for_this(ends: Ends) -> None:
    client = ends.join("b", "7")
    a, b, _ = ends.nodes
    for arguments in (
        {"user": "7", "reason": CloseReason.PEER_LOST.code},
        {"user": 7, "reason": OPERATOR.code},
        {"user": "7", "reason": OPERATOR.code, "detail": 1},
    ):
        assert a.ask("end-user", **arguments) == []
    assert a.ask("end-session", session=3, reason=OPERATOR.code) == []
    ends.world.settle()
    assert client.peer.ends == []
    assert len(b.refused) == 4


def test_an_answer_that_is_no_count_is_no_answer(ends: Ends) -> None:
    ends.nodes[1].nodes.questions.answer_with("end-user", lambda _: "many")
    ends.of["a"].end_user("7", OPERATOR, "", ends.done.append)
    assert ends.outcome() == (0, ("b",))


def test_a_single_node_answers_at_once() -> None:
    world = World()
    done: list[EndedSessions] = []
    ends = SessionEnds(world.broker, None)
    assert ends.end_user("7", OPERATOR, "", done.append) == 0
    ends.end_session("unknown", OPERATOR, done.append)
    assert [(each, each.unanswered) for each in done] == [(0, ()), (0, ())]
