"""Names of headers and cookies, and URLs of web applications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.config.checks.check import Rejected
from wampush.config.checks.names import HTTP_URL, NAME


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/who.php", "https://example.org/a?b=c", "http://[::1]:1/", ""],
)
def test_urls_of_web_applications(url):
    assert HTTP_URL.check(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "example.org",
        "ftp://a/",
        "http://",
        "http://u:p@a/",
        "http://a/#b",
        "http://a:99999/",
        "http://a b/",
        "http://[::1/",
        "https://é/",
        "http://a:0/",
        1,
    ],
)
def test_what_is_no_url_of_a_web_application(url):
    assert isinstance(HTTP_URL.check(url), Rejected)


@pytest.mark.parametrize("name", ["a b", "ä", "a:b", "a=b", "", 1, "a\n"])
def test_what_is_no_name(name):
    assert isinstance(NAME.check(name), Rejected)


@given(st.text() | st.integers() | st.none() | st.lists(st.text()))
def test_checks_never_raise(value):
    for check in (HTTP_URL, NAME):
        checked = check.check(value)
        assert checked == value or isinstance(checked, Rejected)
