"""The topics whose occupation an application has yet to be notified of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wampush.apps.topic_changes import TopicChanges


def test_opposite_changes_cancel_each_other() -> None:
    changes = TopicChanges()
    changes.add("a", True)
    changes.add("b", True)
    changes.add("a", False)
    assert (len(changes), changes.ready) == (1, 1)
    assert changes.take(10) == (True, ["b"])
    changes.add("b", False)
    assert (len(changes), changes.ready) == (1, 0)
    changes.add("b", True)
    assert len(changes) == 0
    changes.add("b", False)
    changes.done(["b"])
    assert changes.take(10) == (False, ["b"])


def test_kinds_take_turns() -> None:
    changes = TopicChanges()
    for topic in "abc":
        changes.add(topic, True)
        changes.add(topic.upper(), False)
    assert [changes.take(2) for _ in range(4)] == [
        (True, ["a", "b"]),
        (False, ["A", "B"]),
        (True, ["c"]),
        (False, ["C"]),
    ]


def test_what_is_not_wanted_does_not_wait() -> None:
    changes = TopicChanges({False})
    changes.add("a", True)
    assert len(changes) == 0
    changes.add("a", False)
    changes.add("b", False)
    changes.clear()
    assert len(changes) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40))
def test_notifications_of_a_topic_alternate_and_end_with_its_state(
    steps: list[tuple[str, int]],
) -> None:
    changes = TopicChanges()
    state = dict.fromkeys("abc", False)
    told: dict[str, list[bool]] = {topic: [] for topic in "abc"}
    running: list[str] = []

    def take() -> None:
        if changes.ready:
            kind, topics = changes.take(2)
            for each in topics:
                assert each not in running
                told[each].append(kind)
            running.extend(topics)

    for topic, step in steps:
        if step < 2:
            state[topic] = not state[topic]
            changes.add(topic, state[topic])
        elif step == 2:
            take()
        else:
            changes.done(running)
            running.clear()
    while changes.ready or running:
        changes.done(running)
        running.clear()
        take()
    for topic, kinds in told.items():
        assert kinds == [number % 2 == 0 for number in range(len(kinds))]
        assert (kinds[-1] if kinds else False) == state[topic]
