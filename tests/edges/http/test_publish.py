"""Publishing over HTTP: what a request becomes, what is refused, and to whom the port listens."""

from __future__ import annotations

import json
from urllib.parse import quote

import orjson
import pytest

from tests.edges.http.http_in_memory import MAX_BYTES, RecordedPushes, Response, ask, edge_with, run
from wampush.edges.http.routes import HttpEdge
from wampush.edges.http.site import DROPPED_FACTOR, MAX_DROPPED_BYTES
from wampush.errors import PushRefused, Refusal

TOKEN = b"0123456789abcdef"
HOSTS = "127.0.0.1:8081", "localhost:8081", "[::1]:8081"


@pytest.fixture
def pushes() -> RecordedPushes:
    return RecordedPushes(receivers=3)


@pytest.fixture
def edge(pushes: RecordedPushes) -> HttpEdge:
    return edge_with(publisher=pushes)


def post(
    edge: HttpEdge,
    path: str,
    body: bytes = b"1",
    headers: str = "",
    host: str = HOSTS[0],
    peer: str = "127.0.0.1",
) -> Response:
    return ask(edge, path, method="POST", body=body, headers=headers, host=host, peer=peer)


def code_of(response: Response) -> str:
    """The code of a refusal, which must be explained."""
    document = json.loads(response.body)
    assert document.keys() == {"type", "title", "status", "detail", "code", "sentence"}
    assert document["status"] == response.status
    assert document["sentence"].endswith(".")
    assert response.headers["content-type"] == "application/problem+json"
    return str(document["code"])


# What is published


@pytest.mark.parametrize(
    "body", [b"1.0", b'{"a": {} }\n', b'"x"', b"null", b"[9007199254740993]", b"a=b&to=c", b"\xff"]
)
@pytest.mark.parametrize("kind", ["", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_the_body_is_passed_on_as_it_is(
    edge: HttpEdge, pushes: RecordedPushes, body: bytes, kind: str
) -> None:
    headers = f"Content-Type: {kind}\r\n" if kind else ""
    response = post(edge, "/publish/news", body, headers)
    assert (response.status, json.loads(response.body)) == (200, {"receivers": 3})
    assert response.headers["cache-control"] == "no-store"
    assert pushes.published == [[b"news", body]]


def test_a_body_in_chunks(edge: HttpEdge, pushes: RecordedPushes) -> None:
    head = b"POST /publish/t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    answer = run(
        edge, head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert pushes.published == [[b"t", b"[1,2]"]]


def test_an_object_that_names_its_topic(edge: HttpEdge, pushes: RecordedPushes) -> None:
    body = b'{"category":"news"}'
    assert post(edge, "/publish", body).status == 200
    assert pushes.published == [[body]]


@pytest.mark.parametrize(
    "topic",
    [
        "a/b",
        "/a",
        "a/",
        "//",
        "a//b",
        ".",
        "a/../b",
        "http://example.com/chat#room",
        "a b+c",
        "50%",
        "%2F",
        "a?b=c&d",
        "grüße ❤",
        "line\nbreak\x00",
        "",
        "healthz",
    ],
)
@pytest.mark.parametrize("safe", ["/", "", "/:@!$'()*,;=+"])
def test_every_topic_fits_into_the_path(
    edge: HttpEdge, pushes: RecordedPushes, topic: str, safe: str
) -> None:
    assert post(edge, f"/publish/{quote(topic, safe=safe)}").status == 200
    assert pushes.published == [[topic.encode(), b"1"]]


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({"to": '{"users":["7"]}'}, {"to": {"users": ["7"]}}),
        ({"exclude": '["a&b;c+d"]', "eligible": "[]"}, {"exclude": ["a&b;c+d"], "eligible": []}),
        ({"to": '{"users":["ü"],"registered":true}'}, {"to": {"users": ["ü"], "registered": True}}),
        ({"to": " null "}, {"to": None}),
    ],
)
def test_targets_are_passed_on(
    edge: HttpEdge, pushes: RecordedPushes, query: dict[str, str], options: object
) -> None:
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    assert post(edge, f"/publish/t?{text}").status == 200
    ((topic, payload, third),) = pushes.published
    assert (topic, payload, orjson.loads(third)) == (b"t", b"1", options)


def test_a_query_as_it_is_typed(edge: HttpEdge, pushes: RecordedPushes) -> None:
    assert post(edge, '/publish/t?to={"users":["7"]}').status == 200
    assert pushes.published == [[b"t", b"1", b'{"to":{"users":["7"]}}']]


def test_a_list_of_publications(edge: HttpEdge, pushes: RecordedPushes) -> None:
    body = b'\n [{"topic":"t","data":1.0}]'
    response = post(edge, "/publish?id=order-7", body)
    assert response.status == 200
    first, second = json.loads(response.body)["published"]
    assert first == {"receivers": 3}
    assert (second["code"], second["status"]) == ("stale", 409)
    assert (pushes.published, pushes.ids) == ([[body]], ["order-7"])


def test_a_list_to_a_topic_is_one_event(edge: HttpEdge, pushes: RecordedPushes) -> None:
    assert json.loads(post(edge, "/publish/t", b"[1,2]").body) == {"receivers": 3}
    assert pushes.published == [[b"t", b"[1,2]"]]


@pytest.mark.parametrize(
    ("path", "push_id"),
    [
        ("/publish/t?id=a%2F%C3%BC", "a/ü"),
        ("/publish/t?id=7&to=%7B%7D", "7"),
        ("/publish?id=7", "7"),
        ("/publish/t", ""),
    ],
)
def test_the_id_of_a_push(edge: HttpEdge, pushes: RecordedPushes, path: str, push_id: str) -> None:
    assert post(edge, path, b"{}").status == 200
    assert pushes.ids == [push_id]


@pytest.mark.parametrize(
    ("query", "code"), [("id=", "bad-id"), ("id=%FF", "bad-id"), ("id=1&id=1", "bad-options")]
)
def test_an_id_that_is_none(edge: HttpEdge, pushes: RecordedPushes, query: str, code: str) -> None:
    response = post(edge, f"/publish/t?{query}")
    assert (response.status, code_of(response)) == (400, code)
    assert pushes.published == []


# What is refused


@pytest.mark.parametrize(
    "query",
    ["to=7x", "to=", "to", "exclude=a", "colour=1", "to={}&to={}", 'to={},"exclude":[]', "%FF=1"],
)
def test_options_that_are_none(edge: HttpEdge, pushes: RecordedPushes, query: str) -> None:
    response = post(edge, f"/publish/t?{query}")
    assert (response.status, code_of(response)) == (400, "bad-options")
    assert pushes.published == []
    assert pushes.refused == [("bad-options", "127.0.0.1", [b"t", b"1"])]


def test_options_need_the_topic_in_the_path(edge: HttpEdge, pushes: RecordedPushes) -> None:
    response = post(edge, "/publish?to={}", b'{"category":"t"}')
    assert (response.status, code_of(response)) == (400, "bad-options")
    assert pushes.published == []


def test_a_topic_that_is_not_text(edge: HttpEdge, pushes: RecordedPushes) -> None:
    response = post(edge, "/publish/%ff")
    assert (response.status, code_of(response)) == (400, "not-utf8")
    assert pushes.refused == [("not-utf8", "127.0.0.1", [b"/publish/%ff"])]


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Refusal.NOT_JSON, 400),
        (Refusal.TOPIC_EMPTY, 400),
        (Refusal.TOO_LARGE, 413),
        (Refusal.CLIENTS_BEHIND, 503),
        (Refusal.STOPPING, 503),
    ],
)
def test_refusals_of_the_publisher_are_answered(refusal: Refusal, status: int) -> None:
    pushes = RecordedPushes(error=PushRefused(refusal, "Found this."))
    response = post(edge_with(publisher=pushes), "/publish/t")
    assert (response.status, code_of(response)) == (status, refusal.code)
    assert json.loads(response.body)["detail"] == "Found this."
    assert ("retry-after" in response.headers) is (status == 503)
    # Whoever refused has counted it.
    assert pushes.refused == []


@pytest.mark.parametrize("size", [MAX_BYTES + 1, MAX_DROPPED_BYTES])
def test_a_body_that_is_too_long(edge: HttpEdge, pushes: RecordedPushes, size: int) -> None:
    assert post(edge, "/publish/t", b"1" * MAX_BYTES).status == 200
    response = post(edge, "/publish/t", b"1" * size)
    assert (response.status, code_of(response)) == (413, "too-large")
    ((code, _, parts),) = pushes.refused
    assert (code, parts) == ("too-large", [b"t", b"1" * MAX_BYTES])


def test_a_body_that_is_far_too_long_ends_the_connection(edge: HttpEdge) -> None:
    assert MAX_BYTES * DROPPED_FACTOR < MAX_DROPPED_BYTES
    head = b"POST /publish/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
    assert run(edge, head + b"1" * (MAX_DROPPED_BYTES + 1)) == b""


@pytest.mark.parametrize("path", ["/publish", "/publish/t", "/publish/"])
@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_other_methods(edge: HttpEdge, path: str, method: str) -> None:
    response = ask(edge, path, method=method)
    assert response.status == 405
    assert "POST" in response.headers["allow"]
    assert not any(name.startswith("access-control-") for name in response.headers)


# Who may


def test_without_access_nothing_is_published(pushes: RecordedPushes) -> None:
    edge = edge_with(publisher=pushes, token=TOKEN)
    for headers, challenge in (
        ("", 'Bearer realm="wampush"'),
        ("Authorization: Basic eDp5\r\n", 'Bearer realm="wampush"'),
        (
            "Authorization: Bearer 0123456789abcdeX\r\n",
            'Bearer realm="wampush", error="invalid_token"',
        ),
    ):
        response = post(edge, "/publish/t", b"x" * 5000, headers)
        assert (response.status, code_of(response)) == (401, "no-access")
        assert response.headers["www-authenticate"] == challenge
    assert pushes.published == []
    # No more of it is kept than a refusal shows.
    assert pushes.refused == [("no-access", "127.0.0.1", [b"t", b"x" * 200])] * 3


@pytest.mark.parametrize("peer", ["127.0.0.1", "192.0.2.1"])
@pytest.mark.parametrize("host", ["localhost", "push.example.org"])
def test_with_the_token_from_anywhere(pushes: RecordedPushes, peer: str, host: str) -> None:
    edge = edge_with(publisher=pushes, token=TOKEN)
    headers = "Authorization: Bearer 0123456789abcdef\r\n"
    assert post(edge, "/publish/t", headers=headers, host=host, peer=peer).status == 200


@pytest.mark.parametrize(
    ("host", "peer", "headers"),
    [
        ("rebound.example.org", "127.0.0.1", ""),
        ("localhost", "192.0.2.1", ""),
        ("localhost", "127.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n"),
    ],
)
def test_without_a_token_only_this_machine(
    edge: HttpEdge, pushes: RecordedPushes, host: str, peer: str, headers: str
) -> None:
    response = post(edge, "/publish/t", host=host, peer=peer, headers=headers)
    assert (response.status, code_of(response)) == (401, "no-access")
    assert pushes.published == []


@pytest.mark.parametrize(
    "headers",
    [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin:\r\n",
        "Origin: http://127.0.0.1:3000\r\n",
        "Origin: http://localhost:8081\r\n",
        "Origin: http://127.0.0.1\r\n",
        "Origin: https://127.0.0.1:8081\r\n",
        "Origin: http://127.0.0.1:8081.evil.example\r\n",
        "Origin: http://127.0.0.1:8081@evil.example\r\n",
        "Origin: http://127.0.0.1:8081\r\nOrigin: https://evil.example\r\n",
        "Origin: https://evil.example\r\nOrigin: http://127.0.0.1:8081\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: something-new\r\n",
        "Origin: http://127.0.0.1:8081\r\nSec-Fetch-Site: cross-site\r\n",
    ],
)
def test_pages_of_other_sites_are_refused(
    edge: HttpEdge, pushes: RecordedPushes, headers: str
) -> None:
    response = post(edge, "/publish/t", headers=headers, host=HOSTS[0])
    assert (response.status, code_of(response)) == (403, "foreign-page")
    assert pushes.published == []
    assert [code for code, _, _ in pushes.refused] == ["foreign-page"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("headers", ["", "Sec-Fetch-Site: same-origin\r\n"])
def test_our_own_pages_may(edge: HttpEdge, host: str, headers: str) -> None:
    response = post(edge, "/publish/t", headers=f"Origin: http://{host}\r\n{headers}", host=host)
    assert response.status == 200


def test_a_page_that_has_the_token_may(pushes: RecordedPushes) -> None:
    edge = edge_with(publisher=pushes, token=TOKEN)
    headers = "Origin: https://a.example\r\nAuthorization: Bearer 0123456789abcdef\r\n"
    assert post(edge, "/publish/t", headers=headers).status == 200
