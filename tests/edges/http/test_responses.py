"""What all responses of the HTTP port have in common."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from twisted.web.test.requesthelper import DummyRequest

from tests.edges.http.http_in_memory import ask, complete_edge
from wampush.edges.client_files import ClientFile
from wampush.edges.http.responses import (
    bearer,
    challenge,
    host_asked_for,
    host_of,
    respond_answer,
    respond_file,
    respond_json,
    respond_no_access,
    respond_refused,
    respond_text,
    wants_html,
)
from wampush.edges.http.routes import HttpEdge
from wampush.edges.topic_requests import Answer
from wampush.errors import PushRefused, Refusal


@pytest.fixture
def edge() -> HttpEdge:
    return complete_edge()


@pytest.mark.parametrize(
    "host",
    ['evil"x', "a b", "a/b", "a@b", "a..b", "-a", "a:port", "[::1", "x" * 64, "a." * 140, "é", ""],
)
def test_invalid_hosts_are_refused(edge: HttpEdge, host: str) -> None:
    response = ask(edge, "/demo/settings.json", host=host)
    assert response.status == 400
    assert host_of(host) is None


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("push.example.org:8081", "push.example.org"),
        ("push.example.org.", "push.example.org."),
        ("192.0.2.1:", "192.0.2.1"),
        ("[2001:db8::1]:8081", "[2001:db8::1]"),
        ("a_b", "a_b"),
    ],
)
def test_a_valid_host_is_read_without_its_port(header: str, host: str) -> None:
    assert host_of(header) == host
    assert host_asked_for(request(host=header)) == host


def request(**headers: str) -> Any:
    made = DummyRequest([b""])
    for name, value in headers.items():
        made.requestHeaders.setRawHeaders(name, [value.encode("latin-1")])
    return made


def header(answered: Any, name: str) -> str:
    (value,) = answered.responseHeaders.getRawHeaders(name)
    return str(value)


def test_a_request_without_a_host_asks_for_none() -> None:
    assert host_asked_for(request()) is None


def test_a_browser_is_recognised_by_what_it_accepts() -> None:
    assert wants_html(request(accept="text/html,*/*"))
    assert not wants_html(request(accept="*/*"))
    assert not wants_html(request())


def test_text_and_json_are_never_cached() -> None:
    text, json = request(), request()
    assert respond_text(text, 404, "gr\xfc\xdfe\n") == b"gr\xc3\xbc\xc3\x9fe\n"
    assert respond_json(json, 200, {"a": 1}) == b'{"a":1}\n'
    assert (text.responseCode, json.responseCode) == (404, 200)
    assert header(text, "content-type") == "text/plain; charset=utf-8"
    assert header(json, "content-type") == "application/json"
    for each, length in ((text, "8"), (json, "8")):
        assert header(each, "content-length") == length
        assert header(each, "cache-control") == "no-store"


@pytest.mark.parametrize(
    ("authorization", "token", "asked"),
    [
        ("", None, 'Bearer realm="wampush"'),
        ("Basic eDp5", None, 'Bearer realm="wampush"'),
        ("Bearer abc", "abc", 'Bearer realm="wampush", error="invalid_token"'),
        ("Bearer ", "", 'Bearer realm="wampush", error="invalid_token"'),
    ],
)
def test_a_wrong_token_is_an_error_and_a_missing_one_is_not(
    authorization: str, token: str | None, asked: str
) -> None:
    given = request(authorization=authorization)
    assert bearer(given) == token
    challenge(given)
    assert header(given, "www-authenticate") == asked


def test_who_may_not_see_state_learns_what_to_send() -> None:
    given = request()
    body = json.loads(respond_no_access(given))
    assert given.responseCode == body["status"] == 401
    assert 'Send "Authorization: Bearer TOKEN"' in body["detail"]
    assert "http.token_file" in body["detail"]
    assert header(given, "content-type") == "application/problem+json"
    assert header(given, "www-authenticate") == 'Bearer realm="wampush"'


@pytest.mark.parametrize(
    ("refusal", "status", "header"),
    [
        (Refusal.NO_ACCESS, 401, "www-authenticate"),
        (Refusal.CLIENTS_BEHIND, 503, "retry-after"),
        (Refusal.NOT_JSON, 400, None),
    ],
)
def test_a_refused_change_has_the_status_and_the_headers_of_its_reason(
    refusal: Refusal, status: int, header: str | None
) -> None:
    request: Any = DummyRequest([b""])
    body = json.loads(respond_refused(request, PushRefused(refusal, "What was found.")))
    assert body == {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "What was found.",
        "code": refusal.code,
        "sentence": refusal.sentence,
    }
    assert request.responseCode == status
    sent = {name.lower().decode() for name, _ in request.responseHeaders.getAllRawHeaders()}
    assert sent & {"www-authenticate", "retry-after"} == ({header} if header else set())


def test_a_file_is_sent_once_and_then_known() -> None:
    file = ClientFile(b"let a;", "text/javascript", '"tag"')
    first = request()
    assert respond_file(first, file) == b"let a;"
    assert first.responseHeaders.getRawHeaders(b"content-length") == [b"6"]
    assert first.responseHeaders.getRawHeaders(b"etag") == [b'"tag"']
    again = request(**{"if-none-match": '"tag"'})
    assert respond_file(again, file) == b""
    assert again.responseCode == 304


@pytest.mark.parametrize(("body", "length"), [(b"{}", [b"2"]), (b"", None)])
def test_an_answer_about_a_topic(body: bytes, length: list[bytes] | None) -> None:
    made = request()
    assert respond_answer(made, Answer(200 if body else 304, {"ETag": '"1"'}, body)) == body
    assert made.responseCode == (200 if body else 304)
    assert made.responseHeaders.getRawHeaders(b"content-length") == length
