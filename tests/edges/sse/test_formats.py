"""The blocks of events, and the formats that streams share."""

from __future__ import annotations

import json

import pytest

from tests.edges.sse.event_source import EventSource
from wampush.broker.delivery.catch_up import FOR_NEWCOMERS
from wampush.broker.publication import Position
from wampush.edges.sse.formats import (
    PING,
    EventStreamFormat,
    JoiningFormat,
    OwnFormat,
    notice,
    shared_format,
)


def test_the_events_of_a_single_topic_have_no_name() -> None:
    wire = EventStreamFormat(["a"])
    assert wire.event("a", b"1", Position("e", 7)) == b"id: e:7\ndata: 1\n\n"
    assert wire.event("a", b"1", None) == b"data: 1\n\n"
    # Sent by the application to this session.
    assert wire.event("b", b"1", None) == b"event: b\ndata: 1\n\n"
    assert wire.event("b", b"1", Position("e", 9)) == b"event: b\ndata: 1\n\n"


def test_the_events_of_several_topics_are_named_after_them() -> None:
    wire = EventStreamFormat(["a", "b"])
    assert wire.event("b", b"1", Position("e", 7)) == b"id: -,e:7\nevent: b\ndata: 1\n\n"
    assert wire.event("a", b"1", Position("e", 2)) == b"id: e:2,7\nevent: a\ndata: 1\n\n"
    assert wire.event("a", b"1", None) == b"event: a\ndata: 1\n\n"
    wire.know("b", None)
    assert wire.current_id() == b"id: e:2,-\n\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\n\n", "\n\r", "\r\r\n"])
def test_line_ends_between_values_do_not_end_the_event(line_end: str) -> None:
    payload = f'{{"a":{line_end}[1,{line_end}2]{line_end}}}'
    source = EventSource()
    source.feed(EventStreamFormat(["a"]).event("a", payload.encode(), None))
    assert source.events == [("message", json.loads(payload))]


def test_a_topic_cannot_add_fields() -> None:
    block = EventStreamFormat(["a"]).event("b\ndata: 2\r\0", b"1", None)
    assert block == "event: b\ufffddata: 2\ufffd\ufffd\ndata: 1\n\n".encode()


def test_streams_of_the_same_topics_share_a_format() -> None:
    first = shared_format(["a", "b"])
    assert shared_format(("a", "b")) is first
    assert shared_format(["a"]) is not first
    assert first.with_positions is first
    assert first.reply(b": x\n\n") == b": x\n\n"


def test_clients_that_join_at_the_same_positions_have_equal_formats() -> None:
    positions = [Position("e", 7), None]
    first, second = (JoiningFormat(["a", "b"], positions) for _ in range(2))
    assert first == second
    assert first.event("b", b"1", Position("e", 3)) == second.event("b", b"1", Position("e", 3))
    # Where it is now does not matter: it is a key of what it has written from the begin.
    first.know("a", Position("e", 8))
    assert first == second
    assert hash(first) == hash(second)
    assert first.positions == (Position("e", 8), Position("e", 3))
    assert JoiningFormat(["a", "b"], [Position("e", 8), None]) != first
    assert JoiningFormat(["a", "c"], positions) != first
    assert EventStreamFormat(["a", "b"], positions) != first


def test_a_stream_of_one_topic_catches_up_in_the_shared_format() -> None:
    wire = shared_format(["a"])
    assert wire.for_catching_up("a", Position("e", 3)) is wire
    assert wire.caught_up(lambda _: None) is wire
    assert wire.is_shared
    assert not wire.shows_gaps


def test_a_stream_of_several_topics_catches_up_in_a_format_of_its_own() -> None:
    shared = shared_format(["a", "b"])
    shared.know("a", Position("e", 9))
    shared.know("b", Position("e", 4))
    own = shared.for_catching_up("a", Position("e", 6))
    assert not own.is_shared
    assert own.event("b", b"1", Position("e", 5)).startswith(b"id: e:6,5\n")
    assert own.event("a", b"1", Position("e", 7)).startswith(b"id: e:7,5\n")
    assert shared.current_id() == b"id: e:9,4\n\n"
    # It falls behind on the other topic as well, and has nothing yet of that.
    assert own.for_catching_up("b", FOR_NEWCOMERS) is own
    assert own.current_id() == b"id: e:7,-\n\n"
    assert own.caught_up({"a": Position("e", 10), "b": Position("f", 1)}.get) is shared
    assert shared.current_id() == b"id: e:10,f:1\n\n"


def test_a_stream_that_has_not_joined_the_others_keeps_its_format() -> None:
    own = OwnFormat(["a", "b"], [Position("e", 7), None])
    assert own.for_catching_up("a", Position("e", 5)) is own
    assert own.caught_up(lambda _: Position("e", 9)) is own
    assert own.current_id() == b"id: e:5,-\n\n"


def test_notices_and_pings_are_blocks() -> None:
    source = EventSource()
    source.feed(notice("wampush.gap", {"topic": "a\nb"}) + PING)
    assert source.events == [("wampush.gap", {"topic": "a\nb"})]
    assert source.comments == 1
