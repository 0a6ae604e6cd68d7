"""The rules of ``[clients]``."""

from __future__ import annotations

import pytest

from tests.config.refusals import refusal
from wampush.config.load import load


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (
            "user.{user}",
            'must be a list, not a string; each element must be a topic such as "user.{user}"',
        ),
        ([1], "a topic such as"),
        ([""], "a topic such as"),
        (["a*"], 'has no "*"'),
        (["a*b"], 'has no "*"'),
        (["{user}"], "begins with text"),
        (["{group}.a"], "begins with text"),
        (["u{user}"], "separators such as"),
        (["u.{user}s"], "separators such as"),
        (["u.{user}{group}"], "separators such as"),
        (["u.{usr}"], "no other braces"),
        (["u.{"], "no other braces"),
        (["a", "a"], "in the list only once"),
        (["ö" * 513], "limits.topic_bytes allows 1024 bytes"),
        (["ö" * 512 + ".{user}"], "limits.topic_bytes allows 1024 bytes"),
    ],
)
def test_unusable_automatic_topics(topics, expected):
    error = refusal(overrides={"clients.auto_subscribe": topics})
    assert error.key == "clients.auto_subscribe"
    assert expected in str(error)


def test_automatic_topics(toml):
    text = '[clients]\nauto_subscribe = ["user.{user}", "in/{group}/of/{user}", "broadcast"]'
    kept = load(toml(text), {}, {}).settings.clients.auto_subscribe
    assert kept == ("user.{user}", "in/{group}/of/{user}", "broadcast")
    variable = {"WAMPUSH_CLIENTS_AUTO_SUBSCRIBE": "user.{user}, broadcast"}
    assert load(toml(text), variable, {}).settings.clients.auto_subscribe == (
        "user.{user}",
        "broadcast",
    )
    longest = "ö" * 511 + ".{user}"
    assert load(None, {}, {"clients.auto_subscribe": [longest]})


def test_the_topics_of_wampush_have_no_presence():
    entry = {"match": "wampush.presence.*", "presence": True}
    error = refusal(overrides={"topics": [entry]})
    assert (error.key, error.value) == ("topics[1].presence", True)
    assert "cannot join" in error.expected
