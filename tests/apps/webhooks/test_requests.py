"""The JSON and the signature of requests to an application."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from tests.broker.world import World
from wampush.apps.webhooks import requests
from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.errors import CloseReason, NotSerialisable
from wampush.wamp.messages import Call, Publish, Subscribe

ALICE = Identity("7", frozenset({"staff", "a"}), "s1", "de", {"theme": "dark"})


@pytest.fixture
def subscriber():
    client = World().client()
    client.subscriber.identity = ALICE
    return client.subscriber


def session(subscriber):
    return {
        "id": subscriber.session_id,
        "user": "7",
        "groups": ["a", "staff"],
        "language": "de",
        "web_session": "s1",
        "address": "192.0.2.1",
        "data": {"theme": "dark"},
    }


def read(sent):
    document = json.loads(sent.body)
    assert document["event"] == sent.event
    assert len(document.pop("id")) == 32
    return document


def test_each_request_has_an_id_of_its_own(subscriber):
    request = Subscribe("t")
    asked = [requests.subscribe(subscriber, request, 1.5) for _ in range(2)]
    assert len({json.loads(sent.body)["id"] for sent in asked}) == 2


def test_subscribe(subscriber):
    assert read(requests.subscribe(subscriber, Subscribe("orders.7"), 1.5)) == {
        "event": "subscribe",
        "time": 1.5,
        "session": session(subscriber),
        "topic": "orders.7",
    }


@pytest.mark.parametrize(
    "payload", [b"1.0", b"{}", b'{"a": 123456789012345678901234567890, "b" :[ ]}', b'"\xc3\xa4"']
)
def test_what_is_published_is_put_in_byte_for_byte(subscriber, payload):
    sent = requests.publish(subscriber, Publish("t", payload), 1.5)
    assert sent.body.endswith(b'"topic":"t","payload":' + payload + b"}")
    assert read(sent)["session"] == session(subscriber)


def test_a_call(subscriber):
    sent = requests.call(subscriber, Call("c", "http://x/y#z", (1, [2], None)), 1.5)
    assert read(sent) == {
        "event": "call",
        "time": 1.5,
        "session": session(subscriber),
        "procedure": "http://x/y#z",
        "arguments": [1, [2], None],
    }


@pytest.mark.parametrize("uri", ["cart.add", "cart/add"])
def test_a_call_of_a_handler_of_a_module(subscriber, uri):
    document = read(requests.call(subscriber, Call("c", uri, ({"item": 3},)), 1.5))
    assert document["procedure"] == uri
    assert document["arguments"] == [{"item": 3}]
    assert document["module"] == "cart"
    assert document["handler"] == "add"
    assert document["data"] == {"item": 3}


@pytest.mark.parametrize(
    ("uri", "arguments"),
    [
        ("cart.add", ()),
        ("cart.add", (1, 2)),
        ("cart", (1,)),
        ("a.b.c", (1,)),
        (".add", (1,)),
        ("cart.", (1,)),
        ("http://x/y", (1,)),
    ],
)
def test_a_call_of_something_else(subscriber, uri, arguments):
    document = read(requests.call(subscriber, Call("c", uri, arguments), 1.5))
    assert document.keys() == {"event", "time", "session", "procedure", "arguments"}


def nested(levels):
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


def test_arguments_may_be_nested_deeply_but_not_endlessly(subscriber):
    deep = nested(400)
    sent = requests.call(subscriber, Call("c", "a.b", (deep,)), 1.5)
    assert read(sent)["data"] == deep
    with pytest.raises(NotSerialisable):
        requests.call(subscriber, Call("c", "a.b", (nested(100_000),)), 1.5)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"n": 2**70}, {"n": 2**70}),
        ({"n": 2**70, "x": float("nan")}, None),
        ({"x": object()}, None),
    ],
)
def test_free_attributes_never_spoil_a_request(subscriber, data, expected):
    subscriber.identity = Identity("7", data=MappingProxyType(data))
    document = read(requests.subscribe(subscriber, Subscribe("t"), 1.5))
    assert document["session"]["data"] == expected


def test_a_session_without_a_connection_has_no_address(subscriber):
    subscriber.peer = None
    document = read(requests.subscribe(subscriber, Subscribe("t"), 1.5))
    assert document["session"]["address"] == ""


def connecting(names=(), subscriber=None, **headers):
    request = ConnectRequest("/ws?token=t&a=1", headers, "192.0.2.9")
    return requests.connect(ConnectAttempt(ALICE, request, subscriber), names, 1.5)


def test_connect(subscriber):
    more = {"origin": "https://shop", "cookie": "PHPSESSID=s1; theme=d\xe4rk", "x-secret": "x"}
    sent = connecting(subscriber=subscriber, **more)
    assert read(sent) == {
        "event": "connect",
        "time": 1.5,
        "session": session(subscriber) | {"address": "192.0.2.9"},
        "path": "/ws",
        "query": "token=t&a=1",
        "scheme": "ws",
        "origin": "https://shop",
        "cookies": {"PHPSESSID": "s1", "theme": "d\xe4rk"},
    }
    assert sent.cookie == b"PHPSESSID=s1; theme=d\xe4rk"
    assert "s1" not in repr(sent)


def test_connect_passes_on_the_configured_cookies_only():
    sent = connecting(("PHPSESSID",), cookie="PHPSESSID=s1; theme=dark")
    assert read(sent)["cookies"] == {"PHPSESSID": "s1"}
    assert sent.cookie == b"PHPSESSID=s1"


def test_connect_where_there_is_no_session_no_origin_and_no_cookie():
    document = read(connecting())
    assert document["session"]["id"] is None
    assert document["origin"] is None
    assert document["cookies"] == {}


def test_disconnects_go_together(subscriber):
    entries = [
        requests.ended_session(subscriber, reason, 1.5)
        for reason in (CloseReason.PEER_LOST, CloseReason.SILENT)
    ]
    assert read(requests.disconnect(entries, 2.5)) == {
        "event": "disconnect",
        "time": 2.5,
        "sessions": [
            session(subscriber) | {"reason": "peer-lost", "time": 1.5},
            session(subscriber) | {"reason": "silent", "time": 1.5},
        ],
    }


def test_the_signature_is_over_time_and_body():
    # echo -n '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    assert requests.signature(b"0123456789abcdef" * 2, 1_700_000_000, b'{"a":1}') == (
        "t=1700000000,v1=f05f2539e3ae1c49aec5f8cfdad75ef6b06480b133973ffbb7ec9e18827af177"
    )
