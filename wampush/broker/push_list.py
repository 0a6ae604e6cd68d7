"""A list of publications in one push: objects with a topic and data.

Owns: the form of its elements. Pure: no I/O, no state.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from wampush.broker.ingest import Ingest
from wampush.broker.publication import Publication
from wampush.choices import PUSH_OPTIONS
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown_json
from wampush.wamp.json_slices import raw_elements, raw_members

#: Publications in one list.
MAX_PUBLICATIONS: Final = 1000
_KEYS: Final = ("topic", "data", *PUSH_OPTIONS, "id")


class ListedPush(NamedTuple):
    """One element of a list.

    :ivar parts: the same as a push of its own.
    :ivar publication: what it asks for.
    :ivar push_id: its id; "" for none.
    """

    parts: Sequence[bytes]
    publication: Publication
    push_id: str


def listed_pushes(body: bytes, ingest: Ingest) -> list[ListedPush]:
    """Return the elements of a list; their data stay as they are.

    :param ingest: makes a publication of each.
    :raises PushRefused: one of them is not valid, the list is too long, or there is no list.
    """
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PushRefused(Refusal.NOT_JSON, str(error)) from error
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_PUBLICATIONS:
        found = f"It has {len(values)}." if isinstance(values, list) else "It is not a list."
        raise PushRefused(Refusal.BAD_LIST, f"{found} 1 to {MAX_PUBLICATIONS} are allowed.")
    pushes = []
    for index, (value, text) in enumerate(zip(values, raw_elements(body), strict=True)):
        try:
            pushes.append(_listed(value, text, ingest))
        except PushRefused as error:
            detail = f"Publication {index + 1}: {error.detail or error.refusal.sentence}"
            raise PushRefused(error.refusal, detail) from error
    return pushes


def _listed(value: object, text: bytes, ingest: Ingest) -> ListedPush:
    if not isinstance(value, dict):
        raise PushRefused(Refusal.BAD_LIST, f"It is {shown_json(value)}.")
    for key in value:
        if key not in _KEYS:
            known = ", ".join(_KEYS)
            raise PushRefused(Refusal.BAD_LIST, f"It has {shown_json(key)}; known keys: {known}.")
    for key in ("topic", "data"):
        if key not in value:
            raise PushRefused(Refusal.BAD_LIST, f"It has no {shown_json(key)}.")
    topic, push_id = value["topic"], value.get("id")
    if not isinstance(topic, str):
        raise PushRefused(Refusal.TOPIC_NOT_STRING, f"It is {shown_json(topic)}.")
    if push_id is not None and (not isinstance(push_id, str) or not push_id):
        raise PushRefused(Refusal.BAD_ID, f"It is {shown_json(push_id)}.")
    members = raw_members(text)
    parts = [topic.encode(), members["data"]]
    options = [(key, members[key]) for key in PUSH_OPTIONS if key in value]
    if options:
        parts.append(
            b"{%s}" % b",".join([b'"%s":%s' % (key.encode(), raw) for key, raw in options])
        )
    return ListedPush(parts, ingest.publication(parts), push_id or "")
