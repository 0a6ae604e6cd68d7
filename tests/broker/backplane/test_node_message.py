"""Messages between nodes: what is written is read, and nothing is believed that is not checked."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.backplane.node_message import (
    NodeMessage,
    decoded,
    encoded,
    header,
    number_of,
)
from wampush.broker.publication import EVERYONE, Audience, Position, Targets
from wampush.errors import PushRefused, Refusal

LIMIT = 10_000

_names = st.frozensets(st.text(max_size=8), max_size=3)
_targets = st.builds(
    Targets,
    users=st.none() | _names,
    groups=st.none() | _names,
    sessions=st.none() | _names,
    registered=st.booleans(),
    exclude_users=_names,
    exclude_groups=_names,
    exclude_sessions=_names,
)
_audiences = st.just(EVERYONE) | st.builds(
    Audience, exclude=_names, eligible=st.none() | _names, to=st.none() | _targets
)
_messages = st.builds(
    NodeMessage,
    node=st.text("0123456789abcdef", min_size=1, max_size=16),
    number=st.integers(0, 2**53),
    payload=st.recursive(
        st.none() | st.booleans() | st.text(max_size=5), lambda each: st.lists(each, max_size=3)
    ).map(orjson.dumps),
    kind=st.text(max_size=8),
    audience=_audiences,
    position=st.none() | st.builds(Position, st.just("e1"), st.integers(1, 2**53)),
    time=st.none() | st.floats(0, 2e9),
)


def refusal(message: bytes, limit: int = LIMIT) -> Refusal:
    with pytest.raises(PushRefused) as caught:
        decoded(message, limit)
    return caught.value.refusal


def with_header(**fields: Any) -> bytes:
    return b"1" + orjson.dumps({"node": "a", "id": 1, **fields}) + b"\n1"


@given(_messages)
def test_what_is_written_is_read(message: NodeMessage) -> None:
    assert decoded(encoded(message), 10**6) == message


def test_a_publication_for_everyone_has_a_short_form() -> None:
    message = NodeMessage("3f2a", 17, b'{ "price": 3 }')
    assert encoded(message) == b'1{"node":"3f2a","id":17}\n{ "price": 3 }'
    assert decoded(encoded(message), LIMIT).audience is EVERYONE


def test_the_number_of_a_publication_for_everyone_is_read_without_the_rest() -> None:
    beginning = b'1{"node":"3f2a","id":'
    assert number_of(encoded(NodeMessage("3f2a", 17, b"[5]")), beginning) == 17
    longest = 10**17
    assert number_of(encoded(NodeMessage("3f2a", longest, b"[5]")), beginning) == longest
    others = [
        encoded(NodeMessage("3f2b", 17, b"[5]")),
        encoded(NodeMessage("3f2a", 17, b"[5]", "greeting")),
        encoded(NodeMessage("3f2a", 17, b"[5]", audience=Audience(exclude=frozenset("a")))),
        beginning,
        beginning + b"17",
        beginning + b"17}",
        beginning + b"}\n[5]",
        beginning + b"-17}\n[5]",
        beginning + b"1_7}\n[5]",
        beginning + b" 17}\n[5]",
        beginning + b"9" * 5000 + b"}\n[5]",
    ]
    assert [number_of(each, beginning) for each in others] == [None] * len(others)


def test_a_position_can_be_written_into_the_header_on_the_way() -> None:
    beginning = header(NodeMessage("a", 1, b"[]", time=5.0))
    with_position = beginning[:-1] + b',"epoch":"e","offset":7}' + b"\n[]"
    assert decoded(with_position, LIMIT) == NodeMessage(
        "a", 1, b"[]", position=Position("e", 7), time=5.0
    )


def test_unknown_fields_of_newer_nodes_are_ignored() -> None:
    assert decoded(with_header(shade="green"), LIMIT) == NodeMessage("a", 1, b"1")


def test_a_message_of_another_version_is_refused() -> None:
    message = b'2{"node":"a","id":1}\n1'
    assert refusal(message) is Refusal.NODE_VERSION
    with pytest.raises(PushRefused, match="version 2; this node reads version 1"):
        decoded(message, LIMIT)


def test_a_message_beyond_the_limit_is_refused() -> None:
    message = encoded(NodeMessage("a", 1, b'"' + b"x" * 100 + b'"'))
    assert refusal(message, len(message) - 1) is Refusal.TOO_LARGE
    assert decoded(message, len(message)).number == 1


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"1",
        b"hello",
        b'1{"node":"a","id":1}',
        b"1[]\n1",
        b"1{\n1",
        b'1{"node":"a"}\n1',
        b'1{"node":"","id":1}\n1',
        b'1{"node":"a","id":true}\n1',
        b'1{"node":"a","id":-1}\n1',
        b'1{"node":7,"id":1}\n1',
        with_header(node="x" * 65),
        with_header(kind=1),
        with_header(time="now"),
        with_header(time=True),
        with_header(audience=None),
        with_header(audience=[]),
        with_header(audience={"exclude": "abc"}),
        with_header(audience={"exclude": [], "to": {"persons": []}}),
        # Deeper than can be written again.
        b'1{"node":"a","id":1,"audience":%b}\n1' % (b'{"a":' * 300 + b"1" + b"}" * 300),
        b'1{"node":"a","id":1,"audience":{"exclude":%b}}\n1' % (b"[" * 300 + b"]" * 300),
        with_header(epoch="e"),
        with_header(offset=1),
        with_header(epoch="e", offset=-1),
        with_header(epoch="", offset=1),
    ],
)
def test_what_no_node_sends_is_refused(message: bytes) -> None:
    assert refusal(message) is Refusal.NODE_FORM


def test_a_payload_that_is_not_json_reaches_no_client() -> None:
    assert refusal(b'1{"node":"a","id":1}\n{"a":') is Refusal.NOT_JSON


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: b"1{" + rest))
def test_garbage_is_refused(message: bytes) -> None:
    with pytest.raises(PushRefused):
        decoded(message, LIMIT)
