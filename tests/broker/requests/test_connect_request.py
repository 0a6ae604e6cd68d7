"""What a client's handshake contains."""

from __future__ import annotations

import pytest

from wampush.broker.identity import ANONYMOUS
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.errors import AuthenticationRefused, CloseReason


def request(target: str = "/", **headers: str) -> ConnectRequest:
    return ConnectRequest(target, headers, "192.0.2.7")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/ws?a=1", "/ws", "a=1"),
        ("/ws?a=1?b", "/ws", "a=1?b"),
        ("/ws?a=1#part", "/ws", "a=1"),
        ("?", "", ""),
    ],
)
def test_path_and_query(target, path, query):
    assert (request(target).path, request(target).query) == (path, query)


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", {}),
        ("a=1&b=&c", {"a": "1", "b": "", "c": ""}),
        ("a=%C3%A4+b", {"a": "ä b"}),
        ("a=1&a=2", {"a": "1"}),
    ],
)
def test_parameters(query, parameters):
    assert request("/?" + query).parameters == parameters


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ('a="1"; a=2', {"a": "1"}),
        ("a=b=c;; nothing ;d=", {"a": "b=c", "d": ""}),
    ],
)
def test_cookies(header, cookies):
    assert request(cookie=header).cookies == cookies


def test_a_request_without_cookies():
    assert request().cookies == {}


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer x.y", "x.y"), ("bearer x", "x"), ("Basic eA==", ""), ("", "")],
)
def test_the_bearer_token(header, token):
    assert request(authorization=header).bearer == token
    assert request().bearer == ""


@pytest.mark.parametrize(
    ("query", "value"), [("token=a%20b&x=1", "a b"), ("token=", ""), ("x=1", ""), ("", "")]
)
def test_a_parameter_with_credentials(query, value):
    assert request("/?" + query).parameter("token") == value


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("token=a&x=1&token=b", "The query contains 'token' 2 times."),
        ("&".join(["a=1"] * 101), "The query has more than 100 parameters."),
    ],
)
def test_credentials_that_are_ambiguous_are_refused(query, detail):
    with pytest.raises(AuthenticationRefused) as caught:
        request("/?" + query).parameter("token")
    assert caught.value.reason is CloseReason.TOKEN_REFUSED
    assert caught.value.detail == detail


def test_secrets_are_not_shown():
    shown = repr(request("/?token=secret", cookie="session=secret"))
    assert shown == "ConnectRequest(address='192.0.2.7', scheme='ws')"


def test_an_attempt_has_the_address_of_its_request():
    attempt = ConnectAttempt(ANONYMOUS, request())
    assert (attempt.address, attempt.subscriber) == ("192.0.2.7", None)
