"""Publications and histories as records.

Owns: their form. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wampush.broker.history.journal import StoredRow, StoredTopic
from wampush.broker.history.memory_history import KeptTopic
from wampush.broker.history.stored_audience import audience_from, audience_text
from wampush.broker.publication import EVERYONE, Audience, Position, Publication, PushKey
from wampush.node.handover.records import Record, StreamBroken


def publication_values(publication: Publication) -> dict[str, Any]:
    """Return the header of a publication; its payload is the body."""
    values: dict[str, Any] = {"topic": publication.topic}
    if publication.audience is not EVERYONE:
        values["audience"] = _audience_text(publication.audience)
    if publication.position is not None:
        values["position"] = [publication.position.epoch, publication.position.offset]
    if publication.further_topics:
        values["further_topics"] = list(publication.further_topics)
    if publication.push is not None:
        values["push"] = list(publication.push)
    return values


def publication_of(record: Record) -> Publication:
    """Return the publication of a record.

    :raises StreamBroken: it is none.
    """
    values = record.values
    position, push = values.get("position"), values.get("push")
    try:
        return Publication(
            values["topic"],
            bytes(record.body),
            _audience_of(values.get("audience")),
            None if position is None else Position(*position),
            tuple(values.get("further_topics") or ()),
            None if push is None else PushKey(*push),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StreamBroken(f"this is no publication: {values!r}") from error


def history_values(kept: KeptTopic) -> tuple[dict[str, Any], Sequence[bytes]]:
    """Return the header of what a topic keeps, and the payloads, which are the body."""
    stored = kept.stored
    rows = [
        (
            row.offset,
            row.time,
            len(row.payload),
            None if row.audience is EVERYONE else _audience_text(row.audience),
        )
        for row in stored.rows
    ]
    values = {
        "topic": stored.topic,
        "position": [stored.position.epoch, stored.position.offset],
        "rows": rows,
        "versions": list(kept.versions.items()),
    }
    return values, [row.payload for row in stored.rows]


def history_of(record: Record) -> KeptTopic:
    """Return what a topic keeps.

    :raises StreamBroken: the record does not say that.
    """
    values: Mapping[str, Any] = record.values
    rows = []
    begin = 0
    try:
        for offset, time, size, audience in values["rows"]:
            payload = bytes(record.body[begin : begin + size])
            rows.append(StoredRow(offset, time, payload, _audience_of(audience)))
            begin += size
        stored = StoredTopic(values["topic"], Position(*values["position"]), rows)
        return KeptTopic(stored, dict(values.get("versions") or ()))
    except (KeyError, TypeError, ValueError) as error:
        raise StreamBroken(f"this is no history: {str(values)[:200]}") from error


def _audience_text(audience: Audience) -> str | None:
    text = audience_text(audience)
    return None if text is None else text.decode()


def _audience_of(text: str | None) -> Audience:
    return audience_from(None if text is None else text.encode())
