"""What an address is read as, and what it is counted as."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.net.addresses import counting_key, parse_address, parse_network


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:DB8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1", "fe80::1"),
        ("fe80::2%eth0", "fe80::2%eth0"),
        ("127.0.0.1", None),
        ("127.1.2.3", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("unix socket", None),
        ("", None),
        (":", None),
        ("::" * 100, None),
        ("2001:db8::1%" + "z" * 100, None),
    ],
)
def test_what_an_address_is_counting_key(address, name):
    assert counting_key(address) == name


@given(st.ip_addresses())
def test_every_address_but_loopback_is_counted(address):
    name = counting_key(str(address))
    read = parse_address(str(address))
    assert read is not None
    assert (name is None) == read.is_loopback
    if name is not None:
        assert read in ip_network(name)


@given(st.text())
def test_no_text_raises(text):
    parse_address(text)
    counting_key(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_reading_an_address(text, address):
    assert parse_address(text) == ip_address(address)


def test_what_is_no_address():
    for text in ("", "localhost", "192.0.2", "192.0.2.1:80", "[::1]", "1" * 10_000):
        assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.5", "10.0.0.5/32"),
        ("10.0.0.5/8", "10.0.0.0/8"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.5", "10.0.0.5/32"),
        ("::/0", "::/0"),
        ("::/96", "::/96"),
    ],
)
def test_reading_a_network(text, expected):
    assert parse_network(text) == ip_network(expected)
