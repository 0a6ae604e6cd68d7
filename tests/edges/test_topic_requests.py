"""Requests over HTTP for the state and the history of a topic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.reading import MAX_EVENTS, HistoryReader
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.publication import Audience, Position, Publication, Targets
from wampush.edges.problems import RequestRefused
from wampush.edges.topic_requests import Answer, TopicAnswers, TopicRequest, topic_request

RULES = HistoryRules([("table", HistoryRule(last_by="id")), ("log", HistoryRule(events=5))])
SEVEN = Identity(user="7", source="token")


@pytest.fixture
def history() -> MemoryHistory:
    return MemoryHistory(RULES, 1_000_000, lambda: 1e9, lambda: 1.0)


def publish(history: MemoryHistory, topic: str, *payloads: bytes, **audience: Any) -> None:
    for payload in payloads:
        history.append(Publication(topic, payload, Audience(**audience)))


def ask(
    history: MemoryHistory,
    target: str,
    identity: Identity | None = ANONYMOUS,
    known: str = "",
    **options: Any,
) -> Answer:
    reader = HistoryReader(history, 1000, **options)
    return TopicAnswers(reader).respond(topic_request(target), identity, known)


def data(answer: Answer) -> list[Any]:
    return [each["data"] for each in json.loads(answer.body)["events"]]


@pytest.mark.parametrize(
    ("target", "topic", "is_history"),
    [
        ("/topics/orders", "orders", False),
        ("/topics/orders/history", "orders", True),
        ("/topics/orders%2Fhistory", "orders/history", False),
        ("/topics/orders%2Fhistory/history", "orders/history", True),
        ("/topics/a/b/c", "a/b/c", False),
        ("/topics//a/", "/a/", False),
        ("/topics/history", "history", False),
        ("/topics/a%3Fb%20c+d", "a?b c+d", False),
        ("/topics/http://example.com/chat%23room", "http://example.com/chat#room", False),
        ("/topics/gr%C3%BC%C3%9Fe/history", "grüße", True),
    ],
)
def test_the_topic_is_the_rest_of_the_path(target: str, topic: str, is_history: bool) -> None:
    assert topic_request(target) == TopicRequest(topic=topic, is_history=is_history)


def test_the_query_of_a_history() -> None:
    request = topic_request("/topics/log/history?since=a_b-C:17&limit=20")
    assert (request.since, request.limit) == (Position("a_b-C", 17), 20)
    assert topic_request("/topics/log/history").limit == MAX_EVENTS


@pytest.mark.parametrize(
    ("target", "status", "detail"),
    [
        ("/topics/", 404, "the path names no topic"),
        ("/topics//history", 404, "the path names no topic"),
        ("/topics/%FF", 400, "the path is not UTF-8"),
        ("/topics/a?since=e:1", 400, 'the query has "since"; known keys are none'),
        ("/topics/a/history?from=1", 400, 'the query has "from"; known keys are since, limit'),
        ("/topics/a/history?limit=1001", 400, "limit must be a number from 1 to 1000"),
        ("/topics/a/history?since=7", 400, "since must be a position such as"),
        ("/topics/a/history?since=:7", 400, "since must be a position such as"),
        ("/topics/a/history?since=e:-1", 400, "since must be a position such as"),
        ("/topics/a/history?since=e:99999999999999999", 400, "since must be a position"),
        ("/topics/a/history?since=e:", 400, "since must be a position such as"),
    ],
)
def test_what_there_is_not(target: str, status: int, detail: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        topic_request(target)
    assert caught.value.status == status
    assert caught.value.detail.startswith(detail)


def test_the_values_of_a_topic_and_its_position(history: MemoryHistory) -> None:
    publish(history, "table", b'{"id":1,"n":1.0}', b'{"id":2}', b'{"id":1,"n":2.50}')
    answer = ask(history, "/topics/table")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    # Byte for byte.
    assert b'"data":{"id":1,"n":2.50}' in answer.body
    document = json.loads(answer.body)
    assert document["topic"] == "table"
    assert [each["offset"] for each in document["events"]] == [2, 3]
    position = history.position("table")
    assert position is not None
    assert (document["epoch"], document["offset"]) == (position.epoch, 3)


def test_the_history_goes_on_after_a_position(history: MemoryHistory) -> None:
    publish(history, "log", b"1", b"2", b"3")
    start = json.loads(ask(history, "/topics/log").body)
    path = f"/topics/log/history?since={start['epoch']}:"
    part = ask(history, f"{path}0&limit=2")
    assert (data(part), json.loads(part.body)["complete"]) == ([1, 2], False)
    rest = ask(history, f"{path}2&limit=2")
    assert (data(rest), json.loads(rest.body)["complete"]) == ([3], True)
    other = ask(history, "/topics/log/history?since=other:1")
    assert (data(other), json.loads(other.body)["complete"]) == ([], False)


@pytest.mark.parametrize("reader", [True, False])
def test_a_topic_without_history(history: MemoryHistory, reader: bool) -> None:
    known = HistoryReader(history, 1000) if reader else None
    for path in ("/topics/other", "/topics/other/history"):
        with pytest.raises(RequestRefused) as caught:
            TopicAnswers(known).respond(topic_request(path), ANONYMOUS, "")
        assert (caught.value.status, caught.value.code) == (404, "no-history")


def test_an_unchanged_state_is_not_sent_again(history: MemoryHistory) -> None:
    publish(history, "table", b'{"id":1}')
    first = ask(history, "/topics/table")
    tag = first.headers["ETag"]
    assert tag.startswith('"')
    for known in (tag, f'"other", W/{tag}', "*"):
        again = ask(history, "/topics/table", known=known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert ask(history, "/topics/table", known='"other"').status == 200
    publish(history, "table", b'{"id":1}')
    changed = ask(history, "/topics/table", known=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_events_for_others_are_not_shown(history: MemoryHistory) -> None:
    publish(history, "log", b"1")
    publish(history, "log", b"2", to=Targets(users=frozenset({"7"})))
    publish(history, "log", b"3", eligible=frozenset({"a session"}))
    seen = [ask(history, "/topics/log/history", who) for who in (ANONYMOUS, SEVEN, None)]
    assert [data(answer) for answer in seen] == [[1], [1, 2], [1, 2, 3]]
    # The response for one must not pass for that of another from a cache.
    tags = [answer.headers["ETag"] for answer in seen]
    assert len(set(tags)) == 3
    assert ask(history, "/topics/log/history", ANONYMOUS, tags[1]).status == 200
    for answer in seen:
        assert answer.headers["Cache-Control"] == "private, no-cache"


def test_parts_go_on_past_events_for_others(history: MemoryHistory) -> None:
    publish(history, "log", b"1", b"2", b"3", to=Targets(users=frozenset({"8"})))
    publish(history, "log", b"4", b"5")
    epoch = json.loads(ask(history, "/topics/log").body)["epoch"]
    part = ask(history, f"/topics/log/history?since={epoch}:0&limit=1", SEVEN)
    assert (data(part), json.loads(part.body)["complete"]) == ([4], False)


def test_operators_see_which_events_are_not_for_everyone(history: MemoryHistory) -> None:
    history.append(Publication("log", b"1"))
    publish(history, "log", b"2", to=Targets(users=frozenset({"7"})))
    answer = ask(history, "/topics/log/history", None, marks_restricted=True)
    assert [each.get("restricted") for each in json.loads(answer.body)["events"]] == [None, True]


def test_clients_share_the_bytes_of_what_is_for_all(history: MemoryHistory) -> None:
    publish_to_all(history, "log", b"1", b"2")
    answers = TopicAnswers(HistoryReader(history, 1000))
    request = topic_request("/topics/log/history")
    first = answers.respond(request, ANONYMOUS, "")
    assert answers.respond(request, SEVEN, "").body is first.body
    assert answers.respond(request, SEVEN, first.headers["ETag"]).status == 304
    publish_to_all(history, "log", b"3")
    assert data(answers.respond(request, SEVEN, "")) == [1, 2, 3]
    part = answers.respond(topic_request("/topics/log/history?limit=1"), SEVEN, "")
    assert data(part) == [3]


def test_what_is_for_some_is_not_shared(history: MemoryHistory) -> None:
    publish_to_all(history, "log", b"1")
    publish(history, "log", b"2", to=Targets(users=frozenset({"7"})))
    answers = TopicAnswers(HistoryReader(history, 1000))
    request = topic_request("/topics/log/history")
    for _ in range(2):
        assert data(answers.respond(request, SEVEN, "")) == [1, 2]
        assert data(answers.respond(request, ANONYMOUS, "")) == [1]


def test_few_responses_are_kept(history: MemoryHistory) -> None:
    answers = TopicAnswers(HistoryReader(history, 1000))
    for number in range(20):
        answers.respond(topic_request(f"/topics/log/history?limit={number + 1}"), SEVEN, "")
    assert len(answers._shared) == 8


def test_long_bodies_are_shared_too_but_few_are_kept() -> None:
    rules = HistoryRules([("log", HistoryRule(events=5, max_bytes=20_000_000))])
    history = MemoryHistory(rules, 20_000_000, lambda: 1e9, lambda: 1.0)
    publish_to_all(history, "log", b'"%b"' % (b"x" * 3_000_000))
    answers = TopicAnswers(HistoryReader(history, 1000))
    requests = [topic_request(f"/topics/log/history?limit={number}") for number in range(1, 5)]
    for each in requests:
        first = answers.respond(each, ANONYMOUS, "")
        assert answers.respond(each, SEVEN, "").body is first.body
    assert len(answers._shared) == 2
    assert answers._shared_bytes == sum(len(each.body) for each in answers._shared.values())
    publish_to_all(history, "log", b'"%b"' % (b"x" * 9_000_000))
    first = answers.respond(requests[0], ANONYMOUS, "")
    assert answers.respond(requests[0], SEVEN, "").body is first.body
    assert len(answers._shared) == 1


def publish_to_all(history: MemoryHistory, topic: str, *payloads: bytes) -> None:
    for payload in payloads:
        history.append(Publication(topic, payload))
