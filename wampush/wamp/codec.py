"""The JSON text of the messages of WAMP v1.

Owns: how each message is read and written; the tables ``_FROM_CLIENT`` and ``_FROM_SERVER`` define
the protocol. Must not import: anything of wampush but ``errors`` and its neighbours in ``wamp``.

The payload of an event is never decoded and encoded again: :func:`event_text` inserts the bytes
that arrived, and a PUBLISH keeps the slice of its text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from wampush.errors import MessageRefused, NotSerialisable, Refusal
from wampush.excerpts import shown, shown_json
from wampush.wamp.json_slices import published_event, raw_elements
from wampush.wamp.messages import (
    PROTOCOL_VERSION,
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

# Reading. Each reader takes the decoded list, whose length the tables below guarantee, and its
# text; its docstring shows the list.


def _read_welcome(items: list[object], text: bytes) -> Welcome:
    """``[0, sessionId, protocolVersion, serverIdent]``."""
    version = items[2]
    if type(version) is not int:
        detail = f"Element 2, the protocol version, is {shown_json(version)}, not an integer."
        raise MessageRefused(Refusal.WRONG_TYPE, detail)
    return Welcome(_string(items, 1), _string(items, 3), version)


def _read_prefix(items: list[object], text: bytes) -> Prefix:
    """``[1, prefix, uri]``."""
    return Prefix(_string(items, 1), _string(items, 2))


def _read_call(items: list[object], text: bytes) -> Call:
    """``[2, callId, procedure, argument…]``."""
    return Call(_string(items, 1), _string(items, 2), tuple(items[3:]))


def _read_call_result(items: list[object], text: bytes) -> CallResult:
    """``[3, callId, result]``."""
    return CallResult(_string(items, 1), items[2])


def _read_call_error(items: list[object], text: bytes) -> CallError:
    """``[4, callId, errorUri, description]`` or ``[…, details]``."""
    details = items[4] if len(items) == 5 else None
    return CallError(_string(items, 1), _string(items, 2), _string(items, 3), details)


def _read_subscribe(items: list[object], text: bytes) -> Subscribe:
    """``[5, topic]``."""
    return Subscribe(_string(items, 1))


def _read_unsubscribe(items: list[object], text: bytes) -> Unsubscribe:
    """``[6, topic]``."""
    return Unsubscribe(_string(items, 1))


def _read_publish(items: list[object], text: bytes) -> Publish:
    """``[7, topic, event]``, ``[…, excludeMe]``, ``[…, exclude]`` or ``[…, exclude, eligible]``."""
    topic = _string(items, 1)
    event = published_event(text, len(items))
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


def _read_event(items: list[object], text: bytes) -> Event:
    """``[8, topicUri, event]``."""
    return Event(_string(items, 1), raw_elements(text)[2])


def _string(items: list[object], index: int) -> str:
    value = items[index]
    if type(value) is not str:
        raise MessageRefused(
            Refusal.WRONG_TYPE, f"Element {index} is {shown_json(value)}, not a string."
        )
    return value


def _session_ids(value: object) -> tuple[str, ...] | None:
    """Return the session ids in a list; None for other values, which count as "not given"."""
    if type(value) is not list:
        return None
    return tuple(item for item in value if type(item) is str)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the list of a message looks like.

    :param fewest: elements, the type included.
    :param most: elements; None for any number.
    :param read: turns the decoded list and its text into the message.
    """

    fewest: int
    most: int | None
    read: Callable[[list[object], bytes], Message]


_FROM_CLIENT: Final[Mapping[int, _Shape]] = {
    Prefix.TYPE: _Shape(3, 3, _read_prefix),
    Call.TYPE: _Shape(3, None, _read_call),
    Subscribe.TYPE: _Shape(2, 2, _read_subscribe),
    Unsubscribe.TYPE: _Shape(2, 2, _read_unsubscribe),
    Publish.TYPE: _Shape(3, 5, _read_publish),
}
_FROM_SERVER: Final[Mapping[int, _Shape]] = {
    Welcome.TYPE: _Shape(4, 4, _read_welcome),
    CallResult.TYPE: _Shape(3, 3, _read_call_result),
    CallError.TYPE: _Shape(4, 5, _read_call_error),
    Event.TYPE: _Shape(3, 3, _read_event),
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
    return shape.read(items, text)


def decode_client(text: bytes) -> ClientMessage:
    """Return the message that a client sent.

    :param text: the payload of a text frame.
    :raises MessageRefused: when the text is not JSON, not a list or empty, has a type that clients
        do not send, or the wrong number or types of elements. Nothing else is ever raised.
    """
    return _decode(text, _FROM_CLIENT)  # type: ignore[return-value]


def decode_server(text: bytes) -> ServerMessage:
    """Return the message that a server sent.

    :param text: the payload of a text frame.
    :raises MessageRefused: as in :func:`decode_client`.
    """
    return _decode(text, _FROM_SERVER)  # type: ignore[return-value]


def call_arguments(text: bytes) -> tuple[object, ...]:
    """Return the arguments of a CALL.

    :param text: one that :func:`decode_client` has accepted.
    """
    return tuple(orjson.loads(text)[3:])


# Writing.


def welcome_text(session_id: str, server: str) -> bytes:
    """Return the text of a WELCOME."""
    return _dumps([Welcome.TYPE, session_id, PROTOCOL_VERSION, server])


@lru_cache(maxsize=256)
def event_head(topic: str) -> bytes:
    """Return the text of an EVENT up to its payload; the same for every event of a topic."""
    return b"[%d,%b," % (Event.TYPE, _dumps(topic))


#: The text of an EVENT after its payload.
EVENT_TAIL: Final = b"]"


def event_text(topic: str, payload: bytes) -> bytes:
    """Return the text of an EVENT.

    :param payload: valid JSON text, inserted as it is.
    """
    return b"".join((event_head(topic), payload, EVENT_TAIL))


def event_tail(offset: int) -> bytes:
    """Return the text of an EVENT after its payload, with an element that WAMP v1 has not.

    :param offset: of the event in its topic; clients of WAMP v1 ignore it.
    """
    return b",%d]" % offset


def _write_publish(message: Publish) -> bytes:
    parts = [b"%d" % Publish.TYPE, _dumps(message.topic), message.event]
    if message.exclude is not None:
        parts.append(_dumps(message.exclude))
    elif message.exclude_me is not None:
        parts.append(_dumps(message.exclude_me))
    elif message.eligible is not None:
        parts.append(b"null")
    if message.eligible is not None:
        parts.append(_dumps(message.eligible))
    return b"[" + b",".join(parts) + b"]"


def _write_call_error(message: CallError) -> bytes:
    items: list[object] = [CallError.TYPE, message.call_id, message.uri, message.description]
    if message.details is not None:
        items.append(message.details)
    return _dumps(items)


def _dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise NotSerialisable(f"{shown(value)} cannot be written as JSON: {error}") from error


_WRITERS: Final[Mapping[type, Callable[..., bytes]]] = {
    Welcome: lambda m: _dumps([Welcome.TYPE, m.session_id, m.protocol_version, m.server]),
    Prefix: lambda m: _dumps([Prefix.TYPE, m.prefix, m.uri]),
    Call: lambda m: _dumps([Call.TYPE, m.call_id, m.procedure, *m.arguments]),
    CallResult: lambda m: _dumps([CallResult.TYPE, m.call_id, m.result]),
    CallError: _write_call_error,
    Subscribe: lambda m: _dumps([Subscribe.TYPE, m.topic]),
    Unsubscribe: lambda m: _dumps([Unsubscribe.TYPE, m.topic]),
    Publish: _write_publish,
    Event: lambda m: event_text(m.topic, m.event),
}


def encode(message: Message) -> bytes:
    """Return the text of any message.

    :raises NotSerialisable: when a value in it cannot be written as JSON.
    """
    return _WRITERS[type(message)](message)
