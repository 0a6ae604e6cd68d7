"""What of a value is shown: no secrets, and nothing endless."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.config.checks.redis import RedisUrl
from wampush.config.redaction import HIDDEN, names_a_secret, presentable, without_password

unhurried = settings(database=None, deadline=None)
SECRET = "correct-horse"


@unhurried
@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_before_the_last_at_sign_is_left_of_a_url(before: str, after: str) -> None:
    url = f"redis://{before}{SECRET}@{after}"
    assert SECRET not in without_password(url)
    assert without_password(url).startswith(f"redis://{HIDDEN}@")


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:5555", "a@b", "http://h/path", ""])
def test_other_texts_are_shown_as_they_are(text: str) -> None:
    assert without_password(text) == text


def test_names_of_secrets() -> None:
    assert names_a_secret("REDIS_PASSWORD")
    assert names_a_secret("passwd")
    assert not names_a_secret("url")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (0.5, 0.5),
        (7, 7),
        (2**1000, "a number of 1001 bits"),
        ("a" * 300, "a" * 200 + "…"),
        (f"redis://:{SECRET}@{'h' * 200}", f"redis://{HIDDEN}@" + "h" * 183 + "…"),
        (RedisUrl("h", password=SECRET), f"redis://{HIDDEN}@h:6379"),
        (dt.date(2026, 11, 28), "2026-11-28"),
        ((1, 2), [1, 2]),
        (list(range(9)), [*range(8), "…"]),
        ([[[1]]], [["…"]]),
        ({"token": SECRET, "a": {"b": [1]}}, {"token": HIDDEN, "a": {"b": "…"}}),
        (dict.fromkeys("abcdefghi", 1), {**dict.fromkeys("abcdefgh", 1), "…": "…"}),
        (b"a", "a Python bytes"),
    ],
)
def test_values_are_bounded(value: object, shown: object) -> None:
    assert presentable(value) == shown
