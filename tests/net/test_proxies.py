"""What trusted proxies report about clients."""

from __future__ import annotations

import pytest

from wampush.net.proxies import Proxies


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


def test_a_zone_is_no_part_of_a_clients_address():
    proxies = Proxies.of(["10.0.0.1"])
    headers = {"x-forwarded-for": "fe80::1%a\nforged line"}
    assert proxies.client_address("10.0.0.1", headers) == "fe80::1"
