"""What a request for an event stream asks for.

Owns: reading topics and position from query and header. Pure.
Must not import: Twisted, the broker but its requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from wampush.broker.publication import Position
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.edges.sse.formats import FORBIDDEN
from wampush.edges.sse.stream_ids import read_id
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import CloseReason
from wampush.excerpts import shown

#: Topics of one stream; each of them is part of every id.
MAX_TOPICS: Final = 50
_MAX_PARAMETERS: Final = 100


class StreamRequest(NamedTuple):
    """The request for a stream.

    :ivar topics: sorted, each once.
    :ivar since: the position that the client knows of each topic; None for a client that has
        received nothing yet.
    """

    topics: Sequence[str]
    since: Sequence[Position] | None


def read_stream_request(request: ConnectRequest) -> StreamRequest:
    """Read a request for a stream.

    The header Last-Event-ID is what browsers send when they reconnect; it takes precedence over
    the parameter ``since`` of the URL, which stays the same.

    :raises HandshakeRefused: BAD_STREAM_REQUEST.
    """
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError as error:
        raise _bad(f"The query has more than {_MAX_PARAMETERS} parameters.") from error
    topics = sorted({value for name, value in pairs if name == "topic"})
    if not topics or "" in topics:
        raise _bad("Name the topics in the query: /events?topic=NAME.")
    if len(topics) > MAX_TOPICS:
        raise _bad(f"It names {len(topics)} topics; {MAX_TOPICS} are allowed.")
    for topic in topics:
        if any(each in topic for each in FORBIDDEN):
            raise _bad(f"The topic {shown(topic)} contains a CR, LF or NUL.")
    last_id = request.headers.get("last-event-id") or request.parameters.get("since")
    return StreamRequest(topics, read_id(last_id, len(topics)) if last_id else None)


def _bad(detail: str) -> HandshakeRefused:
    return HandshakeRefused(CloseReason.BAD_STREAM_REQUEST, detail)
