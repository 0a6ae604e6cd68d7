"""What operators see of all nodes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from wampush.broker.session_ends import EndedSessions
from wampush.node.monitoring.all_nodes import AllNodes
from wampush.node.monitoring.inspection import Inspection
from wampush.testing import InMemoryBus, InMemoryServer


class Server(InMemoryServer):
    """A server, and what its HTTP port would show."""

    def __init__(self, bus: InMemoryBus | None, name: str) -> None:
        super().__init__(settings={"presence.grace": 1}, bus=bus, name=name)
        inspection = Inspection(
            requests=self._requests, connections=lambda: 0, redis=list, webhooks=None
        )
        self.nodes = self._core.broker.nodes
        self.all_nodes = AllNodes(inspection, self._core.ends, self.nodes)

    def topics(self, prefix: str = "", after: str = "", limit: int = 100) -> Mapping[str, Any]:
        pages: list[Mapping[str, Any]] = []
        self.all_nodes.topics(prefix, after, limit, pages.append)
        self.settle()
        (page,) = pages
        return page

    def sessions(
        self, user: str | None = None, after: str = "", limit: int = 100
    ) -> Mapping[str, Any]:
        pages: list[Mapping[str, Any]] = []
        self.all_nodes.sessions(user, after, limit, pages.append)
        self.settle()
        (page,) = pages
        return page

    def session(self, session_id: str) -> tuple[Any, tuple[str, ...]]:
        found: list[tuple[Any, tuple[str, ...]]] = []
        self.all_nodes.session(session_id, lambda *each: found.append(each))
        self.settle()
        (one,) = found
        return one


@pytest.fixture
def servers() -> Iterator[Sequence[Server]]:
    bus = InMemoryBus()
    made = [Server(bus, "a"), Server(bus, "b")]
    made[0].advance(1.1)
    yield made
    for each in made:
        each.close()


def test_topics_count_their_subscribers_at_all_nodes(servers: Sequence[Server]) -> None:
    a, b = servers
    for server, topics in ((a, "xyz"), (b, "xw"), (b, "x")):
        client = server.connect()
        for topic in topics:
            client.subscribe(topic)
    expected = [("w", 1), ("x", 3), ("y", 1), ("z", 1)]
    for server in servers:
        page = server.topics()
        assert [(each["topic"], each["subscribers"]) for each in page["topics"]] == expected
        assert (page["next"], page["unanswered"]) == (None, [])
    assert a.topics("x")["topics"] == [{"topic": "x", "subscribers": 3}]


def test_pages_of_all_nodes_make_pages(servers: Sequence[Server]) -> None:
    for number in range(20):
        servers[number % 2].connect().subscribe(f"{number:02}")
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = servers[0].topics(after=after, limit=3)
        seen += [each["topic"] for each in page["topics"]]
        after = page["next"]
    assert seen == [f"{number:02}" for number in range(20)]
    assert servers[0].topics(limit=20)["next"] is None


def test_sessions_say_at_which_node_they_are(servers: Sequence[Server]) -> None:
    a, b = servers
    clients = {a.connect(user="7").session_id: "a", b.connect(user="7").session_id: "b"}
    b.connect(user="8")
    page = a.sessions("7")
    assert {each["session"]: each["node"] for each in page["sessions"]} == clients
    assert [each["session"] for each in page["sessions"]] == sorted(clients)
    assert len(b.sessions()["sessions"]) == 3


def test_a_session_is_found_at_any_node(servers: Sequence[Server]) -> None:
    a, b = servers
    there = b.connect(user="7")
    for server in servers:
        found, unanswered = server.session(there.session_id)
        assert (found["user"], found["node"], unanswered) == ("7", "b", ())
    assert a.session("unknown") == (None, ())


def test_sessions_are_ended_at_all_nodes(servers: Sequence[Server]) -> None:
    a, b = servers
    b.connect(user="7"), a.connect(user="7")
    other = b.connect(user="8")
    ended: list[EndedSessions] = []
    a.all_nodes.end_user_sessions("7", ended.append)
    a.settle()
    a.all_nodes.end_session(other.session_id, ended.append)
    a.settle()
    assert [(each, each.unanswered) for each in ended] == [(2, ()), (1, ())]
    assert b.sessions()["sessions"] == []


def test_nodes_that_do_not_answer_are_named(servers: Sequence[Server]) -> None:
    a, b = servers
    a.connect().subscribe("x")
    assert b.nodes is not None
    b.nodes.questions.answer_with("topics", lambda _: [1])
    b.nodes.questions.answer_with("sessions", lambda _: {"sessions": [{"session": 3}]})
    assert a.topics()["unanswered"] == ["b"]
    assert a.sessions()["unanswered"] == ["b"]
    assert len(a.sessions()["sessions"]) == 1
    bus: Any = b.clock
    assert bus is a.clock


@pytest.mark.parametrize("count", [-1, True, 2**60, 1.5, None])
def test_numbers_that_nobody_has_counted_are_no_answer(
    servers: Sequence[Server], count: object
) -> None:
    a, b = servers
    assert b.nodes is not None
    page = {"topics": [{"topic": "x", "subscribers": count}], "next": None}
    b.nodes.questions.answer_with("topics", lambda _: page)
    b.nodes.questions.answer_with("end-user", lambda _: count)
    assert a.topics() == {"topics": [], "next": None, "unanswered": ["b"]}
    ended: list[EndedSessions] = []
    a.all_nodes.end_user_sessions("7", ended.append)
    a.settle()
    assert (int(ended[0]), ended[0].unanswered) == (0, () if count is None else ("b",))


def test_a_topic_counts_once_for_each_node(servers: Sequence[Server]) -> None:
    a, b = servers
    assert b.nodes is not None
    topics = [{"topic": "x", "subscribers": 2**53}] * 3000
    b.nodes.questions.answer_with("topics", lambda _: {"topics": topics})
    a.connect().subscribe("x")
    assert a.topics()["topics"] == [{"topic": "x", "subscribers": 2**53 + 1}]


@pytest.mark.parametrize("found", [{}, {"session": "another"}, {"session": 1}, [], 5])
def test_another_session_is_no_answer(servers: Sequence[Server], found: object) -> None:
    a, b = servers
    assert b.nodes is not None
    b.nodes.questions.answer_with("session", lambda _: found)
    assert a.session("wanted") == (None, ("b",))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("topics", {"prefix": 1, "after": "", "limit": 1}),
        ("topics", {"prefix": "", "after": None, "limit": 1}),
        ("topics", {"prefix": "", "after": "", "limit": 1001}),
        ("topics", {"prefix": "", "after": "", "limit": True}),
        ("sessions", {"user": 1, "after": "", "limit": 1}),
        ("sessions", {"user": "7", "after": 1, "limit": 1}),
        ("session", {"session": None}),
    ],
)
def test_a_question_that_is_wrong_is_refused(
    servers: Sequence[Server], name: str, arguments: Mapping[str, object]
) -> None:
    a, b = servers
    answers: list[Any] = []
    assert a.nodes is not None
    a.nodes.questions.ask(name, arguments, answers.append)
    a.settle()
    assert answers[0].unanswered == ("b",)
    assert [each.refusal.code for each in b._core.broker.ledger.recent] == ["node-form"]


def test_a_single_node_says_nothing_of_nodes() -> None:
    with Server(None, "a") as alone:
        client = alone.connect(user="7")
        client.subscribe("x")
        assert alone.topics() == {"topics": [{"topic": "x", "subscribers": 1}], "next": None}
        assert "node" not in alone.sessions()["sessions"][0]
        found, unanswered = alone.session(client.session_id)
        assert (found["user"], unanswered) == ("7", ())
        assert "node" not in found
