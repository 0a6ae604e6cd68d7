"""Whom a client's publication is for."""

from __future__ import annotations

import pytest

from wampush.broker.publication import EVERYONE, Audience
from wampush.broker.requests.audiences import audience_named
from wampush.wamp.messages import Publish


@pytest.mark.parametrize(
    ("request_", "audience"),
    [
        (Publish("t", b"1"), EVERYONE),
        (Publish("t", b"1", exclude_me=False), EVERYONE),
        (Publish("t", b"1", exclude_me=True), Audience(frozenset({"me"}), None)),
        (Publish("t", b"1", exclude=("a", "b")), Audience(frozenset({"a", "b"}), None)),
        (Publish("t", b"1", exclude_me=True, exclude=("a",)), Audience(frozenset({"a"}), None)),
        (Publish("t", b"1", exclude=()), EVERYONE),
        (Publish("t", b"1", eligible=()), Audience(frozenset(), frozenset())),
        (
            Publish("t", b"1", exclude=("a",), eligible=("a", "b")),
            Audience(frozenset({"a"}), frozenset({"a", "b"})),
        ),
    ],
)
def test_what_exclude_and_eligible_mean_together(request_: Publish, audience: Audience) -> None:
    assert audience_named(request_, "me") == audience


def test_a_publication_for_everybody_has_the_one_audience_for_it() -> None:
    assert audience_named(Publish("t", b"1"), "me") is EVERYONE
