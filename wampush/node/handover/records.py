"""The records in which one node hands its sessions over to another.

Owns: the kinds of records, their form on the stream, their version.
Must not import: Twisted, anything of wampush but ``errors``.

A record is its length, the length of its header and its kind, then the header, which is a JSON
object, and bytes that the header describes. A reader ignores kinds and fields that it does not
know; a writer gives new fields a meaning that old readers can do without. What cannot be ignored
takes another :data:`VERSION`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from enum import IntEnum, unique
from struct import Struct
from typing import Any, Final, NamedTuple

import orjson

from wampush.errors import OperatorError

#: Of the meaning of records; both processes must have the same.
VERSION: Final = 1
#: The longest record in bytes: a slice with what waits for one client is much shorter.
MAX_BYTES: Final = 1024 * 1024 * 1024
#: Length of all that follows, length of the header, kind.
_HEAD: Final = Struct("!IIB")
#: Begins a header that only Python's own module reads as it was written.
_SLOW: Final = b" "


class StreamBroken(OperatorError):
    """The other process has ended, or does not send records."""


@unique
class Kind(IntEnum):
    """What a record says."""

    #: The version of the records, and of wampush.
    HELLO = 1
    #: What a topic keeps.
    HISTORY = 2
    #: A publication with its position, to be delivered to the sessions that have arrived.
    PUBLICATION = 3
    #: Sessions; their descriptors travel with the first byte.
    SESSIONS = 4
    #: A frame for one session that has moved: a reply that comes late.
    FRAME = 5
    #: A session that has moved gets another identity.
    IDENTITY = 6
    #: A session that has moved ends.
    END_SESSION = 7
    #: Everything has been sent, but for what the bus brings before the marker of the cut, if the
    #: header names one. From now on, the reader publishes.
    END = 8
    #: A push that the writer has received after that.
    PUSH = 9
    #: From the reader: it has everything. From then on it sends PUBLICATION for sessions that stay.
    TAKEN = 10
    #: Ids of pushes that are published already.
    KNOWN_PUSHES = 11
    #: After END: everything that the bus has brought before the marker of the cut has been sent.
    CUT = 12
    #: After END: no backend is connected to the writer over ZeroMQ any more, and all their pushes
    #: have been passed on. END says whether it comes.
    RELEASED = 13


class Record(NamedTuple):
    """One record.

    :ivar kind: a :class:`Kind`, or a number that is not known.
    :ivar values: the header.
    :ivar body: the bytes that belong to it.
    """

    kind: int
    values: Mapping[str, Any]
    body: memoryview


def encode(kind: Kind, values: object, parts: Sequence[bytes | memoryview] = ()) -> bytes:
    """Return the bytes of a record.

    :param values: the header, a mapping or dataclass.
    :param parts: of the body.
    """
    header = _header(values)
    size = sum(map(len, parts))
    return b"".join((_HEAD.pack(len(header) + size, len(header), kind), header, *parts))


def _header(values: object) -> bytes:
    try:
        return orjson.dumps(values)
    except orjson.JSONEncodeError:
        # Claims of a web application may be what orjson refuses: half a surrogate pair, which is
        # what is left of an emoji that was cut, numbers of more than 64 bits, deep nesting.
        return _SLOW + json.dumps(values, default=_members).encode()


def _members(value: Any) -> Mapping[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _values(header: bytes) -> Any:
    return json.loads(header) if header.startswith(_SLOW) else orjson.loads(header)


class RecordReader:
    """Finds the records in what has been received."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records that are complete.

        :raises StreamBroken: these are no records.
        """
        self._data += data
        while (record := self._next()) is not None:
            yield record

    def _next(self) -> Record | None:
        data = self._data
        if len(data) < _HEAD.size:
            return None
        size, header, kind = _HEAD.unpack_from(data)
        if size > MAX_BYTES or header > size:
            raise StreamBroken(f"a record of {size} bytes with a header of {header} bytes")
        end = _HEAD.size + size
        if len(data) < end:
            return None
        whole = bytes(memoryview(data)[_HEAD.size : end])
        del data[:end]
        try:
            values = _values(whole[:header])
        except (ValueError, RecursionError) as error:
            raise StreamBroken(f"the header of a record is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise StreamBroken("the header of a record is not an object")
        return Record(kind, values, memoryview(whole)[header:])
