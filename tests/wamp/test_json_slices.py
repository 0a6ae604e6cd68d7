"""Elements of JSON lists as slices of their text."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.wamp.json_text import texts, values
from wampush.errors import MessageRefused, Refusal
from wampush.wamp.json_slices import published_event, raw_elements, raw_members

unhurried = settings(database=None, deadline=None, max_examples=200)


@unhurried
@given(texts(st.lists(values, min_size=1, max_size=6)))
@example(b'["\\\\\\\\","\\"]",[["]"]]]')
def test_raw_elements_are_the_elements(text):
    assert [json.loads(element) for element in raw_elements(text)] == json.loads(text)


@unhurried
@given(texts(st.dictionaries(st.text(), values, max_size=6)))
@example(b'{"a\\"}:,": 1.0 , "b":{"a":[1,"]"]},"\\u0061":[]}')
def test_raw_members_are_the_members(text):
    members = {key: json.loads(value) for key, value in raw_members(text).items()}
    assert members == json.loads(text)


def test_the_last_of_equal_keys_counts_and_values_stay_as_they_are():
    assert raw_members(b'{ "a" : 1, "\\u0061":2.50 , "b":{ } }') == {"a": b"2.50", "b": b"{ }"}
    assert raw_members(b"{}") == {}


@pytest.mark.parametrize(
    ("text", "count", "event"),
    [
        ('[7,"t",1.0]', 3, "1.0"),
        (' [ 7 , "t" , {"a": [1]} ] ', 3, '{"a": [1]}'),
        ('[7,"a\\"],",["b"],true]', 4, '["b"]'),
        ('[7,"t","x,y",[],[]]', 5, '"x,y"'),
    ],
)
def test_the_event_of_a_publish(text, count, event):
    assert published_event(text.encode(), count) == event.encode()


def test_an_event_whose_end_cannot_be_found_is_refused():
    event = "[" * 100_000 + "]" * 100_000
    assert published_event(f'[7,"t",{event}]'.encode(), 3) == event.encode()
    with pytest.raises(MessageRefused) as caught:
        published_event(f'[7,"t",{event},true]'.encode(), 4)
    assert caught.value.refusal is Refusal.MESSAGE_NOT_JSON
