"""Versions that are on their way to a store."""

from __future__ import annotations

import pytest

from wampush.broker.history.pending_versions import PendingVersions
from wampush.broker.history.rule import HistoryRule
from wampush.broker.publication import Publication
from wampush.config.tables.topics import TopicSettings
from wampush.errors import PublicationRefused, Refusal
from wampush.node.history import history_rules


def rule(**more: str) -> HistoryRule:
    found = history_rules([TopicSettings("a", history=5, version_by="rev", **more)]).of("a")  # type: ignore[arg-type]
    assert found is not None
    return found


def publication(text: bytes) -> Publication:
    return Publication("a", text)


def test_an_older_version_than_one_under_way_is_stale() -> None:
    pending = PendingVersions(rule())
    pending.check(publication(b'{"rev":1}'))
    pending.add(publication(b'{"rev":5}'))
    for fine in (b'{"rev":5}', b'{"rev":6}', b'{"no":1}', b"[]"):
        pending.check(publication(fine))
    with pytest.raises(PublicationRefused, match="rev is 4; 5 was published before") as caught:
        pending.check(publication(b'{"rev":4}'))
    assert caught.value.refusal is Refusal.STALE


def test_the_last_one_says_so() -> None:
    pending = PendingVersions(rule())
    pending.add(publication(b'{"rev":1}'))
    pending.add(publication(b'{"no":1}'))
    assert not pending.remove()
    assert pending.remove()
