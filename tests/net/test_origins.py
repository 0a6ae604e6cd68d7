"""Which pages may connect, and what comes from this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.net.origins import Origins, canonical, is_from_this_machine

SAME = Origins(("same-host",), null=False)


@pytest.mark.parametrize(
    ("origin", "host", "permitted"),
    [
        ("http://www.example.com", "www.example.com:8080", True),
        ("https://www.example.com:8443", "WWW.example.com", True),
        ("http://www.example.com.", "www.example.com", False),
        ("http://example.com", "www.example.com", False),
        ("http://www.example.com.evil.org", "www.example.com", False),
        ("http://localhost:8000", "127.0.0.1:8080", True),
        ("http://127.0.0.1:8000", "localhost:8080", True),
        ("http://[::1]:8000", "localhost:8080", True),
        ("http://localhost", "push.example.com", False),
        ("http://[2001:db8::1]", "[2001:db8::1]:8080", True),
        ("null", "www.example.com", False),
        ("file://", "www.example.com", False),
        ("http://", "www.example.com", False),
        ("http://user@www.example.com", "www.example.com", False),
        ("http://www.example.com/path", "www.example.com", False),
        ("http://www.example.com:port", "www.example.com", False),
        ("", "www.example.com", False),
        ("http://www.example.com", "", False),
        ("http://www.example.com", "[", False),
    ],
)
def test_same_host(origin, host, permitted):
    assert SAME.permits({"origin": origin, "host": host}) is permitted


def test_programs_send_no_origin_and_may_connect():
    assert SAME.permits({"host": "www.example.com"})


@pytest.mark.parametrize(
    ("pattern", "origin", "permitted"),
    [
        ("https://*.example.com", "https://shop.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "http://shop.example.com", False),
        ("https://*.example.com", "https://shop.example.com:8443", False),
        ("https://*.example.com", "https://evil.org/.example.com", False),
        ("https://Shop.example.com:443", "https://shop.example.com", False),
        ("https://shop.example.com", "https://SHOP.example.com:443", True),
        ("http://[2001:db8::1]:*", "http://[2001:db8::1]:8000", True),
        ("*", "https://anything.example", True),
        ("*", "null", False),
    ],
)
def test_patterns(pattern, origin, permitted):
    assert Origins((pattern,), null=False).permits({"origin": origin, "host": "h"}) is permitted


def test_the_null_origin_may_connect_where_allowed():
    assert Origins((), null=True).permits({"origin": "null", "host": "h"})


@given(st.text())
def test_no_origin_raises(origin):
    canonical(origin)
    SAME.permits({"origin": origin, "host": origin})


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("127.0.0.1", {"origin": "http://localhost:8081", "host": "127.0.0.1:8080"}, True),
        ("127.0.0.1", {"origin": "http://127.0.0.1", "host": "127.0.0.1:8080"}, True),
        ("unix socket", {}, True),
        ("192.0.2.7", {}, False),
        ("192.0.2.7", {"origin": "http://localhost"}, False),
        # A page whose own name was made to mean 127.0.0.1.
        ("127.0.0.1", {"origin": "http://evil.example:8080", "host": "evil.example:8080"}, False),
        ("127.0.0.1", {"origin": "null"}, False),
        ("127.0.0.1", {"origin": "no origin"}, False),
        # A reverse proxy on this machine.
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}, False),
        ("127.0.0.1", {"forwarded": "for=192.0.2.7"}, False),
        ("127.0.0.1", {"origin": "https://www.example.com", "host": "www.example.com"}, False),
    ],
)
def test_what_comes_from_this_machine(peer, headers, expected):
    assert is_from_this_machine(peer, headers) is expected
