"""Who may see state over HTTP, and who may change it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.web.http_headers import Headers

from tests.edges.http.http_in_memory import ask, complete_edge, edge_with
from wampush.edges.http.operator_access import HttpAccess, is_from_another_site
from wampush.edges.http.routes import HttpEdge
from wampush.errors import Refusal

TOKEN = b"0123456789abcdef"
COUNTS = {"status": "ok", "sessions": 3}


@pytest.fixture
def edge() -> HttpEdge:
    return complete_edge()


def test_state_is_shown_to_this_machine_while_no_token_is_set(edge):
    assert json.loads(ask(edge, "/healthz").body)["sessions"] == 3
    assert json.loads(ask(edge, "/refusals").body) == {"refusals": [{"reason": "no-topic"}]}


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("rebound.example.org", ""),
        ("127.0.0.1.example.org", ""),
        ("localhost:8081", "X-Forwarded-For: 192.0.2.1\r\n"),
        ("localhost:8081", "X-Forwarded-For:\r\n"),
        ("localhost:8081", "X-Real-IP: 192.0.2.1\r\n"),
        ("localhost:8081", "X-Forwarded-Proto: https\r\n"),
        ("localhost:8081", "Via: 1.1 proxy\r\n"),
        ("localhost:8081", "Forwarded: for=192.0.2.1\r\n"),
    ],
)
def test_other_requests_see_the_status_alone(edge, host, headers):
    response = ask(edge, "/healthz", host=host, headers=headers)
    assert (response.status, json.loads(response.body)) == (200, {"status": "ok"})
    refused = ask(edge, "/refusals", host=host, headers=headers)
    assert refused.status == 401
    assert b"http.token_file" in refused.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8081", "[::1]:8081", "LOCALHOST"])
def test_every_name_of_this_machine_will_do(edge, host):
    assert ask(edge, "/refusals", host=host).status == 200


@pytest.mark.parametrize(
    ("authorization", "may"),
    [
        ("Bearer 0123456789abcdef", True),
        ("bearer  0123456789abcdef", True),
        ("Bearer 0123456789abcdeF", False),
        ("Bearer 0123456789abcdef0", False),
        ("Bearer", False),
        ("Bearer \xff", False),
        ("Basic 0123456789abcdef", False),
    ],
)
def test_with_a_token_set_it_alone_decides(authorization, may):
    edge = edge_with(lambda: COUNTS, token=TOKEN)
    headers = f"Authorization: {authorization}\r\n"
    assert ask(edge, "/refusals", headers=headers).status == (200 if may else 401)
    far = ask(edge, "/healthz", host="push.example.org", headers=headers)
    assert ("sessions" in json.loads(far.body)) is may
    assert ask(edge, "/refusals").status == 401


def test_the_token_is_not_shown_by_the_object_that_holds_it():
    assert "0123" not in repr(HttpAccess(TOKEN))


class Request:
    """The part of a request that decisions need."""

    def __init__(self, peer: Any = None, *, secure: bool = False, **headers: str) -> None:
        named = {name.replace("_", "-"): [value] for name, value in headers.items()}
        self.requestHeaders = Headers(named)
        self._peer = peer or IPv4Address("TCP", "127.0.0.1", 50000)
        self._secure = secure

    def getHeader(self, name: bytes) -> bytes | None:  # noqa: N802 (Twisted's name)
        values = self.requestHeaders.getRawHeaders(name)
        return values[-1] if values else None

    def getClientAddress(self) -> Any:  # noqa: N802 (Twisted's name)
        return self._peer

    def isSecure(self) -> bool:  # noqa: N802 (Twisted's name)
        return self._secure


def decide(access: HttpAccess, request: Any) -> Refusal | None:
    return access.refuses_change(request)


def test_a_request_from_elsewhere_may_not_change_state() -> None:
    remote = IPv4Address("TCP", "192.0.2.1", 50000)
    assert decide(HttpAccess(None), Request(remote, host="localhost")) is Refusal.NO_ACCESS
    assert decide(HttpAccess(None), Request(host="localhost")) is None


def test_a_peer_without_an_address_is_not_permitted() -> None:
    request = Request(UNIXAddress(b"/run/x"), host="localhost")
    assert decide(HttpAccess(None), request) is Refusal.NO_ACCESS


def test_a_page_of_another_site_may_not_change_state_unless_it_has_the_token() -> None:
    page: dict[str, Any] = {"host": "localhost:8081", "origin": "https://evil.example"}
    assert decide(HttpAccess(None), Request(**page)) is Refusal.FOREIGN_PAGE
    with_token = Request(**page, authorization=f"Bearer {TOKEN.decode()}")
    assert decide(HttpAccess(TOKEN), with_token) is None


@pytest.mark.parametrize(
    ("secure", "headers", "foreign"),
    [
        (False, {}, False),
        (False, {"sec_fetch_site": "none"}, False),
        (False, {"sec_fetch_site": "cross-site"}, True),
        (False, {"origin": "http://push.example.org"}, False),
        (True, {"origin": "http://push.example.org"}, True),
        (True, {"origin": "https://push.example.org"}, False),
        (False, {"origin": "null"}, True),
    ],
)
def test_pages_of_other_sites_are_recognised(
    secure: bool, headers: dict[str, str], foreign: bool
) -> None:
    request: Any = Request(secure=secure, host="push.example.org", **headers)
    assert is_from_another_site(request) is foreign
