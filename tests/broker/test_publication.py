"""Publications and their audiences."""

from __future__ import annotations

import pytest

from wampush.broker.publication import EVERYONE, Audience, Position, Publication, Targets


@pytest.mark.parametrize(
    ("targets", "names_somebody"),
    [
        (Targets(), False),
        (Targets(exclude_users=frozenset("7"), exclude_groups=frozenset("a")), False),
        (Targets(exclude_sessions=frozenset("s")), False),
        (Targets(users=frozenset("7")), True),
        (Targets(groups=frozenset("a")), True),
        (Targets(sessions=frozenset("s")), True),
        (Targets(registered=True), True),
        # A list that came out empty must not reach everyone.
        (Targets(users=frozenset()), True),
        (Targets(groups=frozenset()), True),
        (Targets(sessions=frozenset()), True),
    ],
)
def test_targets_that_name_somebody_restrict_the_receivers(targets, names_somebody):
    assert targets.names_somebody is names_somebody


def test_a_publication_is_for_everyone_and_without_a_position_by_default():
    publication = Publication("t", b"1")
    assert publication.audience is EVERYONE
    assert publication.position is None
    assert Audience() == EVERYONE


def test_positions_are_equal_in_the_same_epoch_only():
    assert Position("a", 1) == Position("a", 1)
    assert len({Position("a", 1), Position("a", 1), Position("b", 1), Position("a", 2)}) == 3


def test_a_publication_to_several_topics_is_one_for_each():
    audience = Audience(exclude=frozenset(["s"]))
    found = list(Publication("a", b"1", audience, further_topics=("b", "c")).by_topic())
    assert found == [Publication(topic, b"1", audience) for topic in "abc"]


def test_a_publication_to_one_topic_yields_itself():
    assert list(Publication("a", b"1").by_topic()) == [Publication("a", b"1")]


def test_only_an_audience_that_names_somebody_is_limited():
    assert not EVERYONE.is_limited
    assert not Audience(exclude=frozenset("s")).is_limited
    assert Audience(eligible=frozenset()).is_limited
    assert Audience(to=Targets()).is_limited
