"""Origins and proxies: who is believed, and what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.net.origins import Origins, Proxies, canonical, is_from_here

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
    assert SAME.permit({"origin": origin, "host": host}) is permitted


def test_programs_send_no_origin_and_may_connect():
    assert SAME.permit({"host": "www.example.com"})


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
    assert Origins((pattern,), null=False).permit({"origin": origin, "host": "h"}) is permitted


def test_the_null_origin_may_connect_where_allowed():
    assert Origins((), null=True).permit({"origin": "null", "host": "h"})


@given(st.text())
def test_no_origin_raises(origin):
    canonical(origin)
    SAME.permit({"origin": origin, "host": origin})


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (["10.0.0.0/8"], "192.0.2.9", "1.2.3.4", "192.0.2.9"),
        (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"),
        (["10.0.0.0/8"], "10.0.0.1", "10.0.0.9, 10.0.0.7", "10.0.0.9"),
        (["10.0.0.0/8"], "10.0.0.1", "", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "1.2.3.4, <script>", "10.0.0.1"),
        (["::1"], "::1", "2001:DB8::5", "2001:db8::5"),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", "1.2.3.4, ::ffff:10.0.0.7", "1.2.3.4"),
        (["::ffff:10.0.0.0/104"], "10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
        (["127.0.0.1"], "unix", "1.2.3.4", "unix"),
    ],
)
def test_the_client_behind_proxies(trusted, peer, forwarded, client):
    headers = {"x-forwarded-for": forwarded}
    assert Proxies.of(trusted).client(peer, headers) == client


@pytest.mark.parametrize(
    ("peer", "told", "secure", "scheme"),
    [
        ("192.0.2.9", None, False, "ws"),
        ("192.0.2.9", None, True, "wss"),
        ("192.0.2.9", "https", False, "ws"),
        ("192.0.2.9", "http", True, "wss"),
        ("10.0.0.1", None, False, "ws"),
        ("10.0.0.1", "https", False, "wss"),
        ("10.0.0.1", " WSS ", False, "wss"),
        ("10.0.0.1", "http", True, "ws"),
        ("10.0.0.1", "ws", False, "ws"),
        ("10.0.0.1", "http, https", False, "wss"),
        ("10.0.0.1", "https, http", False, "ws"),
        ("10.0.0.1", "https,", True, "wss"),
        ("10.0.0.1", "gopher", True, "wss"),
        ("unix socket", "https", False, "ws"),
    ],
)
def test_how_the_client_connected(peer, told, secure, scheme):
    headers = {} if told is None else {"x-forwarded-proto": told}
    assert Proxies.of(["10.0.0.0/8"]).scheme(peer, headers, secure) == scheme


def test_a_zone_is_no_part_of_a_clients_address():
    proxies = Proxies.of(["10.0.0.1"])
    headers = {"x-forwarded-for": "fe80::1%a\nforged line"}
    assert proxies.client("10.0.0.1", headers) == "fe80::1"


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
    assert is_from_here(peer, headers) is expected
