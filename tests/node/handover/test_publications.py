"""Publications and histories as records, and records that are neither."""

from __future__ import annotations

import orjson
import pytest

from wampush.broker.history.journal import StoredRow, StoredTopic
from wampush.broker.history.memory_history import KeptTopic
from wampush.broker.publication import (
    EVERYONE,
    Audience,
    Position,
    Publication,
    PushKey,
    Targets,
)
from wampush.node.handover.publications import (
    history_of,
    history_values,
    publication_of,
    publication_values,
)
from wampush.node.handover.records import Kind, Record, StreamBroken

AUDIENCE = Audience(frozenset({"x"}), frozenset({"e"}), Targets(users=frozenset({"7"})))


def record(kind: Kind, values: object, body: bytes = b"") -> Record:
    return Record(kind, orjson.loads(orjson.dumps(values)), memoryview(body))


@pytest.mark.parametrize(
    "publication",
    [
        Publication("t", b"1"),
        Publication("t", b'{"a": 1.0}', AUDIENCE, Position("e", 7)),
        Publication("t", b"null", EVERYONE, None, ("u", "v")),
        Publication("t", b"1", push=PushKey("order-7", "a0")),
    ],
)
def test_a_publication_arrives_as_it_was(publication: Publication) -> None:
    sent = record(Kind.PUBLICATION, publication_values(publication), publication.payload)
    assert publication_of(sent) == publication


def test_everyone_stays_the_same_object() -> None:
    # The fast path of the router asks for this object.
    values = publication_values(Publication("t", b"1"))
    assert publication_of(record(Kind.PUBLICATION, values, b"1")).audience is EVERYONE


def test_what_a_topic_keeps_arrives_as_it_was() -> None:
    rows = [StoredRow(3, 1.5, b"33", EVERYONE), StoredRow(9, 2.5, b"", AUDIENCE)]
    kept = KeptTopic(StoredTopic("t", Position("e", 11), rows), {"k": 4, "l": 2.5})
    values, parts = history_values(kept)
    assert history_of(record(Kind.HISTORY, values, b"".join(parts))) == kept


@pytest.mark.parametrize("values", [{}, {"topic": "t", "position": [1, 2, 3]}])
def test_other_records_are_no_publications(values: object) -> None:
    with pytest.raises(StreamBroken):
        publication_of(record(Kind.PUBLICATION, values))


def test_other_records_are_no_histories() -> None:
    with pytest.raises(StreamBroken):
        history_of(record(Kind.HISTORY, {"topic": "t", "rows": [[1]]}))
