"""What a request for an event stream asks for."""

from __future__ import annotations

import pytest

from wampush.broker.publication import Position
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.edges.sse.stream_ids import UNKNOWN
from wampush.edges.sse.stream_request import MAX_TOPICS, StreamRequest, read_stream_request
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import CloseReason


def read(query: str, last_id: str | None = None) -> StreamRequest:
    headers = {} if last_id is None else {"last-event-id": last_id}
    return read_stream_request(ConnectRequest(f"/events?{query}", headers, "192.0.2.1"))


@pytest.mark.parametrize(
    ("query", "topics"),
    [
        ("topic=a", ["a"]),
        ("topic=b&topic=a&topic=b", ["a", "b"]),
        ("topic=http%3A%2F%2Fa%2Fb%3Fc&token=x", ["http://a/b?c"]),
        ("topic=gr%C3%BCn+blau", ["grün blau"]),
        ("&".join(f"topic={number:02}" for number in range(MAX_TOPICS)), None),
    ],
)
def test_topics(query: str, topics: list[str] | None) -> None:
    request = read(query)
    assert request.topics == topics or (topics is None and len(request.topics) == MAX_TOPICS)
    assert request.since is None


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "Name the topics in the query"),
        ("topics=a", "Name the topics in the query"),
        ("topic=", "Name the topics in the query"),
        ("topic=a&topic=", "Name the topics in the query"),
        ("topic=a%0Ab", "The topic 'a\\nb' contains a CR, LF or NUL."),
        ("topic=a%0D", "contains a CR, LF or NUL."),
        ("topic=a%00", "contains a CR, LF or NUL."),
        ("&".join(f"topic={number}" for number in range(MAX_TOPICS + 1)), "51 topics; 50"),
        ("&".join(["topic=a"] * 101), "more than 100 parameters"),
    ],
)
def test_requests_that_are_not_valid(query: str, detail: str) -> None:
    with pytest.raises(HandshakeRefused) as raised:
        read(query)
    assert raised.value.reason is CloseReason.BAD_STREAM_REQUEST
    assert detail in raised.value.detail


@pytest.mark.parametrize(
    ("query", "last_id", "since"),
    [
        ("topic=a", "e:7", [Position("e", 7)]),
        ("topic=a&since=e:6", "e:7", [Position("e", 7)]),
        ("topic=a&since=e:6", None, [Position("e", 6)]),
        ("topic=a&since=e:6", "", [Position("e", 6)]),
        ("topic=a&since=", None, None),
        ("topic=b&topic=a", "e:7,-", [Position("e", 7), UNKNOWN]),
        ("topic=a", "nonsense", [UNKNOWN]),
    ],
)
def test_positions(query: str, last_id: str | None, since: list[Position] | None) -> None:
    assert read(query, last_id).since == since
