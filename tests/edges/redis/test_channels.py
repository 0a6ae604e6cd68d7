"""Channels with patterns: what Redis matches is matched here, and each message counts once."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.edges.redis.channels import ChannelPattern, Channels

unhurried = settings(database=None, deadline=None)
letters = st.text("ab*?[]\\é", max_size=4)
patterns = st.builds("{}*{}".format, letters, letters)
names = st.text("ab*?[]\\é", max_size=12)


@unhurried
@given(patterns, names)
def test_an_asterisk_stands_for_anything_and_nothing_else_is_special(text: str, name: str) -> None:
    model = ".*".join(map(re.escape, text.split("*")))
    expected = re.fullmatch(model, name, re.DOTALL) is not None
    assert ChannelPattern(text).matches(name.encode()) == expected


@pytest.mark.parametrize(
    ("text", "glob"),
    [
        ("live_*", rb"live_*"),
        ("a?[b]\\*", rb"a\?\[b\]\\*"),
        ("é*", "é*".encode()),
    ],
)
def test_what_redis_would_take_for_special_is_escaped(text: str, glob: bytes) -> None:
    assert ChannelPattern(text).glob == glob


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("ab*ba", "aba", False),
        ("ab*ba", "abba", True),
        ("*", "", True),
        ("a**", "a", True),
        ("*a*a*", "a", False),
        ("*a*a*", "xaxax", True),
    ],
)
def test_beginning_and_end_do_not_overlap(text: str, name: str, expected: bool) -> None:
    assert ChannelPattern(text).matches(name.encode()) is expected


def subscriptions(names: list[str], channel: str) -> list[bytes | None]:
    """What Redis sends a message for: None for the name, then the patterns that match."""
    patterns = [ChannelPattern(each) for each in names if "*" in each]
    found: list[bytes | None] = [None] if channel in names else []
    return found + [each.glob for each in patterns if each.matches(channel.encode())]


@unhurried
@given(
    st.lists(st.text("ab*", min_size=1, max_size=4), min_size=1, max_size=5, unique=True),
    st.text("ab", max_size=5),
)
def test_a_message_counts_for_the_first_subscription_alone(names: list[str], channel: str) -> None:
    channels = Channels(names, "{channel}")
    came = subscriptions(names, channel)
    counted = [each for each in came if channels.is_first(each, channel.encode())]
    assert counted == came[:1]


def test_a_pattern_that_nobody_asked_for_counts_unless_the_name_does() -> None:
    channels = Channels(["a", "b*"], "{channel}")
    assert channels.is_first(b"x*", b"xy")
    assert not channels.is_first(b"x*", b"a")


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("{channel}", b"live_x"),
        ("shop.{channel}", b"shop.live_x"),
        ("{channel}/{channel}", b"live_x/live_x"),
        ("fixed", b"fixed"),
    ],
)
def test_the_topic_is_made_of_the_channel(topic: str, expected: bytes) -> None:
    assert Channels(["live_*"], topic).topic(b"live_x") == expected


def test_a_prefix_is_part_of_every_name_and_of_no_topic() -> None:
    channels = Channels(["orders", "live_*"], "shop.{channel}", "shop*[1]_")
    assert channels.names == {b"shop*[1]_orders"}
    assert channels.globs == [rb"shop\*\[1\]_live_*"]
    assert channels.topic(b"shop*[1]_live_7") == b"shop.live_7"
    assert channels.topic(b"shop*[1]_shop*[1]_") == b"shop.shop*[1]_"
    assert ChannelPattern("live_*", "a*_").matches(b"a*_live_7")
    assert not ChannelPattern("live_*", "a*_").matches(b"ab_live_7")
