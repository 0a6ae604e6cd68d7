"""Requests over HTTP for the state and the history of a topic.

Owns: their paths and queries, and the responses with their entity tags. Pure.
Must not import: Twisted, the edges that receive requests; who may ask is decided by these.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

from wampush.broker.history.reading import MAX_EVENTS, HistoryReader, TopicUnavailable
from wampush.broker.history.stored_event import StoredEvent
from wampush.broker.identity import Identity
from wampush.broker.publication import EVERYONE, Position
from wampush.broker.receiver_selection import includes_identity
from wampush.edges.entity_tags import is_known
from wampush.edges.problems import RequestRefused
from wampush.edges.queries import limit, parameters
from wampush.errors import Refusal
from wampush.excerpts import shown_json

#: How the paths of these requests begin.
PREFIX: Final = "/topics/"
_HISTORY: Final = "/history"
_MAX_OFFSET: Final = 2**53
_MAX_SINCE: Final = 100
#: Responses that are kept for the next client, and the bytes of their bodies; a single body may be
#: longer, because long bodies are those that take long to write.
_MAX_SHARED: Final = 8
_MAX_SHARED_BYTES: Final = 8_388_608
#: The response depends on the identity, and must be asked for again each time.
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Cookie",
}


class Answer(NamedTuple):
    """A response.

    :ivar status: 200 or 304.
    :ivar headers: without Content-Length.
    :ivar body: JSON text; empty for 304.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRequest:
    """What a request asks for.

    :param topic: which is asked about.
    :param is_history: whether its events are meant, and not its state.
    :param since: the newest event that is known; None for the newest events.
    :param limit: how many events at most.
    """

    topic: str
    is_history: bool
    since: Position | None = None
    limit: int = MAX_EVENTS


def topic_request(target: str, *, has_credentials: bool = False) -> TopicRequest:
    """Return what a request asks for.

    The topic is the rest of the path, percent-encoded; its slashes need that only where it ends
    with ``/history``.

    :param target: path and query as sent; the path begins with :data:`PREFIX`.
    :param has_credentials: whether the query may have further parameters, for authentication.
    :raises RequestRefused: when it asks for nothing that there is.
    """
    path, _, query = target.removeprefix(PREFIX).partition("?")
    is_history = path.endswith(_HISTORY)
    try:
        topic = unquote_to_bytes(path.removesuffix(_HISTORY)).decode()
    except UnicodeDecodeError:
        raise RequestRefused(400, "the path is not UTF-8") from None
    if not topic:
        raise RequestRefused(404, "the path names no topic")
    values = parameters(query, ("since", "limit") if is_history else (), others=has_credentials)
    since = values.get("since")
    return TopicRequest(
        topic=topic,
        is_history=is_history,
        since=None if since is None else _position(since),
        limit=limit(values, MAX_EVENTS, MAX_EVENTS),
    )


class TopicAnswers:
    """Answers requests. Those for the same events of the same topic share the bytes of the body.

    When ten thousand pages load the same state at once, it is written once.

    :param reader: None where no topic has a history.
    """

    def __init__(self, reader: HistoryReader | None) -> None:
        self._reader = reader
        self._shared: OrderedDict[tuple[TopicRequest, tuple[Position, int]], Answer] = OrderedDict()
        self._shared_bytes = 0

    def respond(
        self, request: TopicRequest, identity: Identity | None, if_none_match: str
    ) -> Answer:
        """Return the response to a request.

        :param identity: whose view it is; None for an operator, who sees everything.
        :param if_none_match: the header of the request; "" for none.
        :raises RequestRefused: the topic has no history, or cannot be read now.
        """
        reader = self._reader
        try:
            version = None if reader is None else reader.version(request.topic)
        except TopicUnavailable as error:
            raise RequestRefused(503, str(error), Refusal.BACKPLANE_AWAY.code) from error
        if reader is None or version is None:
            detail = (
                "no entry of [[topics]] with last, last_by or history matches "
                f"{shown_json(request.topic)}"
            )
            raise RequestRefused(404, detail, "no-history")
        answer = self._shared.get((request, version))
        if answer is None:
            view = _View(identity)
            answer = _answer(reader, request, view)
            if view.is_for_all:
                self._share((request, version), answer)
        if is_known(answer.headers["ETag"], if_none_match):
            return Answer(304, answer.headers, b"")
        return answer

    def _share(self, key: tuple[TopicRequest, tuple[Position, int]], answer: Answer) -> None:
        """Keep a response; the oldest ones go if that is too much."""
        self._shared[key] = answer
        self._shared_bytes += len(answer.body)
        while len(self._shared) > 1 and (
            len(self._shared) > _MAX_SHARED or self._shared_bytes > _MAX_SHARED_BYTES
        ):
            self._shared_bytes -= len(self._shared.popitem(last=False)[1].body)


class _View:
    """What one client sees.

    :param identity: None for an operator, who sees everything.
    """

    def __init__(self, identity: Identity | None) -> None:
        self._identity = identity
        #: Whether every other client sees the same.
        self.is_for_all = True

    def visible(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Return the events that the client may see."""
        self.is_for_all = all(each.audience is EVERYONE for each in events)
        identity = self._identity
        if identity is None or self.is_for_all:
            return events
        return [each for each in events if includes_identity(each.audience, identity)]


def _answer(reader: HistoryReader, request: TopicRequest, view: _View) -> Answer:
    topic = request.topic
    if request.is_history:
        found = reader.events(topic, view.visible, request.since, request.limit)
    else:
        found = reader.values(topic, view.visible)
    body = orjson.dumps({"topic": topic, **(found or {})}) + b"\n"
    # Of the body, because two identities may see different events at the same position.
    digest = hashlib.blake2b(body, digest_size=12).digest()
    tag = f'"{base64.urlsafe_b64encode(digest).decode()}"'
    return Answer(200, {**_HEADERS, "ETag": tag}, body)


def _position(text: str) -> Position:
    epoch, colon, offset = text[:_MAX_SINCE].rpartition(":")
    if colon and epoch and offset.isascii() and offset.isdigit() and int(offset) <= _MAX_OFFSET:
        return Position(epoch, int(offset))
    raise RequestRefused(
        400, f"since must be a position such as 5JcGQ2fbVSyP:7, not {shown_json(text)}"
    )
