"""Listing topics and sessions over HTTP, and ending sessions."""

from __future__ import annotations

import json

import pytest

from tests.edges.http.http_in_memory import Exchange, RecordedListing, ask, edge_with, problem_of
from wampush.edges.http.routes import HttpEdge

TOKEN = b"0123456789abcdef0123456789abcdef"
BEARER = f"Authorization: Bearer {TOKEN.decode()}\r\n"


@pytest.fixture
def listed() -> RecordedListing:
    return RecordedListing()


@pytest.fixture
def edge(listed: RecordedListing) -> HttpEdge:
    return edge_with(listed=listed)


@pytest.mark.parametrize(
    ("path", "key", "asked"),
    [
        ("/topics", "topics", ["", "", 100]),
        ("/topics?prefix=caf%C3%A9.&after=caf%C3%A9.a&limit=7", "topics", ["café.", "café.a", 7]),
        ("/topics?limit=1000", "topics", ["", "", 1000]),
        ("/sessions", "sessions", [None, "", 100]),
        ("/sessions?user=a%2Fb&limit=1&after=x", "sessions", ["a/b", "x", 1]),
    ],
)
def test_the_query_selects_a_page(edge: HttpEdge, path: str, key: str, asked: list[object]) -> None:
    response = ask(edge, path)
    assert response.status == 200
    assert json.loads(response.body) == {key: asked, "next": None}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=0", 'limit must be a number from 1 to 1000, not "0"'),
        ("limit=1001", 'limit must be a number from 1 to 1000, not "1001"'),
        ("limit=-1", 'limit must be a number from 1 to 1000, not "-1"'),
        ("limit=", 'limit must be a number from 1 to 1000, not ""'),
        ("limit=1&limit=2", "the query has limit more than once"),
        ("from=1", 'the query has "from"; known keys are'),
        ("after=%FF", "the query is not UTF-8"),
    ],
)
@pytest.mark.parametrize("path", ["/topics", "/sessions"])
def test_a_query_that_is_not_valid(edge: HttpEdge, path: str, query: str, error: str) -> None:
    response = ask(edge, f"{path}?{query}")
    assert response.status == 400
    assert problem_of(response).startswith(error)


def test_a_listing_needs_access(listed: RecordedListing) -> None:
    edge = edge_with(listed=listed, token=TOKEN)
    for path in ("/topics", "/sessions"):
        refused = ask(edge, path)
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == 'Bearer realm="wampush"'
        assert ask(edge, path, headers=BEARER).status == 200


def test_sessions_of_a_user_are_ended(edge: HttpEdge, listed: RecordedListing) -> None:
    response = ask(edge, "/sessions?user=7", method="DELETE")
    assert (response.status, json.loads(response.body)) == (200, {"ended": 2})
    assert listed.ended == ["7"]


@pytest.mark.parametrize("query", ["", "?user=", "?user=7&user=8", "?users=7"])
def test_nobody_is_ended_without_one_user(
    edge: HttpEdge, listed: RecordedListing, query: str
) -> None:
    assert ask(edge, f"/sessions{query}", method="DELETE").status == 400
    assert listed.ended == []


def test_one_session_is_ended(edge: HttpEdge) -> None:
    response = ask(edge, "/sessions/abc", method="DELETE")
    assert (response.status, json.loads(response.body)) == (200, {"ended": 1})
    missing = ask(edge, "/sessions/other", method="DELETE")
    assert (missing.status, problem_of(missing)) == (404, "no session has this id")


@pytest.mark.parametrize("path", ["/sessions?user=7", "/sessions/abc"])
def test_ending_sessions_needs_the_access_of_publishing(path: str) -> None:
    listed = RecordedListing()
    refused = ask(edge_with(listed=listed, token=TOKEN), path, method="DELETE")
    assert (refused.status, json.loads(refused.body)["code"]) == (401, "no-access")
    origin = "Origin: http://evil.example\r\n"
    foreign = ask(edge_with(listed=listed), path, method="DELETE", headers=origin)
    assert (foreign.status, json.loads(foreign.body)["code"]) == (403, "foreign-page")
    assert listed.ended == []
    assert (
        ask(edge_with(listed=listed, token=TOKEN), path, method="DELETE", headers=BEARER).status
        == 200
    )


def test_a_session_is_shown(edge: HttpEdge) -> None:
    assert json.loads(ask(edge, "/sessions/abc").body) == {"session": "abc"}
    missing = ask(edge, "/sessions/other")
    assert (missing.status, problem_of(missing)) == (404, "no session has this id")


def test_nodes_that_do_not_answer_are_named(edge: HttpEdge, listed: RecordedListing) -> None:
    listed.unanswered = ("b", "c")
    response = ask(edge, "/sessions?user=7", method="DELETE")
    assert response.status == 504
    assert problem_of(response).startswith("2 sessions end; no answer from b, c")
    document = json.loads(response.body)
    assert (document["ended"], document["unanswered"]) == (2, ["b", "c"])
    assert document["code"] == "nodes-silent"
    for method in ("GET", "DELETE"):
        missing = ask(edge, "/sessions/other", method=method)
        assert missing.status == 504
        assert json.loads(missing.body)["unanswered"] == ["b", "c"]
        assert "ended" not in json.loads(missing.body)
    # One that was found is found.
    assert ask(edge, "/sessions/abc", method="DELETE").status == 200
    assert ask(edge, "/sessions/abc").status == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/topics", "GET"),
        ("/sessions", "GET"),
        ("/sessions/abc", "GET"),
        ("/sessions/abc", "DELETE"),
        ("/sessions?user=7", "DELETE"),
    ],
)
def test_a_response_waits_for_other_nodes(
    edge: HttpEdge, listed: RecordedListing, path: str, method: str
) -> None:
    listed.waiting = []
    running = Exchange(edge, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert running.received == b""
    (answer,) = listed.waiting
    answer()
    assert running.received.startswith(b"HTTP/1.1 200 ")
    running.lose()
    # A client may go away before the answer.
    gone = Exchange(edge, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    gone.lose()
    listed.waiting[1]()
