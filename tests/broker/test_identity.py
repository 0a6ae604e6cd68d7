"""Identities."""

from __future__ import annotations

import pytest

from wampush.broker.identity import ANONYMOUS, AWAITING, Identity


def test_anonymous_sessions_have_no_user_and_never_expire():
    assert Identity() == ANONYMOUS
    assert (ANONYMOUS.user, ANONYMOUS.groups, ANONYMOUS.expires) == (None, frozenset(), None)
    assert (ANONYMOUS.source, AWAITING) == ("anonymous", "awaiting-cra")


def test_the_attributes_that_identities_share_cannot_be_changed():
    with pytest.raises(TypeError):
        Identity().data["a"] = 1  # type: ignore[index]
    assert Identity(user="7").data == {}
