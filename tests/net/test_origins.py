"""Which pages may connect, and what comes from this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.net.origins import (
    Origins,
    is_direct_from_loopback,
    is_from_this_machine,
    objection_without_origin,
)
from wampush.web_origin import canonical, canonical_pattern

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
        ("http://www.example.com/path", "www.example.com", True),
        ("http://www.example.com/", "www.example.com:8080", True),
        ("ws://www.example.com:8080", "www.example.com:8080", True),
        ("www.example.com", "www.example.com:8080", True),
        ("www.example.com:8080", "www.example.com:8080", True),
        ("127.0.0.1:8080", "localhost:8080", True),
        ("example.com", "www.example.com", False),
        ("http://evil.example/www.example.com", "www.example.com", False),
        ("http://evil.example\\.www.example.com", "www.example.com", False),
        ("http://www.example.com:port", "www.example.com", False),
        ("", "www.example.com", True),
        ("http://www.example.com", "", False),
        ("file:///home/ann/page.html", "", False),
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
        ("https://*.example.com", "https://evil.org/https://a.example.com", False),
        ("https://Shop.example.com:443", "https://shop.example.com", True),
        ("wss://shop.example.com", "https://shop.example.com", True),
        ("https://shop.example.com/", "https://shop.example.com", True),
        ("https://shop.example.com", "https://shop.example.com/", True),
        ("https://shop.example.com", "https://shop.example.com/page?a=b", True),
        ("https://shop.example.com", "wss://shop.example.com", True),
        ("https://shop.example.com", "shop.example.com", False),
        ("http://[2001:DB8:0::1]", "http://[2001:db8::1]", True),
        ("http://[2001:db8::1]:80*", "http://[2001:db8::1]:8000", True),
        ("http*://shop.example.com", "https://shop.example.com", True),
        ("*://shop.example.com", "http://shop.example.com:8080", False),
        ("shop.example.com", "shop.example.com", True),
        ("shop.example.com", "https://shop.example.com", True),
        ("shop.example.com", "http://shop.example.com/", True),
        ("shop.example.com", "https://shop.example.com:8443", False),
        ("shop.example.com:8443", "https://shop.example.com:8443", True),
        ("shop.example.com:443", "https://shop.example.com", True),
        ("shop.example.com:443", "http://shop.example.com", False),
        ("*.example.com", "http://shop.example.com", True),
        ("*.example.com", "file://", False),
        ("file://", "file://", True),
        ("file://", "file:///android_asset/www/index.html", True),
        ("file://", "http://file", False),
        ("capacitor://localhost", "capacitor://localhost", True),
        ("*", "file://", True),
        ("*", "http://", True),
        ("*", "neither : an origin", True),
        ("https://shop.example.com", "https://SHOP.example.com:443", True),
        ("http://[2001:db8::1]:*", "http://[2001:db8::1]:8000", True),
        ("*", "https://anything.example", True),
        ("*", "null", True),
        ("https://*", "null", False),
    ],
)
def test_patterns(pattern, origin, permitted):
    allowed = canonical_pattern(pattern)
    assert allowed is not None
    assert Origins((allowed,), null=False).permits({"origin": origin, "host": "h"}) is permitted


def test_the_null_origin_may_connect_where_allowed():
    assert Origins((), null=True).permits({"origin": "null", "host": "h"})


@pytest.mark.parametrize(
    ("origin", "host", "permitted"),
    [
        ("http://localhost:8081", "127.0.0.1:8080", True),
        ("http://[::1]:8081", "localhost:8080", True),
        ("localhost", "localhost:8080", True),
        ("http://listed.example", "listed.example:8080", True),
        # The owner of the site can have its name resolved to 127.0.0.1.
        ("http://evil.example:8080", "evil.example:8080", False),
        ("http://localhost.evil.example", "localhost.evil.example", False),
        ("evil.example", "evil.example", False),
        ("http://evil.example", "localhost:8080", False),
    ],
)
def test_where_only_this_machine_connects_the_same_host_has_a_name_of_loopback(
    origin, host, permitted
):
    origins = Origins(("same-host", "http://listed.example"), null=False)
    headers = {"origin": origin, "host": host}
    assert origins.permits(headers, loopback_only=True) is permitted


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        ("::1", {"origin": "http://evil.example"}, True),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}, False),
        ("192.0.2.7", {}, False),
        ("unix socket", {}, False),
    ],
)
def test_which_handshakes_a_browser_on_this_machine_may_have_sent(peer, headers, expected):
    assert is_direct_from_loopback(peer, headers) is expected


@pytest.mark.parametrize(
    ("origin", "host", "loopback_only", "texts"),
    [
        ("null", "a.example", False, ["'null'", "websocket.allow_null_origin = true"]),
        ("http://a b", "a.example", False, ["'http://a b'", "malformed", 'only "*"']),
        (
            "https://www.example.com",
            "127.0.0.1:8080",
            False,
            ["'https://www.example.com'", "'127.0.0.1:8080'", "the proxy must pass on Host"],
        ),
        ("http://a.example", "a.example", True, ["'http://a.example'", "on loopback only"]),
        ("http://a.example/", "\x1b[2J", False, ["'http://a.example'", "'\\x1b[2J'"]),
    ],
)
def test_an_objection_says_what_would_permit_the_origin(origin, host, loopback_only, texts):
    headers = {"origin": origin, "host": host}
    assert not SAME.permits(headers, loopback_only=loopback_only)
    objection = SAME.objection(headers, loopback_only=loopback_only)
    assert objection.isprintable()
    for text in texts:
        assert text in objection


def test_an_objection_does_not_speak_of_the_host_where_it_is_not_compared():
    headers = {"origin": "http://a.example", "host": "b.example"}
    objection = Origins(("http://c.example",), null=False).objection(headers)
    assert objection == "The origin is 'http://a.example'; add it to permit it."


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


@pytest.mark.parametrize(
    ("headers", "loopback_only", "objection"),
    [
        ({"host": "a.example"}, False, None),
        ({"host": "a.example", "sec-fetch-site": "same-origin"}, False, None),
        ({"host": "a.example", "sec-fetch-site": "none"}, False, None),
        ({"host": "a.example", "sec-fetch-site": "cross-site"}, False, "another origin"),
        ({"host": "a.example", "sec-fetch-site": "same-site"}, False, "another origin"),
        ({"host": "a.example", "sec-fetch-site": "cross-site", "origin": "x"}, False, None),
        ({"host": "a.example"}, True, "asks for the host 'a.example'"),
        ({}, True, "asks for the host ''"),
        ({"host": "localhost:8080"}, True, None),
        ({"host": "[::1]:8080"}, True, None),
        ({"host": "127.0.0.1"}, True, None),
    ],
)
def test_requests_without_an_origin(
    headers: dict[str, str], loopback_only: bool, objection: str | None
) -> None:
    found = objection_without_origin(headers, loopback_only=loopback_only)
    if objection is None:
        assert found is None
    else:
        assert objection in (found or "")


def test_a_host_that_is_too_long_is_none() -> None:
    name = "a" * 293
    for host, permitted in ((f"{name}:80", True), (f"{name}:0000080", False)):
        assert SAME.permits({"origin": f"http://{name}", "host": host}) is permitted
