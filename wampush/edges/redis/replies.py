"""Replies of Redis out of the bytes that carry them (RESP2), at a bounded cost.

Owns: the form of replies, and how much of one is kept.
Must not import: Twisted, txredisapi, the broker.

Redis takes strings of up to 512 MB from everybody who may publish. What is longer than a reply
may be is passed over as it arrives, and only its beginning is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from wampush.errors import BackendError

#: Of a string that is passed over, so many bytes are kept.
HEAD_BYTES: Final = 200
#: The longest status or error; Redis itself cuts what it repeats at 128 bytes.
LINE_BYTES: Final = 4096
#: What is published comes as a list of three or four.
MOST_ELEMENTS: Final = 16
_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
_END: Final = b"\r\n"


class BrokenReply(BackendError):
    """What came is no reply of Redis that a subscriber can get."""


class Nothing(Enum):
    """The rest of a reply has not arrived yet."""

    YET = "yet"


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """Redis refuses something.

    :param text: beginning with a code, such as ``NOAUTH``.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Oversized:
    """A string that was passed over.

    :param size: its length in bytes.
    :param head: its first 200 bytes.
    """

    size: int
    head: bytes


Element = bytes | int | Oversized | None
Reply = Element | ErrorReply | list[Element]


class ReplyReader:
    """Takes bytes as they come and gives whole replies.

    :param room: bytes that the strings of one reply may have together.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._buffer = b""
        self._at = 0
        self._elements: list[Element] | None = None
        self._count = 0
        self._kept = 0
        # The string under way: its length, and how much of it and of its line end is missing.
        self._size = 0
        self._missing = 0
        self._string_so_far = bytearray()
        self._head: bytes | None = None

    @property
    def waiting(self) -> int:
        """Bytes that were not looked at yet."""
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """More bytes came."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def take(self) -> Reply | Literal[Nothing.YET]:
        """The next reply.

        :raises BrokenReply: what comes next is none; the reader can not be used any more.
        """
        while True:
            element: Element
            if self._missing:
                found = self._string()
                if found is Nothing.YET:
                    return Nothing.YET
                element = found
            else:
                line = self._line()
                if line is None:
                    return Nothing.YET
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
                raise BrokenReply("a line without end")
            return None
        line = self._buffer[self._at : end]
        self._at = end + len(_END)
        return line

    def _begin_list(self, text: bytes) -> bool:
        """Whether elements follow; else it is the list that is none."""
        if text == b"-1" and self._elements is None:
            return False
        count = _number(text)
        if self._elements is not None or not 0 < count <= MOST_ELEMENTS:
            raise BrokenReply("a list that no message is")
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
        if self._kept + size > self._room:
            self._head = b""
        else:
            self._head = None
            self._kept += size

    def _string(self) -> bytes | Oversized | Literal[Nothing.YET]:
        part = self._buffer[self._at : self._at + self._missing]
        self._at += len(part)
        self._missing -= len(part)
        if self._head is not None:
            if len(self._head) < HEAD_BYTES:
                self._head = (self._head + part)[: min(HEAD_BYTES, self._size)]
            return Nothing.YET if self._missing else Oversized(self._size, self._head)
        if self._missing or self._string_so_far:
            self._string_so_far += part
            if self._missing:
                return Nothing.YET
            part = bytes(self._string_so_far)
            self._string_so_far.clear()
        if not part.endswith(_END):
            raise BrokenReply("a string without end")
        return part[: -len(_END)]


def _number(text: bytes) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise BrokenReply("a number that is none")
    return int(text)


def _scalar(kind: bytes, text: bytes) -> Element:
    if kind == b"+":
        return text
    if kind == b":":
        return _number(text)
    if kind == b"$":
        return None
    raise BrokenReply("a reply of unknown kind")
