"""Reading replies of Redis (RESP2) from a byte stream, at a bounded cost.

Owns: the form of replies, and how much of one is kept.
Must not import: Twisted, txredisapi, the broker.

Redis accepts strings of up to 512 MB from everybody who may publish. A string that exceeds the
limit of a reply is skipped as it arrives, and only its beginning is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from wampush.errors import BackendError

#: Bytes that are kept of a string that is skipped.
HEAD_BYTES: Final = 200
#: Bytes of the longest status or error; Redis itself cuts what it repeats at 128 bytes.
LINE_BYTES: Final = 4096
#: Elements of the longest list; messages have three or four.
MAX_ELEMENTS: Final = 16
_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
_END: Final = b"\r\n"


class BrokenReply(BackendError):
    """The data is not a reply that Redis can send to a subscriber."""


class NeedData(Enum):
    """The rest of a reply has not arrived yet."""

    NEED_DATA = "need data"


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error that Redis answers.

    :param text: the error; begins with a code, such as ``NOAUTH``.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Oversized:
    """A string that was skipped.

    :param size: its length in bytes.
    :param head: its first 200 bytes.
    """

    size: int
    head: bytes


Element = bytes | int | Oversized | None
Reply = Element | ErrorReply | list[Element]


class ReplyReader:
    """Cuts a byte stream into replies.

    :param max_bytes: what the strings of one reply may have together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = b""
        self._at = 0
        self._elements: list[Element] | None = None
        self._count = 0
        self._kept = 0
        # The string being read: its length, and how much of it and of its line end is missing.
        self._size = 0
        self._missing = 0
        self._string_so_far = bytearray()
        self._head: bytes | None = None

    @property
    def waiting(self) -> int:
        """Bytes that were not examined yet."""
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """Append bytes."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def next_reply(self) -> Reply | Literal[NeedData.NEED_DATA]:
        """Return the next reply.

        :returns: ``NEED_DATA`` when the rest of it has not arrived.
        :raises BrokenReply: the data is not a reply; the reader cannot be used any more.
        """
        while True:
            element: Element
            if self._missing:
                found = self._string()
                if found is NeedData.NEED_DATA:
                    return NeedData.NEED_DATA
                element = found
            else:
                line = self._line()
                if line is None:
                    return NeedData.NEED_DATA
                kind, text = line[:1], line[1:]
                if kind == b"$" and text != b"-1":
                    self._begin_string(text)
                    continue
                if kind == b"*":
                    if self._begin_list(text):
                        continue
                    return None
                if kind == b"-" and self._elements is None:
                    return ErrorReply(text.decode(errors="backslashreplace"))
                element = _scalar(kind, text)
            if self._elements is None:
                self._kept = 0
                return element
            self._elements.append(element)
            if len(self._elements) == self._count:
                reply, self._elements, self._kept = self._elements, None, 0
                return reply

    def _line(self) -> bytes | None:
        end = self._buffer.find(_END, self._at, self._at + LINE_BYTES)
        if end < 0:
            if self.waiting >= LINE_BYTES:
                raise BrokenReply("an endless line")
            return None
        line = self._buffer[self._at : end]
        self._at = end + len(_END)
        return line

    def _begin_list(self, text: bytes) -> bool:
        """Return whether elements follow; a length of -1 means null instead of a list."""
        if text == b"-1" and self._elements is None:
            return False
        count = _number(text)
        if self._elements is not None or not 0 < count <= MAX_ELEMENTS:
            raise BrokenReply("a list that is not a message")
        self._elements = []
        self._count = count
        return True

    def _begin_string(self, text: bytes) -> None:
        size = _number(text)
        if size < 0:
            raise BrokenReply("a string of negative length")
        self._size = size
        self._missing = size + len(_END)
        self._string_so_far.clear()
        if self._kept + size > self._max_bytes:
            self._head = b""
        else:
            self._head = None
            self._kept += size

    def _string(self) -> bytes | Oversized | Literal[NeedData.NEED_DATA]:
        part = self._buffer[self._at : self._at + self._missing]
        self._at += len(part)
        self._missing -= len(part)
        if self._head is not None:
            if len(self._head) < HEAD_BYTES:
                self._head = (self._head + part)[: min(HEAD_BYTES, self._size)]
            return NeedData.NEED_DATA if self._missing else Oversized(self._size, self._head)
        if self._missing or self._string_so_far:
            self._string_so_far += part
            if self._missing:
                return NeedData.NEED_DATA
            part = bytes(self._string_so_far)
            self._string_so_far.clear()
        if not part.endswith(_END):
            raise BrokenReply("a string without its line end")
        return part[: -len(_END)]


def _number(text: bytes) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise BrokenReply("an invalid number")
    return int(text)


def _scalar(kind: bytes, text: bytes) -> Element:
    if kind == b"+":
        return text
    if kind == b":":
        return _number(text)
    if kind == b"$":
        return None
    raise BrokenReply("a reply of an unknown kind")
