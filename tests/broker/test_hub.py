"""The hub against a plain dict of sets."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wampush.broker.hub import Hub

subscribers = st.integers(0, 5)
topics = st.sampled_from(["", "a", "b", "c", "constructor"])


class HubAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.hub: Hub[int] = Hub()
        self.model: dict[str, set[int]] = {}

    @rule(subscriber=subscribers, topic=topics)
    def add(self, subscriber, topic):
        first = not self.model.get(topic)
        assert self.hub.add(subscriber, topic) is first
        self.model.setdefault(topic, set()).add(subscriber)

    @rule(subscriber=subscribers, topic=topics)
    def discard(self, subscriber, topic):
        last = self.model.get(topic) == {subscriber}
        assert self.hub.discard(subscriber, topic) is last
        self.model.get(topic, set()).discard(subscriber)

    @rule(subscriber=subscribers)
    def drop(self, subscriber):
        last = {topic for topic, those in self.model.items() if those == {subscriber}}
        dropped = self.hub.remove(subscriber)
        assert len(dropped) == len(set(dropped))
        assert set(dropped) == last
        for those in self.model.values():
            those.discard(subscriber)

    @invariant()
    def they_agree(self):
        live = {topic: those for topic, those in self.model.items() if those}
        assert self.hub.topic_count == len(live)
        assert self.hub.subscription_count == sum(map(len, live.values()))
        for topic in ("", "a", "b", "c", "constructor", "never"):
            assert self.hub.subscribers(topic) == live.get(topic, set())
        for subscriber in range(6):
            mine = {topic for topic, those in live.items() if subscriber in those}
            assert self.hub.topics(subscriber) == mine

    def teardown(self):
        for subscriber in range(6):
            self.hub.remove(subscriber)
        assert (self.hub.topic_count, self.hub.subscription_count) == (0, 0)
        assert vars(self.hub) == vars(Hub())


HubAgainstModel.TestCase.settings = settings(
    database=None, deadline=None, max_examples=60, stateful_step_count=40
)
TestHub = HubAgainstModel.TestCase


def test_the_sets_are_live():
    hub: Hub[str] = Hub()
    hub.add("x", "t")
    those = hub.subscribers("t")
    hub.add("y", "t")
    assert those == {"x", "y"}
    assert hub.subscribers("t") is those
