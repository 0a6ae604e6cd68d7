r"""Endpoint strings: what is usable, and what newcomers are told instead of Python's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet import reactor as installed
from twisted.internet.endpoints import _parse, serverFromString

from wampush.config.checks.check import Rejected
from wampush.config.checks.endpoints import ENDPOINT, ENDPOINT_OR_OFF, parts_of

reactor: Any = installed


def expected(value: object, *, off: bool = False) -> str:
    """What would be right instead; it must be different from what is usable."""
    answer = (ENDPOINT_OR_OFF if off else ENDPOINT).check(value)
    assert isinstance(answer, Rejected), answer
    assert answer.value == value
    return answer.expected


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8080", "tcp:8080:interface=127.0.0.1, or tcp:8080 for all addresses of this machine"),
        (":8080", "tcp:8080:interface=127.0.0.1, or tcp:8080 for all addresses of this machine"),
        ("127.0.0.1:8080", "tcp:8080:interface=127.0.0.1"),
        ("localhost:8080", "tcp:8080:interface=localhost"),
        ("push.example.org:8080", "tcp:8080:interface=push.example.org"),
        ("*:8080", "tcp:8080"),
        ("[::1]:8080", r"tcp6:8080:interface=\:\:1"),
        ("ws://127.0.0.1:8080", "tcp:8080:interface=127.0.0.1"),
        ("wss://push:8443/ws", "tcp:8443:interface=push"),
        ("tcp://127.0.0.1:8080", "tcp:8080:interface=127.0.0.1"),
        ("tcp:127.0.0.1:8080", "tcp:8080:interface=127.0.0.1; the port comes first"),
        ("tcp:*:8080", "tcp:8080; the port comes first"),
    ],
)
def test_an_address_in_another_form_is_told_as_an_endpoint(text: str, meant: str) -> None:
    assert expected(text) == meant
    assert ENDPOINT.check(meant.partition(",")[0].partition(";")[0])


PORT = "an endpoint whose port is a whole number from 0 to 65535, such as tcp:8080:interface="


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tcp:", PORT),
        ("tcp:abc", PORT),
        ("tcp:http", PORT),
        ("tcp:99999", PORT),
        ("tcp:-1", PORT),
        ("tcp:8080x:interface=127.0.0.1", PORT),
        ("tcp:808080808080808080808080", PORT),
        ("tcp:interface=127.0.0.1", PORT),
        ("99999", "a Twisted endpoint string such as tcp:8080"),
        ("127.0.0.1:99999", "a Twisted endpoint string such as tcp:8080"),
        ("tcp:127.0.0.1:99999", PORT),
        ("ssl:", "an endpoint whose port is"),
        ("ssl:abc", "such as ssl:8443:interface=127.0.0.1"),
        ("tcp6:abc", r"such as tcp6:8080:interface=\:\:1"),
        ("TCP:8080", "begins with tcp:, in lower case"),
        ("tcp:8080:foo=1", "without 'foo'; tcp: takes port, interface, backlog"),
        ("tcp:8080:port=8081", "with one port"),
        ("tcp:8080:backlog=x", "whose backlog is a whole number"),
        ("tcp:8080:127.0.0.1:50:1", "a backslash before it"),
        ("tcp:8080:interface=::1", r"each colon has a backslash before it, as in interface=\:\:1"),
        ("tcp6:8080:interface=::", "a backslash before it"),
        ("tcp:8080:interface=127.0.0.1\\", "does not end in a backslash"),
        ("unix:", "whose address is a path"),
        ("unix:mode=660", "whose address is a path"),
        ("unix:/run/push:mode=abc", "whose mode is an octal number such as 660"),
        ("unix:/run/push:lockfile=yes", "whose lockfile is 0 or 1"),
        ("haproxy:", "an endpoint such as tcp:8080"),
        ("haproxy:tcp:abc", PORT),
        ("haproxy:ssl:8443", "privateKey=FILE:certKey=FILE"),
        ("ssl:8443:certKey=/etc/cert.pem", "privateKey=FILE:certKey=FILE"),
        ("systemd:", "whose domain is INET or INET6 (for a UNIX socket use unix:)"),
        ("systemd:domain=UNIX:name=wampush", "for a UNIX socket use unix:"),
        ("systemd:INET", "an endpoint with either index or name, such as systemd:domain=INET:name"),
        ("systemd:INET:0:web", "an endpoint with either index or name"),
        ("systemd:INET:web", "whose index is a whole number"),
        ("systemd:INET:name=", "whose name is the FileDescriptorName= of a .socket unit"),
        ("systemd:INET:name=a:backlog=5", "without 'backlog'"),
        ("onion:", "an endpoint such as tcp:8080"),
        ("", "a Twisted endpoint string such as tcp:8080"),
        (" tcp:8080", "a Twisted endpoint string such as tcp:8080"),
        ("tcp:8080\n", "a Twisted endpoint string such as tcp:8080"),
        ("ws://", "a Twisted endpoint string such as tcp:8080"),
        ("\udcff:80", "a Twisted endpoint string such as tcp:8080"),
        (8080, "not a whole number"),
    ],
)
def test_mistakes_are_told_in_words(text: object, words: str) -> None:
    assert words in expected(text)


def test_off_is_an_endpoint_only_where_it_may_be() -> None:
    assert ENDPOINT_OR_OFF.check("off") == "off"
    assert 'or "off"' in expected("", off=True)
    assert "off" not in expected("off")


USABLE = [
    "tcp:8080",
    "tcp:0:interface=127.0.0.1",
    "tcp:8080:127.0.0.1",
    "tcp:8080:127.0.0.1:50",
    "tcp:port=8080:interface=127.0.0.1:backlog=50",
    "tcp:interface=127.0.0.1:8080",
    r"tcp6:8080:interface=\:\:1",
    r"tcp:8080:interface=\:\:1",
    "tcp:8080:interface=",
    "unix:/run/wampush.sock",
    r"unix:/run/a\:b.sock:mode=660:lockfile=0",
]


@pytest.mark.parametrize(
    "text",
    [
        *USABLE,
        "ssl:8443",
        "ssl:8443:interface=127.0.0.1:backlog=5",
        "ssl:8443:privateKey=/etc/key.pem:certKey=/etc/cert.pem",
        "haproxy:tcp:8080:interface=127.0.0.1",
        "haproxy:unix:/run/wampush.sock",
        "haproxy:ssl:8443:privateKey=/etc/key.pem",
        "systemd:domain=INET:index=0",
        "systemd:INET6:0",
        "haproxy:systemd:name=wampush:domain=INET",
        "onion:80",
    ],
)
def test_usable_endpoints_are_kept_as_they_are(text: str) -> None:
    assert ENDPOINT.check(text) == text


@pytest.mark.parametrize("text", USABLE)
def test_twisted_takes_what_is_usable(text: str) -> None:
    serverFromString(reactor, text)


FIELDS = st.lists(st.text("a0=:.\\,[]", max_size=6), max_size=5).map(":".join)


@given(FIELDS)
@example(r"unix:a\\:b=c\=d")
def test_parts_are_those_that_twisted_sees(text: str) -> None:
    endpoint = f"tcp:{text}"
    if isinstance(ENDPOINT.check(endpoint), Rejected) and endpoint.endswith("\\"):
        return
    args, named = _parse(endpoint)
    parts = parts_of(endpoint)
    assert [parts.kind, *parts.values] == args
    assert dict(parts.named) == named


@given(st.text("tcpsluni068:=\\/.-[]*", max_size=20) | st.text(max_size=20))
def test_no_text_raises(text: str) -> None:
    ENDPOINT.check(text)
    parts_of(text)
