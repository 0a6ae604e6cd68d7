"""The canonical form of origins and of patterns for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.web_origin import canonical, canonical_pattern, host_of

ORIGINS = {
    "http://www.example.com": "http://www.example.com",
    "HTTP://WWW.Example.com": "http://www.example.com",
    "http://www.example.com/": "http://www.example.com",
    "http://www.example.com/a/b?c=d#e": "http://www.example.com",
    "http://www.example.com:80": "http://www.example.com",
    "https://www.example.com:0443": "https://www.example.com",
    "https://www.example.com:80": "https://www.example.com:80",
    "ws://www.example.com:80/": "http://www.example.com",
    "wss://www.example.com:8443": "https://www.example.com:8443",
    "http://[2001:DB8:0:0::1]:8080": "http://[2001:db8::1]:8080",
    "www.example.com": "www.example.com",
    "www.example.com:8080": "www.example.com:8080",
    "www.example.com:443": "https://www.example.com",
    "www.example.com:80/": "http://www.example.com",
    "file://": "file://",
    "file:///android_asset/www/index.html": "file://",
    "capacitor://localhost": "capacitor://localhost",
    "chrome-extension://abcdef": "chrome-extension://abcdef",
    "": None,
    "null": None,
    "NULL": None,
    "/": None,
    ":80": None,
    "http://": None,
    "wss:///path": None,
    "file://:80": None,
    "://www.example.com": None,
    "http:www.example.com": None,
    "http://user@www.example.com": None,
    "http://www.example.com:": None,
    "http://www.example.com:port": None,
    "http://www.example.com:65536": None,
    "http://www.example.com?a=b": None,
    "http://www.example.com\\@evil.example": None,
    "http://a.example http://b.example": None,
    "http://[1.2.3.4]": None,
    "http://[::1": None,
    "http://" + "a" * 300: None,
}


@pytest.mark.parametrize(("origin", "form"), ORIGINS.items())
def test_origins(origin: str, form: str | None) -> None:
    assert canonical(origin) == form


PATTERNS = {
    "same-host": "same-host",
    "*": "*",
    "https://*.Example.com": "https://*.example.com",
    "https://*": "https://*",
    "http://localhost:*": "http://localhost:*",
    "https://www.example.com:443": "https://www.example.com",
    "https://www.example.com/": "https://www.example.com",
    "wss://www.example.com": "https://www.example.com",
    "ws://www.example.com:80/": "http://www.example.com",
    "www.example.com": "www.example.com",
    "*.example.com:8443": "*.example.com:8443",
    "www.example.com:443": "https://www.example.com",
    "file://": "file://",
    "https://www.example.com:8*": "https://www.example.com:8*",
    "*://www.example.com": "*://www.example.com",
    "": None,
    "null": None,
    "**": None,
    "*.*": None,
    "http://": None,
    "https://www.example.com/app": None,
    "https://www.example.com?": None,
    "https://www.example.com:99999": None,
    "https://www.example.com:99*9999": None,
    "https://m\xfcller.example": None,
    "https://a.example, https://b.example": None,
}


@pytest.mark.parametrize(("text", "form"), PATTERNS.items())
def test_patterns(text: str, form: str | None) -> None:
    assert canonical_pattern(text) == form


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://www.example.com:8080", "www.example.com"),
        ("http://[::1]:8080", "::1"),
        ("www.example.com", "www.example.com"),
        ("file://", ""),
        ("not an origin", ""),
    ],
)
def test_the_host_of_an_origin(origin: str, host: str) -> None:
    assert host_of(origin) == host


@given(st.text())
def test_the_canonical_form_is_its_own_canonical_form(text: str) -> None:
    for form in (canonical, canonical_pattern):
        found = form(text)
        assert found is None or form(found) == found


@given(st.from_regex(r"[a-z]{1,5}://[a-z*.]{1,9}(:[0-9]{1,5})?/?", fullmatch=True))
def test_the_canonical_form_of_a_plausible_origin_is_its_own(text: str) -> None:
    for form in (canonical, canonical_pattern):
        found = form(text)
        assert found is None or form(found) == found
