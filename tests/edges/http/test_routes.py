"""The routes of the HTTP port: what each address shows, and to whom."""

from __future__ import annotations

import json

import pytest

from tests.edges.http.http_in_memory import (
    LIMITS,
    RecordedListing,
    RecordedProbes,
    RecordedPushes,
    ask,
    complete_edge,
    edge_with,
    no_topic,
    problem_of,
    run,
    watch_nothing,
)
from wampush.edges.http.operator_access import HttpAccess
from wampush.edges.http.routes import HttpEdge, HttpView
from wampush.edges.topic_requests import Answer


@pytest.fixture
def edge() -> HttpEdge:
    return complete_edge()


def test_health_is_the_mapping_handed_in(edge: HttpEdge) -> None:
    response = ask(edge, "/healthz")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert json.loads(response.body) == {
        "status": "ok",
        "sessions": 3,
        "topics": 2,
        "connections": 4,
    }


def test_health_is_503_while_stopping() -> None:
    edge = edge_with(lambda: {"status": "stopping", "sessions": 1})
    response = ask(edge, "/healthz")
    assert response.status == 503
    assert json.loads(response.body)["status"] == "stopping"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8081", "ws://127.0.0.1:8080/"),
        ("push.example.org", "ws://push.example.org:8080/"),
        ("localhost:", "ws://localhost:8080/"),
        ("[::1]:8081", "ws://[::1]:8080/"),
        (None, "ws://127.0.0.1:8080/"),
    ],
)
def test_demo_settings_follow_the_host(edge: HttpEdge, host: str | None, expected: str) -> None:
    response = ask(edge, "/demo/settings.json", host=host)
    assert response.status == 200
    assert json.loads(response.body) == {"websocket": expected, "push": "tcp://127.0.0.1:5555"}


@pytest.mark.parametrize(
    ("address", "host", "shown"),
    [
        (None, "localhost", None),
        ("tcp://127.0.0.1:5556", "push.example.org", "tcp://127.0.0.1:5556"),
        ("ipc:///run/wampush/push", "localhost", "ipc:///run/wampush/push"),
        ("ipc:///run/wampush/push", "push.example.org", None),
    ],
)
def test_demo_settings_tell_where_to_push(
    address: str | None, host: str, shown: str | None
) -> None:
    view = HttpView(
        status=lambda: {"status": "ok"},
        probed=RecordedProbes(),
        refusals=list,
        refused_handshake=lambda _: None,
        websocket_url=str,
        push_address=lambda: address,
        metrics=lambda: b"",
        listed=RecordedListing(),
        topic=no_topic,
        watch=watch_nothing,
    )
    edge = HttpEdge(view, RecordedPushes(), HttpAccess(None), LIMITS)
    assert json.loads(ask(edge, "/demo/settings.json", host=host).body)["push"] == shown


def test_demo_settings_without_a_listener_are_503() -> None:
    response = ask(edge_with(lambda: {"status": "ok"}), "/demo/settings.json")
    assert response.status == 503


def test_a_page_can_ask_why_its_handshake_was_refused(edge: HttpEdge) -> None:
    refused = json.loads(ask(edge, "/demo/refusal.json", peer="192.0.2.7").body)
    assert refused == {"refusal": {"reason": "token-refused"}}
    assert json.loads(ask(edge, "/demo/refusal.json").body) == {"refusal": None}


def test_the_icon_is_found_where_browsers_look_for_it(edge: HttpEdge) -> None:
    response = ask(edge, "/favicon.ico")
    assert response.status == 200
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.body == ask(edge, "/static/wampush.svg").body


def test_head_has_the_headers_and_no_body(edge: HttpEdge) -> None:
    for path in ("/static/site.css", "/healthz"):
        response = ask(edge, path, method="HEAD")
        assert (response.status, response.body) == (200, b"")
        assert int(response.headers["content-length"]) > 0


def test_the_demo_without_slash_leads_to_it(edge: HttpEdge) -> None:
    response = ask(edge, "/demo")
    assert response.status == 308
    assert response.headers["location"] == "demo/"


@pytest.mark.parametrize("path", ["/healthz", "/demo/", "/static/site.css"])
def test_other_methods_get_a_list_of_those_that_work(edge: HttpEdge, path: str) -> None:
    response = ask(edge, path, method="DELETE")
    assert response.status == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert problem_of(response) == "This address supports only GET, HEAD."


def test_a_failing_status_shows_no_traceback() -> None:
    def broken() -> dict[str, object]:
        raise KeyError("secret")

    response = ask(edge_with(broken), "/healthz")
    assert response.status == 500
    assert b"secret" not in response.body
    assert b"Traceback" not in response.body


def test_metrics(edge):
    response = ask(edge, "/metrics")
    assert (response.status, response.body) == (200, b"a 1\n")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    refused = ask(edge, "/metrics", host="rebound.example.org")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="wampush"'


def test_one_session(edge):
    assert json.loads(ask(edge, "/sessions/abc").body) == {"session": "abc"}
    missing = ask(edge, "/sessions/other")
    assert (missing.status, problem_of(missing)) == (404, "no session has this id")
    assert ask(edge, "/sessions/abc", host="rebound.example.org").status == 401


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", b"<!doctype html>"),
        ("/demo/", b"<!doctype html>"),
        ("/static/site.css", b"{"),
        ("/healthz", b'"status":"ok"'),
    ],
)
def test_each_address_has_its_route(edge: HttpEdge, path: str, text: bytes) -> None:
    response = ask(edge, path)
    assert response.status == 200
    assert text in response.body.lower()


def test_health_without_access_is_the_status_alone(edge: HttpEdge) -> None:
    response = ask(edge, "/healthz", host="push.example.org")
    assert json.loads(response.body) == {"status": "ok"}


def test_refusals_need_access(edge: HttpEdge) -> None:
    assert json.loads(ask(edge, "/refusals").body) == {"refusals": [{"reason": "no-topic"}]}
    assert ask(edge, "/refusals", host="push.example.org").status == 401


@pytest.mark.parametrize(
    ("path", "parts"), [("/publish", [b"{}"]), ("/publish/a/b", [b"a/b", b"{}"])]
)
def test_publishing_has_two_routes(path: str, parts: list[bytes]) -> None:
    pushes = RecordedPushes(receivers=3)
    response = ask(edge_with(publisher=pushes), path, method="POST", body=b"{}")
    assert (response.status, json.loads(response.body)) == (200, {"receivers": 3})
    assert pushes.published == [parts]


def test_a_topic_is_shown_to_operators_as_it_is_asked_for() -> None:
    asked: list[tuple[str, str]] = []

    def topic(target: str, known: str) -> Answer:
        asked.append((target, known))
        if known:
            return Answer(304, {"ETag": known}, b"")
        return Answer(200, {"ETag": '"e"', "Content-Type": "application/json"}, b"{}\n")

    edge = edge_with(topic=topic)
    first = ask(edge, "/topics/a%2Fb/c/history?limit=7")
    assert (first.status, first.body, first.headers["etag"]) == (200, b"{}\n", '"e"')
    again = ask(edge, "/topics/a", headers='If-None-Match: "e"\r\n')
    assert (again.status, again.body) == (304, b"")
    assert asked == [("/topics/a%2Fb/c/history?limit=7", ""), ("/topics/a", '"e"')]
    assert ask(edge, "/topics/a", host="push.example.org").status == 401
    assert len(asked) == 2


def test_a_topic_without_history_is_a_problem(edge: HttpEdge) -> None:
    response = ask(edge, "/topics/a")
    assert response.status == 404
    assert problem_of(response).startswith("no entry of [[topics]] with last, last_by or history")
    assert json.loads(response.body)["code"] == "no-history"
    # The list of topics is another address.
    assert ask(edge, "/topics").status == 200


def test_an_unreadable_topic_is_counted_and_another_path_is_not() -> None:
    pushes = RecordedPushes()
    edge = edge_with(publisher=pushes)
    refused = ask(edge, "/publish/%ff", method="POST", body=b"1")
    assert json.loads(refused.body)["code"] == "not-utf8"
    assert [code for code, _, _ in pushes.refused] == ["not-utf8"]
    assert problem_of(ask(edge, "/%ff")) == "The path is not UTF-8."
    assert len(pushes.refused) == 1


def test_a_websocket_is_refused_with_its_address(edge: HttpEdge) -> None:
    response = ask(edge, "/", headers="Upgrade: websocket\r\n")
    assert response.status == 400
    assert b"the WebSocket is at ws://127.0.0.1:8080/" in response.body
    unknown = ask(edge_with(), "/", headers="Upgrade: websocket\r\n")
    assert unknown.body == b"This is the HTTP port of wampush\n"


def test_a_request_for_a_websocket_is_reported_with_its_address(edge: HttpEdge) -> None:
    reported: list[tuple[str, str]] = []
    for asked in (edge, edge_with()):
        run(
            asked,
            b"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
            "192.0.2.7",
            lambda peer, detail: reported.append((peer, detail)),
        )
    assert reported == [
        ("192.0.2.7", "The WebSocket is at ws://a.example:8080/."),
        ("192.0.2.7", ""),
    ]


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("stopping", 503)])
def test_the_health_check_of_haproxy_is_answered(status: str, code: int) -> None:
    answer = run(edge_with(lambda: {"status": status}), b"OPTIONS / HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == code
    assert b"Allow: GET, HEAD, OPTIONS" in head
    assert body == b""


@pytest.mark.parametrize("path", ["/nix", "/healthz/"])
def test_an_address_without_a_route_is_not_found(edge: HttpEdge, path: str) -> None:
    assert ask(edge, path).status == 404
