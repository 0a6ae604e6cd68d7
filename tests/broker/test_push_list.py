"""A list of publications in one push."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wampush.broker.ingest import Ingest
from wampush.broker.publication import EVERYONE, Targets
from wampush.broker.push_list import MAX_PUBLICATIONS, listed_pushes
from wampush.errors import PushRefused, Refusal

INGEST = Ingest(topic_key="category", max_bytes=1_000_000, topic_bytes=100)


def test_data_stay_as_they_are() -> None:
    body = (
        b' [ {"topic": "t", "data": {"n": 1.0, "big": 9007199254740993} },'
        b'{"data":"]}","topic":"u"}]'
    )
    first, second = listed_pushes(body, INGEST)
    assert first.publication.payload == b'{"n": 1.0, "big": 9007199254740993}'
    assert (first.publication.topic, first.publication.audience) == ("t", EVERYONE)
    assert (second.publication.topic, second.publication.payload) == ("u", b'"]}"')
    assert first.push_id == ""


def test_options_and_ids() -> None:
    body = (
        b"""[{"topic":"t","id":"a","data":1,"to":{"users":["7"]},"exclude":["x"],"topics":["u"]}]"""
    )
    (push,) = listed_pushes(body, INGEST)
    assert push.push_id == "a"
    assert push.publication.audience.to == Targets(users=frozenset({"7"}))
    assert push.publication.audience.exclude == {"x"}
    assert push.publication.further_topics == ("u",)
    assert list(push.parts[:2]) == [b"t", b"1"]
    assert json.loads(push.parts[2]) == {"to": {"users": ["7"]}, "exclude": ["x"], "topics": ["u"]}


@pytest.mark.parametrize(
    ("pushes", "refusal", "detail"),
    [
        ([], Refusal.BAD_LIST, "It has 0. 1 to 1000 are allowed."),
        ({"a": 1}, Refusal.BAD_LIST, "It is not a list."),
        ([1] * (MAX_PUBLICATIONS + 1), Refusal.BAD_LIST, "It has 1001."),
        ([1], Refusal.BAD_LIST, "Publication 1: It is 1."),
        ([{"topic": "t"}], Refusal.BAD_LIST, 'Publication 1: It has no "data".'),
        ([{"data": 1}], Refusal.BAD_LIST, 'Publication 1: It has no "topic".'),
        ([{"topic": "t", "data": 1, "x": 2}], Refusal.BAD_LIST, 'Publication 1: It has "x"; known'),
        ([{"topic": 7, "data": 1}], Refusal.TOPIC_NOT_STRING, "Publication 1: It is 7."),
        ([{"topic": "t", "data": 1, "id": 7}], Refusal.BAD_ID, "Publication 1: It is 7."),
        ([{"topic": "t", "data": 1, "id": ""}], Refusal.BAD_ID, 'Publication 1: It is "".'),
        ([{"topic": "t", "data": 1, "to": 7}], Refusal.BAD_OPTIONS, "Publication 1: to must be"),
        ([{"topic": "wampush.x", "data": 1}], Refusal.TOPIC_RESERVED, "Publication 1: It is"),
    ],
)
def test_what_is_no_list_of_publications(pushes: Any, refusal: Refusal, detail: str) -> None:
    with pytest.raises(PushRefused) as caught:
        listed_pushes(json.dumps(pushes).encode(), INGEST)
    assert caught.value.refusal is refusal
    assert caught.value.detail.startswith(detail)


def test_the_number_of_the_element_at_fault_is_named() -> None:
    body = json.dumps([{"topic": "t", "data": 1}, {"topic": "", "data": 1}]).encode()
    with pytest.raises(PushRefused, match="Publication 2: The topic is an empty string"):
        listed_pushes(body, INGEST)


def test_what_is_not_json() -> None:
    with pytest.raises(PushRefused) as caught:
        listed_pushes(b"[{", INGEST)
    assert caught.value.refusal is Refusal.NOT_JSON
