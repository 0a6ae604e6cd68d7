"""Payloads between nodes: what is written is read, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from wampush.broker.nodes.node_payloads import (
    MOST_FIGURES,
    Answer,
    Beat,
    PeoplePayload,
    Question,
    answer_payload,
    beat_payload,
    people_payload,
    question_payload,
    read_answer,
    read_beat,
    read_people,
    read_question,
)
from wampush.broker.nodes.people import PeopleChange
from wampush.errors import PushRefused, Refusal

BEAT = Beat(
    node="x",
    epoch="e",
    sequence=7,
    name="a",
    version="1.0",
    watched=("room.*",),
    figures={"sessions": 3, "lag": 0.5},
    is_new=True,
)
CHANGE = PeopleChange(
    sessions=2,
    users={"7": True, "8": False},
    members={"room": {"7": 1, "8": None}},
    anonymous={"room": 0},
    occupied={"room": True},
    reported={"room": False},
)


def test_a_beat_is_read_as_it_was_written() -> None:
    assert read_beat(beat_payload(BEAT)) == BEAT
    assert read_beat(
        b'{"node":"x","epoch":"e","sequence":0,"name":"a","version":"","later":1}'
    ) == Beat(node="x", epoch="e", sequence=0, name="a")


def test_people_are_read_as_they_were_written() -> None:
    update = PeoplePayload(node="x", epoch="e", sequence=3, change=CHANGE)
    assert read_people(people_payload(update)) == update
    part = PeoplePayload(node="x", epoch="e", sequence=3, change=PeopleChange(), part=1, parts=2)
    assert read_people(people_payload(part)) == part


def test_questions_and_answers_are_read_as_they_were_written() -> None:
    question = Question(number=3, name="sessions", arguments={"user": "7"})
    assert read_question(question_payload(question)) == question
    answer = Answer(node="x", number=3, value=[{"a": None}])
    assert read_answer(answer_payload(answer)) == answer


GOOD_BEAT = orjson.loads(beat_payload(BEAT))
GOOD_PEOPLE = orjson.loads(
    people_payload(PeoplePayload(node="x", epoch="e", sequence=1, change=CHANGE))
)
GOOD_QUESTION = {"question": 1, "name": "x", "arguments": {}}


def wrong(
    read: Callable[[bytes], object], good: dict[str, Any], values: list[tuple[str, object]]
) -> list[tuple[object, ...]]:
    """Parameters for one kind of payload."""
    return [(read, good, *each) for each in values]


@pytest.mark.parametrize(
    ("read", "good", "field", "value"),
    [
        *wrong(
            read_beat,
            GOOD_BEAT,
            [
                ("epoch", 1),
                ("epoch", "x" * 256),
                ("sequence", -1),
                ("sequence", True),
                ("sequence", 2**60),
                ("sequence", None),
                ("name", None),
                ("name", "a\na line of its own"),
                ("version", []),
                ("watched", "room"),
                ("watched", [1]),
                ("watched", ["x"] * (MOST_FIGURES + 1)),
                ("figures", []),
                ("figures", {"a": "b"}),
                ("figures", {"a": True}),
                ("figures", {f"{each}": 1 for each in range(MOST_FIGURES + 1)}),
            ],
        ),
        *wrong(
            read_people,
            GOOD_PEOPLE,
            [
                ("epoch", None),
                ("sequence", 1.5),
                ("part", 0),
                ("sessions", -1),
                ("sessions", None),
                ("users", ["7"]),
                ("users", {"7": 1}),
                ("members", {"room": []}),
                ("members", {"room": {}}),
                ("members", {"room": {"7": -1}}),
                ("members", {"room": {"7": True}}),
                ("anonymous", {"room": None}),
                ("occupied", {"room": None}),
                ("reported", {"room": "yes"}),
            ],
        ),
        (read_question, GOOD_QUESTION, "arguments", []),
        (read_question, GOOD_QUESTION, "name", 3),
        (read_question, GOOD_QUESTION, "question", "1"),
        (read_answer, {"node": "x", "question": 1}, "question", None),
    ],
)
def test_a_wrong_field_makes_the_whole_payload_wrong(
    read: Callable[[bytes], object], good: dict[str, Any], field: str, value: object
) -> None:
    assert read(orjson.dumps(good))
    with pytest.raises(PushRefused) as refused:
        read(orjson.dumps({**good, field: value}))
    assert refused.value.refusal is Refusal.NODE_FORM
    assert field in refused.value.detail


@pytest.mark.parametrize("payload", [b"", b"[]", b"3", b'"beat"', b"{"])
@pytest.mark.parametrize("read", [read_beat, read_people, read_question, read_answer])
def test_what_is_no_object_is_refused(read: Callable[[bytes], object], payload: bytes) -> None:
    with pytest.raises(PushRefused):
        read(payload)
