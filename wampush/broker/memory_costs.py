"""What the things cost in memory that peers make the node keep.

Owns: the estimates, which are upper bounds; ``docs/explanation/limits.md`` shows them.
Must not import: anything of wampush but ``broker.publication``.

The constants are measured with 64-bit CPython 3.11 (``tracemalloc``), rounded up. A string takes
one byte per character only if all its characters are ASCII; one character beyond the Basic
Multilingual Plane makes each take four. The estimates do not ask which, because the answer takes
time in proportion to the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from wampush.broker.publication import Audience

#: Bytes of a subscription but for the characters of its topic: the string, its places in the two
#: indexes, the set of the topic. 352 for each of 1,000 subscriptions of a session, 588 for a single
#: one.
SUBSCRIPTION: Final = 600
#: Bytes of a prefix but for the characters of it and its URI; 312 measured.
PREFIX: Final = 400
#: Bytes of a request that waits for the application but for its text and arguments: the message,
#: its place, the question to the application and its timer.
PENDING: Final = 4096
#: Bytes of a message that waits for a component but for its characters.
COMPONENT_MESSAGE: Final = 256
#: Bytes of a frame, a message or a request header that has arrived in part, but for its text.
UNFINISHED: Final = 1024
#: Bytes of one header of a handshake but for its text: two strings and their place.
HEADER: Final = 256
#: Bytes per character of a string that is not ASCII.
WIDE: Final = 4
#: Bytes per list in JSON that is decoded; 64 measured, and 16 for its only item.
LIST: Final = 80
#: Bytes per object; 184 measured.
OBJECT: Final = 232
#: Bytes per item, whether in a list or an object; 100 measured, with its key.
ITEM: Final = 112
#: Bytes of a string in a table, or of a number by its name, but for the characters: 120 and 190
#: measured, tables that have just grown.
NAMED: Final = 200
#: Bytes of an audience but for its names, and of each set in it; 56 to 160 and 216 measured.
AUDIENCE: Final = 160
SET: Final = 216
#: Bytes of a known id of a push, but for its characters; 390 to 540 measured, the most when its
#: table has just grown.
PUSH_ID: Final = 600
#: Bytes of a topic with a position in the outcome of a push, but for its characters; 190 to 230
#: measured.
TOPIC_POSITION: Final = 240
#: Copies of a request's text that exist while it waits: the message, a part of it, a question.
COPIES: Final = 3


def string_bytes(text: str) -> int:
    """Return what the characters of a string take."""
    return len(text) if text.isascii() else WIDE * len(text)


def subscription_bytes(topic: str) -> int:
    """Return what one subscription takes."""
    return SUBSCRIPTION + string_bytes(topic)


def named_bytes(name: str) -> int:
    """Return what a name takes in a table, and with it a place for a number or a reference."""
    return NAMED + string_bytes(name)


def push_id_bytes(push_id: str) -> int:
    """Return what a known id of a push takes, with an outcome without positions."""
    return PUSH_ID + string_bytes(push_id)


def positions_bytes(topics: Iterable[str]) -> int:
    """Return what the positions of a push on its topics take."""
    return sum([TOPIC_POSITION + string_bytes(topic) for topic in topics])


def audience_bytes(audience: Audience) -> int:
    """Return what the audience of a stored event takes; nobody else has the names in it."""
    sets = [audience.exclude, audience.eligible]
    to = audience.to
    if to is not None:
        sets += [to.users, to.groups, to.sessions]
        sets += [to.exclude_users, to.exclude_groups, to.exclude_sessions]
    return AUDIENCE + sum([SET + sum(map(named_bytes, names)) for names in sets if names])


def prefix_bytes(prefix: str, uri: str) -> int:
    """Return what one prefix takes."""
    return PREFIX + string_bytes(prefix) + string_bytes(uri)


def decoded_bytes(text: bytes) -> int:
    """Return what the values in a JSON text take once they are decoded.

    :param text: UTF-8; brackets and commas within strings count as well.
    """
    # An escape such as \\ud83d\\ude00 makes a wide string out of ASCII.
    is_narrow = text.isascii() and b"\\u" not in text
    return (
        len(text) * (1 if is_narrow else WIDE)
        + text.count(b"[") * LIST
        + text.count(b"{") * OBJECT
        + (text.count(b",") + 1) * ITEM
    )


def pending_bytes(text: bytes) -> int:
    """Return what a request takes while the application has not answered it.

    :param text: the message.
    """
    return PENDING + COPIES * len(text) + decoded_bytes(text)


def component_message_bytes(data: str | bytes) -> int:
    """Return what a message takes while it waits for a component."""
    return COMPONENT_MESSAGE + (len(data) if isinstance(data, bytes) else string_bytes(data))


def handshake_bytes(size: int, headers: int, *, is_first: bool) -> int:
    """Return what a part of a handshake takes until the handshake is answered.

    :param size: of the part, in bytes.
    :param headers: that were read of all parts; 0 as long as the request is not complete.
    :param is_first: whether nothing came before.
    """
    return (UNFINISHED if is_first else 0) + 2 * size + headers * HEADER


def request_bytes(headers: Mapping[str, str]) -> int:
    """Return what a handshake takes while a component has it.

    :param headers: by name.
    """
    return UNFINISHED + sum(HEADER + len(name) + len(headers[name]) for name in headers)


def unfinished_bytes(size: int) -> int:
    """Return what input takes that has arrived in part.

    :param size: of the part, in bytes; 0 for none.
    """
    return UNFINISHED + 2 * size if size else 0
