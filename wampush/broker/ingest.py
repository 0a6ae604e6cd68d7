"""The conversion of pushes from backends into publications.

Owns: the message forms that a backend may send, and their checks. Pure: no I/O, no state.
Must not import: Twisted, ZeroMQ, the edges.

One part: a JSON object that names its topic under a key (``category`` by default); the whole object
is the payload. Two parts: the topic as UTF-8 text, the payload as JSON. Three parts: the same and
the options, a JSON object that ``push_options`` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from wampush.broker.publication import Publication
from wampush.broker.push_options import audience_of, further_topics_of
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown_json
from wampush.topics import RESERVED_PREFIX, is_reserved

#: A topic that begins otherwise is not reserved.
_FIRST_RESERVED: Final = RESERVED_PREFIX[0]


def _json(part: bytes) -> object:
    try:
        return orjson.loads(part)
    except orjson.JSONDecodeError as error:
        raise _not_json(part, error) from error


def _not_json(part: bytes, error: orjson.JSONDecodeError) -> PushRefused:
    """Return why a part is refused, which may be that it is not even text."""
    try:
        _text(part)
    except PushRefused as refused:
        return refused
    return PushRefused(Refusal.NOT_JSON, str(error))


def _text(part: bytes) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError as error:
        raise PushRefused(
            Refusal.NOT_UTF8, f"Byte {error.start} is {part[error.start]:#x}."
        ) from error


@dataclass(frozen=True, slots=True)
class Ingest:
    """Makes publications of pushes.

    :param topic_key: the key under which a one-part push names its topic.
    :param max_bytes: the longest push, in bytes of all its parts.
    :param topic_bytes: the longest topic, in bytes of UTF-8.
    """

    topic_key: str
    max_bytes: int
    topic_bytes: int

    def publication(self, parts: Sequence[bytes]) -> Publication:
        """Return the publication that a push asks for.

        :param parts: the parts of one message, as they came.
        :raises PushRefused: with the reason, if the push is not valid.
        """
        if len(parts) != 1:
            return self._with_topic(parts)
        # Most pushes are of this form; a call more would take a part of theirs.
        (part,) = parts
        if len(part) > self.max_bytes:
            raise self._too_large(len(part))
        if not part:
            raise PushRefused(Refusal.EMPTY)
        try:
            value = orjson.loads(part)
        except orjson.JSONDecodeError as error:
            raise _not_json(part, error) from error
        if not isinstance(value, dict):
            raise PushRefused(Refusal.NOT_AN_OBJECT, f"It is {shown_json(value)}.")
        if self.topic_key not in value:
            raise PushRefused(Refusal.NO_TOPIC, f"The key is {self.topic_key!r}.")
        topic = value[self.topic_key]
        if not isinstance(topic, str):
            raise PushRefused(Refusal.TOPIC_NOT_STRING, f"It is {shown_json(topic)}.")
        # Most topics pass here, without two more calls.
        if not topic or topic[0] == _FIRST_RESERVED or len(topic) * 4 > self.topic_bytes:
            self._check_topic(topic)
        return Publication(topic, part)

    def _too_large(self, size: int) -> PushRefused:
        return PushRefused(Refusal.TOO_LARGE, f"{size} bytes, {self.max_bytes} allowed.")

    def _with_topic(self, parts: Sequence[bytes]) -> Publication:
        size = sum(map(len, parts))
        if size > self.max_bytes:
            raise self._too_large(size)
        if len(parts) not in (2, 3):
            found = "more than three" if parts else "none"
            raise PushRefused(Refusal.WRONG_PART_COUNT, f"It has {found}.")
        topic = _text(parts[0])
        self._check_topic(topic)
        if not parts[1]:
            raise PushRefused(Refusal.EMPTY, "The second part is empty.")
        _json(parts[1])
        if len(parts) == 2:
            return Publication(topic, parts[1])
        options = _json(parts[2])
        audience = audience_of(options)
        further = tuple([each for each in further_topics_of(options) if each != topic])
        for each in further:
            self._check_topic(each)
        return Publication(topic, parts[1], audience, further_topics=further)

    def _check_topic(self, topic: str) -> None:
        if not topic:
            raise PushRefused(Refusal.TOPIC_EMPTY)
        if is_reserved(topic):
            raise PushRefused(Refusal.TOPIC_RESERVED, f"It is {shown_json(topic)}.")
        # A character takes at most four bytes, so most topics need no encoding to be measured.
        if len(topic) * 4 > self.topic_bytes:
            size = len(topic.encode())
            if size > self.topic_bytes:
                raise PushRefused(
                    Refusal.TOPIC_TOO_LONG, f"{size} bytes, {self.topic_bytes} allowed."
                )
