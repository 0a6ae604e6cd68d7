"""Audiences as they are stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.history.stored_audience import audience_from, audience_text, check_storable
from wampush.broker.publication import EVERYONE, Audience, Publication, Targets
from wampush.errors import PublicationRefused, Refusal

NAMES = st.frozensets(st.text(st.characters(exclude_categories=["Cs"])), max_size=3)
OPTIONAL = st.none() | NAMES
TARGETS = st.builds(
    Targets,
    users=OPTIONAL,
    groups=OPTIONAL,
    sessions=OPTIONAL,
    registered=st.booleans(),
    exclude_users=NAMES,
    exclude_groups=NAMES,
    exclude_sessions=NAMES,
)


@given(st.builds(Audience, NAMES, OPTIONAL, st.none() | TARGETS))
def test_an_audience_survives(audience: Audience) -> None:
    assert audience_from(audience_text(audience)) == audience


def test_everyone_takes_no_room() -> None:
    assert audience_text(EVERYONE) is None
    assert audience_from(None) is EVERYONE


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{}",
        b"nonsense",
        b'{"exclude":7}',
        b'{"exclude":"ab"}',
        b'{"exclude":[7]}',
        b'{"exclude":[],"to":{"x":1}}',
        b'{"exclude":[],"to":{"users":[["a"]]}}',
    ],
)
def test_another_text_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        audience_from(text)


@pytest.mark.parametrize(
    ("topic", "name", "problem"),
    [
        ("\ud800", "a", "topic is not valid text"),
        ("t", "\ud800", "audience"),
        ("t", 2**70, "audience"),
    ],
)
def test_what_is_no_text_cannot_be_stored(topic: str, name: Any, problem: str) -> None:
    check_storable(Publication("\N{EURO SIGN}", b"1", Audience(frozenset(["a"]))))
    with pytest.raises(PublicationRefused) as refused:
        check_storable(Publication(topic, b"1", Audience(frozenset([name]))))
    assert refused.value.refusal is Refusal.NOT_STORED
    assert problem in refused.value.detail
