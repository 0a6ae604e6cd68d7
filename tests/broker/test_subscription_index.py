"""The subscriptions against a plain dict of sets."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wampush.broker.subscription_index import SubscriptionIndex

subscribers = st.integers(0, 5)
topics = st.sampled_from(["", "a", "b", "c", "constructor"])


class HubAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.subscriptions: SubscriptionIndex[int] = SubscriptionIndex()
        self.model: dict[str, set[int]] = {}

    @rule(subscriber=subscribers, topic=topics)
    def add(self, subscriber, topic):
        first = not self.model.get(topic)
        assert self.subscriptions.add(subscriber, topic) is first
        self.model.setdefault(topic, set()).add(subscriber)

    @rule(subscriber=subscribers, topic=topics)
    def discard(self, subscriber, topic):
        last = self.model.get(topic) == {subscriber}
        assert self.subscriptions.discard(subscriber, topic) is last
        self.model.get(topic, set()).discard(subscriber)

    @rule(subscriber=subscribers)
    def drop(self, subscriber):
        last = {topic for topic, those in self.model.items() if those == {subscriber}}
        dropped = self.subscriptions.remove(subscriber)
        assert len(dropped) == len(set(dropped))
        assert set(dropped) == last
        for those in self.model.values():
            those.discard(subscriber)

    @invariant()
    def they_agree(self):
        live = {topic: those for topic, those in self.model.items() if those}
        assert self.subscriptions.topic_count == len(live)
        assert self.subscriptions.subscription_count == sum(map(len, live.values()))
        for topic in ("", "a", "b", "c", "constructor", "never"):
            assert self.subscriptions.subscribers(topic) == live.get(topic, set())
        for subscriber in range(6):
            mine = {topic for topic, those in live.items() if subscriber in those}
            assert self.subscriptions.topics(subscriber) == mine

    def teardown(self):
        for subscriber in range(6):
            self.subscriptions.remove(subscriber)
        assert (self.subscriptions.topic_count, self.subscriptions.subscription_count) == (0, 0)
        assert vars(self.subscriptions) == vars(SubscriptionIndex())


HubAgainstModel.TestCase.settings = settings(
    database=None, deadline=None, max_examples=60, stateful_step_count=40
)
TestHub = HubAgainstModel.TestCase


def test_the_sets_are_live():
    subscriptions: SubscriptionIndex[str] = SubscriptionIndex()
    subscriptions.add("x", "t")
    those = subscriptions.subscribers("t")
    subscriptions.add("y", "t")
    assert those == {"x", "y"}
    assert subscriptions.subscribers("t") is those
