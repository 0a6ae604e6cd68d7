"""Identities."""

from __future__ import annotations

import json

import pytest

from wampush.broker.identity import (
    ANONYMOUS,
    AWAITING,
    Identity,
    identity_as_json,
    identity_from_json,
)


def test_anonymous_sessions_have_no_user_and_never_expire():
    assert Identity() == ANONYMOUS
    assert (ANONYMOUS.user, ANONYMOUS.groups, ANONYMOUS.expires) == (None, frozenset(), None)
    assert (ANONYMOUS.source, AWAITING) == ("anonymous", "awaiting-cra")


def test_the_attributes_that_identities_share_cannot_be_changed():
    with pytest.raises(TypeError):
        Identity().data["a"] = 1  # type: ignore[index]
    assert Identity(user="7").data == {}


def test_an_identity_is_written_and_read():
    identity = Identity("7", frozenset({"b", "a"}), "s", "de", {"x": [1]}, 5.0, "token")
    written = json.loads(json.dumps(identity_as_json(identity)))
    assert written["groups"] == ["a", "b"]
    assert identity_from_json(written) == identity
    assert identity_from_json({**written, "colour": "red"}) == identity
    assert identity_from_json({"user": "7"}) == Identity("7")
    assert identity_as_json(Identity()) is None
    assert identity_from_json(None) is ANONYMOUS
