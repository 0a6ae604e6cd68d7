"""The rules of ``[[topics]]`` and ``[history]``."""

from __future__ import annotations

import pytest

from tests.config.refusals import mistakes, refusal
from wampush.config.load import load


@pytest.mark.parametrize(
    ("matches", "key", "expected"),
    [
        (["a", "a"], "topics[2].match", "never reached"),
        (["*", "a"], "topics[2].match", "never reached"),
        (["a*", "b", "ab*"], "topics[3].match", "topics[1]"),
        ([""], "topics[1].match", "a topic, or a prefix"),
        (["a*b"], "topics[1].match", "a topic, or a prefix"),
        (["a**"], "topics[1].match", "a topic, or a prefix"),
        (["ö" * 513], "topics[1].match", "allows 1024 bytes"),
        ([None], "topics[1].match", "is missing"),
    ],
)
def test_unusable_topics(matches, key, expected):
    entries = [{} if match is None else {"match": match} for match in matches]
    error = refusal(overrides={"topics": entries})
    assert error.key == key
    assert expected in str(error)


def test_topics_from_narrow_to_wide():
    entries = [{"match": match} for match in ("ab", "ab*", "a*", "*")]
    assert len(load(None, {}, {"topics": entries}).settings.topics) == 4


@pytest.mark.parametrize(
    ("entry", "name", "expected"),
    [
        ({"last": True, "last_by": "id"}, "last", "where last_by gives the values"),
        ({"history": 3, "replay": 4}, "replay", "at most history, which keeps 3 events"),
        ({"history": 3, "replay": 3, "last": True}, "replay", "where last or last_by says"),
        ({"slow_client": "catch-up", "last": True}, "slow_client", "set history"),
        ({"catch_up_gap": "skip", "last": True}, "catch_up_gap", "do not catch up"),
        (
            {"catch_up_gap": "skip", "history": 3, "slow_client": "latest"},
            "catch_up_gap",
            "do not catch up",
        ),
        ({"tombstone": "gone", "last": True}, "tombstone", "where no last_by gives keys"),
        ({"version_by": "rev"}, "version_by", "where nothing is kept"),
        ({"durable": True}, "durable", "where nothing is kept"),
        ({"durable": True, "last": True}, "durable", "needs history.database"),
        ({"last": True, "gap_replay": True}, "gap_replay", "where no events are kept"),
    ],
)
def test_options_of_history_that_do_not_fit(entry, name, expected):
    error = refusal(overrides={"topics": [{"match": "t", **entry}]})
    assert error.key == f"topics[1].{name}"
    assert expected in str(error)


def test_topics_of_wampush_keep_nothing():
    entries = [
        {"match": "wampush.a", "last": True},
        {"match": "wampush.b", "last_by": "id"},
        {"match": "wampush.c", "history": 1},
    ]
    found = mistakes(overrides={"topics": entries})
    assert [each.key for each in found] == [
        "topics[1].last",
        "topics[2].last_by",
        "topics[3].history",
    ]


def test_options_that_fit():
    entries = [
        {"match": "a", "last": True, "version_by": "rev", "max_age": 60},
        {"match": "b", "last_by": "id", "tombstone": "gone", "history": 10},
        {"match": "c", "history": 10, "replay": 10},
        {"match": "d"},
    ]
    topics = load(None, {}, {"topics": entries}).settings.topics
    assert [each.keeps_something for each in topics] == [True, True, True, False]


@pytest.mark.parametrize(
    ("entry", "policy"),
    [
        ({}, "disconnect"),
        ({"last": True}, "disconnect"),
        ({"history": 1}, "catch-up"),
        ({"history": 1, "catch_up_gap": "skip"}, "catch-up"),
        ({"history": 1, "slow_client": "disconnect"}, "disconnect"),
        ({"history": 1, "slow_client": "catch-up"}, "catch-up"),
        ({"slow_client": "latest"}, "latest"),
    ],
)
def test_the_policy_for_slow_clients_in_force(entry, policy):
    (topic,) = load(None, {}, {"topics": [{"match": "t", **entry}]}).settings.topics
    assert topic.slow_client_in_force.value == policy
