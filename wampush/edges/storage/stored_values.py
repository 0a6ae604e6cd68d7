"""Values of a database as they must be; the file may have been changed by anything.

Owns: the checks of what is read, and rows made of it. Pure.
Must not import: Twisted, the other edges, the database.

SQLite keeps any type in any column. A value of another kind would fail much later, in the middle of
a publication, or reach clients as invalid JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from wampush.broker.history.journal import StoredRow
from wampush.broker.history.stored_audience import audience_from
from wampush.excerpts import shown_json

#: The largest offset: clients in JavaScript know no larger whole number.
MAX_OFFSET: Final = 2**53


def check_topic(topic: object, epoch: object, newest: object) -> None:
    """Check what is stored of a topic.

    :param newest: the offset of its newest publication.
    :raises ValueError: one of the values cannot be.
    """
    if not isinstance(topic, str) or not topic:
        raise ValueError(f"a topic has the name {topic!r:.100}")
    name = shown_json(topic)
    if not isinstance(epoch, str) or not epoch or not isinstance(newest, int):
        raise ValueError(f"topic {name} has the position {epoch!r:.100}:{newest!r:.100}")
    if not 0 <= newest < MAX_OFFSET:
        raise ValueError(f"topic {name} has the offset {newest}")


def stored_row(row: Sequence[object], newest: int) -> StoredRow:
    """Return a publication.

    :param row: offset, time, payload, audience.
    :param newest: the offset of the newest publication of its topic.
    :raises ValueError: one of the values cannot be.
    """
    offset, time, payload, audience = row
    if not isinstance(offset, int) or not 1 <= offset <= newest:
        raise ValueError(f"a publication has the offset {offset!r:.100}; the newest is {newest}")
    if not (
        isinstance(time, float)
        and isinstance(payload, bytes)
        and (audience is None or isinstance(audience, bytes))
    ):
        found = ", ".join([type(each).__name__ for each in (time, payload, audience)])
        raise ValueError(f"time, payload and audience of publication {offset} are {found}")
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the payload of publication {offset} is not JSON: {error}") from error
    return StoredRow(offset, time, payload, audience_from(audience))
