"""Messages between nodes.

Owns: their form and its checks. Pure: no I/O, no state.
Must not import: Twisted, the edges.

A message is text: the version, a JSON object (the header), a line feed, then the payload byte for
byte, as in ``1{"node":"3f2a","id":17}⏎{"price":3}``. Readers ignore fields of the header that
they do not know, so that newer nodes may add some. A message of another version is refused.

The header is one line that ends with ``}``. What writes into it on the way, such as a script in
Redis that assigns the position, replaces the brace with ``,"epoch":"…","offset":…}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson

from wampush.broker.history.stored_audience import audience_of, audience_text
from wampush.broker.publication import EVERYONE, Audience, Position
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown_json

#: The version that this code writes and reads.
VERSION: Final = b"1"
#: Characters of the longest id of a node, and of the longest epoch.
_NAME_LENGTH: Final = 64
#: Within so many bytes ends the longest number of a node's messages, which counts them.
_NUMBER_LENGTH: Final = 20


# Not frozen, because that makes construction four times as slow; the type checker keeps the fields.
@dataclass(slots=True)
class NodeMessage:
    """What one node has sent.

    :param node: the id of the node.
    :param number: counts the messages of that node; with the node's id, it names the message.
    :param payload: of a publication, valid JSON text; of other kinds, what they say.
    :param kind: "" for a publication; names what else it is.
    :param audience: who may get a publication.
    :param position: of a publication to a topic with a history.
    :param time: when it was published, in seconds since 1970; None where that does not matter.
    :param run: the server that has assigned the position; "" without one.
    """

    node: Final[str]
    number: Final[int]
    payload: Final[bytes]
    kind: Final[str] = ""
    audience: Final[Audience] = EVERYONE
    position: Final[Position | None] = None
    time: Final[float | None] = None
    run: Final[str] = ""


def encoded(message: NodeMessage) -> bytes:
    """Return a message as it travels.

    :raises TypeError: the audience names something that is not a string.
    :raises UnicodeEncodeError: the audience has a name that is not valid text.
    """
    return b"%b\n%b" % (header(message), message.payload)


def header(message: NodeMessage) -> bytes:
    """Return the version and the header of a message, without the line feed.

    :raises TypeError: as :func:`encoded`.
    """
    fields: dict[str, object] = {"node": message.node, "id": message.number}
    if message.kind:
        fields["kind"] = message.kind
    if message.audience is not EVERYONE:
        text = audience_text(message.audience)
        fields["audience"] = None if text is None else orjson.Fragment(text)
    if message.position is not None:
        fields["epoch"] = message.position.epoch
        fields["offset"] = message.position.offset
    if message.time is not None:
        fields["time"] = message.time
    if message.run:
        fields["run"] = message.run
    return VERSION + orjson.dumps(fields)


def decoded(message: bytes, max_bytes: int) -> NodeMessage:
    """Read a message, and believe nothing that is not checked.

    :param max_bytes: the longest message, header included.
    :raises PushRefused: with the reason: TOO_LARGE, NODE_VERSION, NODE_FORM or NOT_JSON.
    """
    if len(message) > max_bytes:
        raise PushRefused(Refusal.TOO_LARGE, f"{len(message)} bytes, {max_bytes} allowed.")
    end = message.find(b"\n")
    if message[:1] != VERSION or end < 0:
        raise _wrong_version(message)
    payload = message[end + 1 :]
    try:
        fields = orjson.loads(message[1:end])
    except orjson.JSONDecodeError as error:
        raise PushRefused(Refusal.NODE_FORM, f"Its header: {error}.") from error
    try:
        # Clients get it byte for byte, within JSON.
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise PushRefused(Refusal.NOT_JSON, f"Its payload: {error}.") from error
    return _message(fields, payload)


def number_of(message: bytes, beginning: bytes) -> int | None:
    """Return the number of a publication of one node to everybody, without reading the rest.

    :param message: as it came; its payload is not checked.
    :param beginning: what the messages of that node begin with, up to the number.
    :returns: None if the message is anything else, or has other fields.
    """
    if not message.startswith(beginning):
        return None
    end = message.find(b"}\n", len(beginning), len(beginning) + _NUMBER_LENGTH)
    digits = message[len(beginning) : end]
    return int(digits) if end > 0 and digits.isdigit() else None


def _wrong_version(message: bytes) -> PushRefused:
    found = message[:1]
    if not found.isdigit() or found == VERSION:
        return PushRefused(Refusal.NODE_FORM, "It does not begin with a version and a header.")
    detail = f"It has version {found.decode()}; this node reads version {VERSION.decode()}."
    return PushRefused(Refusal.NODE_VERSION, detail)


def _message(fields: Any, payload: bytes) -> NodeMessage:
    if not isinstance(fields, dict):
        raise PushRefused(Refusal.NODE_FORM, f"Its header is {shown_json(fields)}.")
    node, number = fields.get("node"), fields.get("id")
    # As _is_name() and _is_whole() have it, without two calls for each message.
    if (
        type(node) is not str
        or not 0 < len(node) <= _NAME_LENGTH
        or type(number) is not int
        or number < 0
    ):
        raise PushRefused(Refusal.NODE_FORM, "Its header has no node and id.")
    if len(fields) == 2:
        return NodeMessage(node, number, payload)
    kind, time = fields.get("kind", ""), fields.get("time")
    if not isinstance(kind, str):
        raise PushRefused(Refusal.NODE_FORM, f"Its kind is {shown_json(kind)}.")
    if not (time is None or isinstance(time, float | int)) or isinstance(time, bool):
        raise PushRefused(Refusal.NODE_FORM, f"Its time is {shown_json(time)}.")
    audience = _audience(fields["audience"]) if "audience" in fields else EVERYONE
    run = fields.get("run", "")
    if not isinstance(run, str) or len(run) > _NAME_LENGTH:
        raise PushRefused(Refusal.NODE_FORM, f"Its run is {shown_json(run)}.")
    return NodeMessage(node, number, payload, kind, audience, _position(fields), time, run)


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _NAME_LENGTH


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _audience(found: object) -> Audience:
    try:
        return audience_of(found)
    except ValueError as error:
        # Nobody can say whom it was meant for, so nobody gets it.
        raise PushRefused(Refusal.NODE_FORM, f"Its audience is {shown_json(found)}.") from error


def _position(fields: dict[str, Any]) -> Position | None:
    epoch, offset = fields.get("epoch"), fields.get("offset")
    if epoch is None and offset is None:
        return None
    if not _is_name(epoch) or not _is_whole(offset):
        raise PushRefused(
            Refusal.NODE_FORM, f"Its position is {shown_json(epoch)}, {shown_json(offset)}."
        )
    return Position(epoch, offset)
