"""What trusted proxies report about clients."""

from __future__ import annotations

import pytest

from wampush.net.trusted_proxies import Proxies


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
    assert Proxies.of(trusted).client_address(peer, headers) == client


@pytest.mark.parametrize(
    ("peer", "reported", "secure", "scheme"),
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
def test_how_the_client_connected(peer, reported, secure, scheme):
    headers = {} if reported is None else {"x-forwarded-proto": reported}
    assert Proxies.of(["10.0.0.0/8"]).scheme(peer, headers, secure) == scheme


@pytest.mark.parametrize(
    ("hop", "client"),
    [
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ('"203.0.113.7"', "203.0.113.7"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
        ("[fe80::1%eth0]:443", "fe80::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.7:_port", "203.0.113.7"),
        ("1.1.1.1, 10.0.0.9:1234", "1.1.1.1"),
        ("203.0.113.7, [10.0.0.9]:99999", "203.0.113.7"),
    ],
)
def test_forms_of_addresses_that_proxies_write(hop, client):
    problems: list[str] = []
    proxies = Proxies.of(["10.0.0.0/8"], report=problems.append)
    assert proxies.client_address("10.0.0.1", {"x-forwarded-for": hop}) == client
    assert problems == []


@pytest.mark.parametrize(
    ("value", "shown", "client"),
    [
        ("unknown", "unknown", "10.0.0.1"),
        ("_hidden", "_hidden", "10.0.0.1"),
        ("1.2.3.4, unknown", "unknown", "10.0.0.1"),
        ("unknown, 10.0.0.9", "unknown", "10.0.0.9"),
        ("203.0.113.7:port", "203.0.113.7:port", "10.0.0.1"),
        ("203.0.113.7:51234:1", "203.0.113.7:51234:1", "10.0.0.1"),
        ('"203.0.113.7', '"203.0.113.7', "10.0.0.1"),
        ("\x1b[2J" + "x" * 500, "\\x1b[2J", "10.0.0.1"),
        ("", "", "10.0.0.1"),
    ],
)
def test_what_is_not_an_address_is_reported(value, shown, client):
    problems: list[str] = []
    proxies = Proxies.of(["10.0.0.0/8"], report=problems.append)
    assert proxies.client_address("10.0.0.1", {"x-forwarded-for": value}) == client
    (problem,) = problems
    assert problem.startswith(f"proxy {client}: '{shown}")
    assert problem.endswith("in X-Forwarded-For is not an address")
    assert problem.isprintable()
    assert len(problem) < 300


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=192.0.2.60", "192.0.2.60"),
        ("for=192.0.2.60;proto=https;by=203.0.113.43", "192.0.2.60"),
        ('proto=https; For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ('for="192.0.2.60:80"', "192.0.2.60"),
        ("for=192.0.2.60:80", "192.0.2.60"),
        ("for=[2001:db8::1]", "2001:db8::1"),
        ("for=6.6.6.6, for=192.0.2.60, for=10.0.0.9", "192.0.2.60"),
        ("for=6.6.6.6;host=a, for=192.0.2.60", "192.0.2.60"),
        (r'for="192.0.2\.60"', "192.0.2.60"),
    ],
)
def test_the_header_of_rfc_7239(value, client):
    problems: list[str] = []
    proxies = Proxies.of(["10.0.0.0/8"], "forwarded", problems.append)
    headers = {"forwarded": value, "x-forwarded-for": "6.6.6.6"}
    assert proxies.client_address("10.0.0.1", headers) == client
    assert problems == []
    assert proxies.client_address("192.0.2.9", headers) == "192.0.2.9"


@pytest.mark.parametrize(
    "value",
    [
        "for=unknown",
        "for=_gazonk",
        "proto=https",
        "for=1.2.3.4;for=5.6.7.8",
        "192.0.2.60",
        "",
        # A Host that the client chose, with a comma in it.
        'for=192.0.2.60;host="a,for=6.6.6.6;b=c"',
        'for=192.0.2.60;host="a,for=6.6.6.6"',
        r'for=192.0.2.60;host="a,for=6.6.6.6;b=\"c"',
        r'for=192.0.2.60;host="a,for=6.6.6.6;b=\"\""',
    ],
)
def test_an_element_without_an_address_is_reported(value):
    problems: list[str] = []
    proxies = Proxies.of(["10.0.0.0/8"], "forwarded", problems.append)
    assert proxies.client_address("10.0.0.1", {"forwarded": value}) == "10.0.0.1"
    (problem,) = problems
    assert problem.endswith("in Forwarded is not an address")


@pytest.mark.parametrize(
    ("header", "sent", "problem"),
    [
        ("x-forwarded-for", "forwarded", "it sends Forwarded, but not X-Forwarded-For"),
        ("x-forwarded-for", "x-real-ip", "it sends X-Real-IP, but not X-Forwarded-For"),
        ("forwarded", "x-forwarded-for", "it sends X-Forwarded-For, but not Forwarded"),
        ("x-forwarded-for", "via", ""),
    ],
)
def test_a_proxy_that_uses_another_header_is_reported(header, sent, problem):
    problems: list[str] = []
    proxies = Proxies.of(["10.0.0.1"], header, problems.append)
    assert proxies.client_address("10.0.0.1", {sent: "192.0.2.7"}) == "10.0.0.1"
    assert "".join(problems) == (
        f"proxy 10.0.0.1: {problem}, which proxy.header names" if problem else ""
    )
    proxies.client_address("192.0.2.9", {sent: "192.0.2.7"})
    assert len(problems) == bool(problem)


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("for=192.0.2.60;proto=https", "wss"),
        ('proto="WSS"', "wss"),
        ("proto=https, for=192.0.2.60;proto=http", "ws"),
        ("proto=https, for=192.0.2.60", "ws"),
        ("proto=gopher", "ws"),
        ("", "ws"),
    ],
)
def test_the_scheme_in_the_header_of_rfc_7239(value, scheme):
    proxies = Proxies.of(["10.0.0.1"], "forwarded")
    headers = {"forwarded": value, "x-forwarded-proto": "https"}
    assert proxies.scheme("10.0.0.1", headers, secure=False) == scheme
    assert proxies.scheme("192.0.2.9", headers, secure=False) == "ws"


def test_a_zone_is_no_part_of_a_clients_address():
    proxies = Proxies.of(["10.0.0.1"])
    headers = {"x-forwarded-for": "fe80::1%a\nforged line"}
    assert proxies.client_address("10.0.0.1", headers) == "fe80::1"
