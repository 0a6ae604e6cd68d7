"""Text to messages and messages to text.

Owns: the table from message type to parser and arity, and the JSON of all nine messages.
Must not import: anything of wampush but ``errors`` and ``messages``.

The payload of an event is never decoded and encoded again: :func:`event_text` puts the bytes that
came in between the type and the closing bracket, and a PUBLISH keeps the slice of its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from wampush.errors import MessageRefused, NotSerialisable, Refusal, shown, shown_json
from wampush.wamp.messages import (
    Call,
    CallError,
    CallResult,
    ClientMessage,
    Event,
    Message,
    Prefix,
    Publish,
    ServerMessage,
    Subscribe,
    Unsubscribe,
    Welcome,
)

# Strings are matched first, so that brackets and commas inside them do not count.
_STRUCTURE: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]')


# Of a PUBLISH; what follows is the event.
_BEFORE_EVENT: Final = re.compile(rb'\A\s*\[\s*7\s*,\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*,\s*')
_DECODER: Final = json.JSONDecoder()


def _dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise NotSerialisable(f"{shown(value)} cannot be written as JSON: {error}") from error


def raw_elements(text: bytes) -> list[bytes]:
    """The elements of a JSON list as slices of its text.

    :param text: a valid JSON list; validity is not checked here.
    """
    depth = 0
    start = 0
    elements: list[bytes] = []
    for match in _STRUCTURE.finditer(text):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            if depth == 1:
                start = match.end()
        elif token in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                elements.append(text[start : match.start()].strip())
        elif token == b"," and depth == 1:
            elements.append(text[start : match.start()].strip())
            start = match.end()
    return elements


def _string(items: list[object], index: int) -> str:
    value = items[index]
    if type(value) is not str:
        raise MessageRefused(
            Refusal.WRONG_TYPE, f"Element {index} is {shown_json(value)}, not a string."
        )
    return value


def _session_ids(value: object) -> tuple[str, ...] | None:
    """The session ids of a list; None when it is no list, which WAMP v1 reads as "not given"."""
    if type(value) is not list:
        return None
    return tuple(item for item in value if type(item) is str)


def _prefix(items: list[object], text: bytes) -> Prefix:
    return Prefix(_string(items, 1), _string(items, 2))


def _call(items: list[object], text: bytes) -> Call:
    return Call(_string(items, 1), _string(items, 2), tuple(items[3:]))


def _subscribe(items: list[object], text: bytes) -> Subscribe:
    return Subscribe(_string(items, 1))


def _unsubscribe(items: list[object], text: bytes) -> Unsubscribe:
    return Unsubscribe(_string(items, 1))


def _published(text: bytes, count: int) -> bytes:
    """The event of a PUBLISH as a slice of its text.

    :func:`raw_elements` would do, but takes twenty times as long for a long event of many brackets.

    :param text: valid JSON; its second element is a string.
    :param count: how many elements it has.
    """
    rest = _BEFORE_EVENT.sub(b"", text, count=1)
    if count == 3:
        return rest.rstrip()[:-1].rstrip()
    characters = rest.decode()
    try:
        _, end = _DECODER.raw_decode(characters)
    except RecursionError as error:
        raise MessageRefused(Refusal.MESSAGE_NOT_JSON, "The event is nested too deeply.") from error
    return characters[:end].encode()


def _publish(items: list[object], text: bytes) -> Publish:
    topic = _string(items, 1)
    event = _published(text, len(items))
    if len(items) == 3:
        return Publish(topic, event)
    third = items[3]
    return Publish(
        topic,
        event,
        exclude_me=third if type(third) is bool else None,
        exclude=_session_ids(third),
        eligible=_session_ids(items[4]) if len(items) == 5 else None,
    )


def _welcome(items: list[object], text: bytes) -> Welcome:
    version = items[2]
    if type(version) is not int:
        raise MessageRefused(Refusal.WRONG_TYPE, f"Protocol version {shown_json(version)}.")
    return Welcome(_string(items, 1), _string(items, 3), version)


def _call_result(items: list[object], text: bytes) -> CallResult:
    return CallResult(_string(items, 1), items[2])


def _call_error(items: list[object], text: bytes) -> CallError:
    details = items[4] if len(items) == 5 else None
    return CallError(_string(items, 1), _string(items, 2), _string(items, 3), details)


def _event(items: list[object], text: bytes) -> Event:
    return Event(_string(items, 1), raw_elements(text)[2])


@dataclass(frozen=True, slots=True)
class _Shape:
    """How many elements a message's list has, type included, and what makes a message of them."""

    fewest: int
    most: int | None
    parse: Callable[[list[object], bytes], Message]


_FROM_CLIENT: Final[Mapping[int, _Shape]] = {
    1: _Shape(3, 3, _prefix),
    2: _Shape(3, None, _call),
    5: _Shape(2, 2, _subscribe),
    6: _Shape(2, 2, _unsubscribe),
    7: _Shape(3, 5, _publish),
}
_FROM_SERVER: Final[Mapping[int, _Shape]] = {
    0: _Shape(4, 4, _welcome),
    3: _Shape(3, 3, _call_result),
    4: _Shape(4, 5, _call_error),
    8: _Shape(3, 3, _event),
}


def _decode(text: bytes, shapes: Mapping[int, _Shape]) -> Message:
    try:
        items = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MessageRefused(Refusal.MESSAGE_NOT_JSON, f"{error}: {shown(text)}") from error
    if type(items) is not list:
        raise MessageRefused(Refusal.MESSAGE_NOT_LIST, shown(text))
    if not items:
        raise MessageRefused(Refusal.MESSAGE_EMPTY)
    kind = items[0]
    shape = shapes.get(kind) if type(kind) is int else None
    if shape is None:
        raise MessageRefused(Refusal.UNKNOWN_TYPE, f"Type {shown_json(kind)}.")
    if len(items) < shape.fewest or (shape.most is not None and len(items) > shape.most):
        raise MessageRefused(Refusal.WRONG_ARITY, f"{len(items)} elements for type {kind}.")
    return shape.parse(items, text)


def decode_client(text: bytes) -> ClientMessage:
    """The message that a client sent.

    :param text: the payload of a text frame.
    :raises MessageRefused: when it is not JSON, not a list, empty, of a type that no client sends,
        or has the wrong number or types of elements. Nothing else is ever raised.
    """
    return _decode(text, _FROM_CLIENT)  # type: ignore[return-value]


def call_arguments(text: bytes) -> tuple[object, ...]:
    """The arguments of a CALL.

    :param text: one that :func:`decode_client` has taken.
    """
    return tuple(orjson.loads(text)[3:])


def decode_server(text: bytes) -> ServerMessage:
    """The message that a server sent; raises as :func:`decode_client`."""
    return _decode(text, _FROM_SERVER)  # type: ignore[return-value]


@lru_cache(maxsize=256)
def event_head(topic: str) -> bytes:
    """The text of an EVENT up to its payload; the same for every event of a topic."""
    return b"[8," + _dumps(topic) + b","


def event_text(topic: str, payload: bytes) -> bytes:
    """The text of an EVENT.

    :param payload: valid JSON text, put in as it is.
    """
    return event_head(topic) + payload + b"]"


def _publish_text(message: Publish) -> bytes:
    parts = [b"7", _dumps(message.topic), message.event]
    if message.exclude is not None:
        parts.append(_dumps(message.exclude))
    elif message.exclude_me is not None:
        parts.append(_dumps(message.exclude_me))
    elif message.eligible is not None:
        parts.append(b"null")
    if message.eligible is not None:
        parts.append(_dumps(message.eligible))
    return b"[" + b",".join(parts) + b"]"


def _call_error_text(message: CallError) -> bytes:
    items: list[object] = [4, message.call_id, message.uri, message.description]
    if message.details is not None:
        items.append(message.details)
    return _dumps(items)


_WRITERS: Final[Mapping[type, Callable[..., bytes]]] = {
    Welcome: lambda m: _dumps([0, m.session_id, m.protocol_version, m.server]),
    Prefix: lambda m: _dumps([1, m.prefix, m.uri]),
    Call: lambda m: _dumps([2, m.call_id, m.procedure, *m.arguments]),
    CallResult: lambda m: _dumps([3, m.call_id, m.result]),
    CallError: _call_error_text,
    Subscribe: lambda m: _dumps([5, m.topic]),
    Unsubscribe: lambda m: _dumps([6, m.topic]),
    Publish: _publish_text,
    Event: lambda m: event_text(m.topic, m.event),
}


def encode(message: Message) -> bytes:
    """The text of any message.

    :raises NotSerialisable: when a value in it has no JSON form.
    """
    return _WRITERS[type(message)](message)
