"""A publication as its topic keeps it.

Owns: the form of stored events, and what their payloads say about keys and versions.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import orjson

from wampush.broker.history.rule import HistoryRule
from wampush.broker.memory_costs import audience_bytes
from wampush.broker.publication import EVERYONE, Audience

#: Bytes that a stored event takes besides its payload; measured with tracemalloc.
OVERHEAD_BYTES: Final = 250
#: Characters of the longest key that is kept as it is. Of a longer one, a digest is the key:
#: publishers choose the keys, and a version stays longer than its event.
MAX_KEY: Final = 64


class StoredEvent(NamedTuple):
    """One event of a topic.

    :ivar offset: counts the events of the topic.
    :ivar time: when it was published, in seconds since 1970.
    :ivar payload: JSON text.
    :ivar audience: who may get it.
    :ivar seen: when it was published, in seconds of a clock that never goes back.
    """

    offset: int
    time: float
    payload: bytes
    audience: Audience
    seen: float

    @property
    def size(self) -> int:
        """How many bytes of memory it takes."""
        size = len(self.payload) + OVERHEAD_BYTES
        return size if self.audience is EVERYONE else size + audience_bytes(self.audience)


class EventFields(NamedTuple):
    """What an event says about itself.

    :ivar key: which of the values of the topic it replaces; None where it has no key, so that
        it is no value.
    :ivar removes: whether the value is removed, and not replaced.
    :ivar version: None where there is none.
    """

    key: str | None
    removes: bool
    version: int | float | None


#: The key of the only value of a topic whose events have no keys.
ONLY: Final = ""


def fields_of(payload: bytes, rule: HistoryRule) -> EventFields:
    """Return what an event says about itself.

    Where events have keys, ``null`` instead of an object removes all values; its key is None.

    :param payload: valid JSON text.
    """
    if not rule.reads_payload:
        return EventFields(ONLY, payload == b"null", None)
    value = orjson.loads(payload)
    if not isinstance(value, dict):
        removes = value is None
        return EventFields(None if rule.last_by else ONLY, removes, None)
    key: str | None = ONLY
    removes = False
    if rule.last_by:
        key = _key_of(value.get(rule.last_by))
        removes = bool(rule.tombstone) and value.get(rule.tombstone) is True
    version = value.get(rule.version_by) if rule.version_by else None
    if isinstance(version, bool) or not isinstance(version, int | float):
        version = None
    return EventFields(key, removes, version)


def _key_of(value: object) -> str | None:
    """Return a string or number as a key; 7 and "7" are the same, as in PHP applications."""
    if isinstance(value, str):
        return value if len(value) <= MAX_KEY else _digest(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def _digest(key: str) -> str:
    # No other key has as many characters.
    return hashlib.blake2b(key.encode()).hexdigest()
