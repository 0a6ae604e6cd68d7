"""Requests and answers of one session: prefixes and defaults in both dialects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.limits import PREFIX_LIMITS
from tests.wamp.json_text import near_messages
from tests.wamp.test_uris import BLOG, PREFIXES, RESOLVED
from wampush.errors import Fault, MessageRefused, NotSerialisable, Refusal
from wampush.wamp.messages import Call, Publish, Subscribe, Unsubscribe
from wampush.wamp.session import PrefixLimits, WampSession, new_session_id
from wampush.wamp.uris import RATCHET, WAMP1

unhurried = settings(database=None, deadline=None, max_examples=150)


def with_prefixes(dialect):
    session = WampSession(dialect, "test/1", PREFIX_LIMITS)
    for prefix, uri in PREFIXES.items():
        assert session.receive(json.dumps([1, prefix, uri]).encode()) is None
    return session


@pytest.mark.parametrize(("text", "wamp1", "ratchet"), RESOLVED)
def test_curies_in_every_message(text, wamp1, ratchet):
    for dialect, uri in ((WAMP1, wamp1), (RATCHET, ratchet)):
        session = with_prefixes(dialect)
        for kind, request in ((5, Subscribe(uri)), (6, Unsubscribe(uri))):
            assert session.receive(json.dumps([kind, text]).encode()) == request
        published = session.receive(json.dumps([7, text, 1]).encode())
        assert isinstance(published, Publish)
        assert published.topic == uri
        assert session.receive(json.dumps([2, "id", text]).encode()) == Call("id", uri)


def test_without_prefixes_texts_stay_unchanged():
    session = WampSession(WAMP1, "test/1", PREFIX_LIMITS)
    assert session.prefixes == {}
    assert session.receive(b'[5,"blog:kittens"]') == Subscribe("blog:kittens")


def test_a_new_definition_replaces_the_old_one():
    session = with_prefixes(WAMP1)
    session.receive(b'[1,"blog","urn:other:"]')
    assert session.receive(b'[5,"blog:x"]') == Subscribe("urn:other:x")
    assert session.prefixes["blog"] == "urn:other:"


def test_sessions_do_not_share_prefixes():
    first, second = WampSession(WAMP1, "a", PREFIX_LIMITS), WampSession(WAMP1, "b", PREFIX_LIMITS)
    first.receive(b'[1,"p","urn:p:"]')
    assert second.receive(b'[5,"p:x"]') == Subscribe("p:x")


def test_a_refused_prefix_changes_nothing():
    session = with_prefixes(WAMP1)
    with pytest.raises(MessageRefused) as caught:
        session.receive(b'[1,"blog",5]')
    assert caught.value.refusal is Refusal.WRONG_TYPE
    assert session.prefixes == PREFIXES


def test_the_number_of_prefixes_is_limited():
    session = WampSession(WAMP1, "test/1", PrefixLimits(2, 40))
    session.receive(b'[1,"a","urn:a:"]')
    session.receive(b'[1,"b","urn:b:"]')
    with pytest.raises(MessageRefused) as caught:
        session.receive(b'[1,"c","urn:c:"]')
    assert caught.value.refusal is Refusal.TOO_MANY_PREFIXES
    assert caught.value.detail == "The limit is 2."
    session.receive(b'[1,"a","urn:z:"]')
    assert session.prefixes == {"a": "urn:z:", "b": "urn:b:"}


PUBLISHED = [
    # elements after the event; then exclude_me, exclude and eligible in wamp1 and in ratchet
    ([], (True, None, None), (False, None, None)),
    ([None], (True, None, None), (False, None, None)),
    (["x"], (True, None, None), (False, None, None)),
    ([True], (True, None, None), (True, None, None)),
    ([False], (False, None, None), (False, None, None)),
    ([[]], (None, (), None), (None, (), None)),
    ([["a"]], (None, ("a",), None), (None, ("a",), None)),
    ([["a"], []], (None, ("a",), ()), (None, ("a",), None)),
    ([["a"], ["b"]], (None, ("a",), ("b",)), (None, ("a",), ("b",))),
    ([None, []], (True, None, ()), (False, None, None)),
    ([None, ["b"]], (True, None, ("b",)), (False, None, ("b",))),
    ([True, ["b"]], (True, None, ("b",)), (True, None, ("b",))),
    ([False, None], (False, None, None), (False, None, None)),
]


@pytest.mark.parametrize(("rest", "wamp1", "ratchet"), PUBLISHED)
def test_defaults_of_publish(rest, wamp1, ratchet):
    text = json.dumps([7, "t", {"a": 1}, *rest]).encode()
    for dialect, expected in ((WAMP1, wamp1), (RATCHET, ratchet)):
        request = WampSession(dialect, "test/1", PREFIX_LIMITS).receive(text)
        assert request == Publish("t", b'{"a": 1}', *expected)


CALLED = [
    ([], (), ()),
    ([1], (1,), (1,)),
    ([[1, 2]], ([1, 2],), (1, 2)),
    ([[]], ([],), ()),
    ([[[1]]], ([[1]],), ([1],)),
    ([{"a": 1}], ({"a": 1},), ({"a": 1},)),
    ([[1], [2]], ([1], [2]), ([1], [2])),
]


@pytest.mark.parametrize(("arguments", "wamp1", "ratchet"), CALLED)
def test_arguments_of_a_call(arguments, wamp1, ratchet):
    text = json.dumps([2, "id", "urn:f", *arguments]).encode()
    for dialect, expected in ((WAMP1, wamp1), (RATCHET, ratchet)):
        assert WampSession(dialect, "test/1", PREFIX_LIMITS).receive(text) == Call(
            "id", "urn:f", expected
        )


def test_welcome():
    session = WampSession(WAMP1, "wampush/1.2", PREFIX_LIMITS)
    assert json.loads(session.welcome()) == [0, session.session_id, 1, "wampush/1.2"]


def test_session_ids_are_url_safe_and_do_not_repeat():
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(each) >= 16 and each.replace("-", "").replace("_", "").isalnum() for each in ids)


def test_answers_to_calls():
    session = with_prefixes(WAMP1)
    assert json.loads(session.result("1", {"a": None})) == [3, "1", {"a": None}]
    assert json.loads(session.error("1", f"{BLOG}x", "d")) == [4, "1", "blog:x", "d"]
    assert json.loads(session.error("1", "e", "d", [0])) == [4, "1", "e", "d", [0]]
    with pytest.raises(NotSerialisable):
        session.result("1", object())


@unhurried
@given(st.sampled_from([WAMP1, RATCHET]), st.lists(near_messages | st.binary(max_size=20)))
def test_whatever_a_client_sends(dialect, inputs):
    session = with_prefixes(dialect)
    refusals = []
    for text in inputs:
        try:
            session.receive(text)
        except MessageRefused as refused:
            refusals.append(refused.refusal)
    assert {refusal.fault for refusal in refusals} <= {Fault.CLIENT}


def test_the_size_of_a_prefix_is_limited():
    session = WampSession(WAMP1, "test/1", PrefixLimits(2, 10))
    session.receive(b'[1,"p","123456789"]')
    with pytest.raises(MessageRefused) as caught:
        session.receive('[1,"p","12345678ü"]'.encode())
    assert caught.value.refusal is Refusal.PREFIX_TOO_LONG
    assert caught.value.detail == "It has 11 bytes including its URI; the limit is 10 bytes."
    assert session.prefixes == {"p": "123456789"}


def test_arguments_of_a_call_can_be_read_again():
    text = b'[2,"id","urn:f",[1,2]]'
    assert WampSession(WAMP1, "test/1", PREFIX_LIMITS).call_arguments(text) == ([1, 2],)
    assert WampSession(RATCHET, "test/1", PREFIX_LIMITS).call_arguments(text) == (1, 2)
