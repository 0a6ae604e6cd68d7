"""Audiences as they are stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.history.stored_audience import audience_from, audience_text
from wampush.broker.publication import EVERYONE, Audience, Targets

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
    "text", [b"[]", b"{}", b"nonsense", b'{"exclude":7}', b'{"exclude":[],"to":{"x":1}}']
)
def test_another_text_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        audience_from(text)
