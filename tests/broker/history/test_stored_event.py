"""What events say about their keys and versions."""

from __future__ import annotations

import tracemalloc

import pytest

from wampush.broker.history.rule import HistoryRule
from wampush.broker.history.stored_event import (
    MAX_KEY,
    ONLY,
    OVERHEAD_BYTES,
    EventFields,
    StoredEvent,
    fields_of,
)
from wampush.broker.publication import EVERYONE

BY_ID = HistoryRule(last_by="id", tombstone="deleted", version_by="rev")


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (b'{"id": "a", "rev": 7}', EventFields("a", False, 7)),
        (b'{"id": 7, "rev": 1.5}', EventFields("7", False, 1.5)),
        (b'{"id": "7"}', EventFields("7", False, None)),
        (b'{"id": "a", "deleted": true}', EventFields("a", True, None)),
        (b'{"id": "a", "deleted": 1}', EventFields("a", False, None)),
        (b'{"id": true, "rev": true}', EventFields(None, False, None)),
        (b'{"id": null, "rev": "7"}', EventFields(None, False, None)),
        (b"{}", EventFields(None, False, None)),
        (b"null", EventFields(None, True, None)),
        (b"[1]", EventFields(None, False, None)),
        (b'"a"', EventFields(None, False, None)),
    ],
)
def test_fields_of_keyed_events(payload: bytes, fields: EventFields) -> None:
    assert fields_of(payload, BY_ID) == fields


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (b'{"rev": 7}', EventFields(ONLY, False, 7)),
        (b"null", EventFields(ONLY, True, None)),
        (b"7", EventFields(ONLY, False, None)),
    ],
)
def test_fields_without_keys(payload: bytes, fields: EventFields) -> None:
    assert fields_of(payload, HistoryRule(last=True, version_by="rev")) == fields


def test_of_a_long_key_a_digest_is_kept() -> None:
    kept = fields_of(b'{"id": "%b"}' % (b"k" * MAX_KEY), BY_ID).key
    assert kept == "k" * MAX_KEY
    long = [fields_of(b'{"id": "%b%d"}' % (b"k" * 999, end), BY_ID).key for end in (1, 2)]
    assert [len(each or "") for each in long] == [2 * MAX_KEY] * 2
    assert len(set(long)) == 2


def test_nothing_is_decoded_without_need() -> None:
    assert fields_of(b"no JSON", HistoryRule(last=True)) == EventFields(ONLY, False, None)
    assert fields_of(b"null", HistoryRule(last=True)).removes


def test_the_size_is_not_less_than_what_memory_takes() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        events = [
            StoredEvent(number + 1000, number + 0.5, b"x" * 100 + b"%d" % number, EVERYONE, number)
            for number in range(1000)
        ]
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= sum(each.size for each in events) <= 2 * taken
    assert events[0].size == 101 + OVERHEAD_BYTES
