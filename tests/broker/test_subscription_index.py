"""The subscriptions against a plain dict of sets."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wampush.broker.subscription_index import NO_TOPICS, SubscriptionIndex


class Client:
    """A subscriber."""

    def __init__(self) -> None:
        self.topics: frozenset[str] | set[str] = NO_TOPICS


subscribers = st.integers(0, 5)
#: More than subscribers share sets of.
TOPICS = ("", "a", "b", "c", "constructor", *(f"topic {number}" for number in range(8)))
topics = st.sampled_from(TOPICS)


class HubAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.subscriptions: SubscriptionIndex[Client] = SubscriptionIndex()
        self.clients = [Client() for _ in range(6)]
        self.model: dict[str, set[Client]] = {}

    @rule(subscriber=subscribers, topic=topics)
    def add(self, subscriber, topic):
        subscriber = self.clients[subscriber]
        first = not self.model.get(topic)
        assert self.subscriptions.add(subscriber, topic) is first
        self.model.setdefault(topic, set()).add(subscriber)

    @rule(subscriber=subscribers, topic=topics)
    def discard(self, subscriber, topic):
        subscriber = self.clients[subscriber]
        last = self.model.get(topic) == {subscriber}
        assert self.subscriptions.discard(subscriber, topic) is last
        self.model.get(topic, set()).discard(subscriber)

    @rule(subscriber=subscribers)
    def drop(self, subscriber):
        subscriber = self.clients[subscriber]
        last = {topic for topic, those in self.model.items() if those == {subscriber}}
        dropped = self.subscriptions.remove(subscriber)
        assert len(dropped) == len(set(dropped))
        assert set(dropped) == last
        for those in self.model.values():
            those.discard(subscriber)

    @rule(subscriber=subscribers)
    def add_many(self, subscriber):
        for topic in TOPICS:
            self.add(subscriber, topic)

    @invariant()
    def they_agree(self):
        live = {topic: those for topic, those in self.model.items() if those}
        assert self.subscriptions.topic_count == len(live)
        assert self.subscriptions.subscription_count == sum(map(len, live.values()))
        for topic in (*TOPICS, "never"):
            assert self.subscriptions.subscribers(topic) == live.get(topic, set())
            assert set(self.subscriptions.find(topic) or ()) == live.get(topic, set())
        for subscriber in self.clients:
            mine = {topic for topic, those in live.items() if subscriber in those}
            assert self.subscriptions.topics(subscriber) == mine

    def teardown(self):
        for subscriber in self.clients:
            self.subscriptions.remove(subscriber)
        assert (self.subscriptions.topic_count, self.subscriptions.subscription_count) == (0, 0)
        # A method of a dictionary equals only itself.
        left = {name: each for name, each in vars(self.subscriptions).items() if name != "find"}
        assert left.items() < vars(SubscriptionIndex()).items()


HubAgainstModel.TestCase.settings = settings(
    database=None, deadline=None, max_examples=60, stateful_step_count=40
)
TestHub = HubAgainstModel.TestCase


def test_the_subscribers_are_live_and_in_the_order_of_their_subscriptions():
    subscriptions: SubscriptionIndex[Client] = SubscriptionIndex()
    clients = [Client() for _ in range(20)]
    subscriptions.add(clients[0], "t")
    those, found = subscriptions.subscribers("t"), subscriptions.find("t")
    for client in clients[1:]:
        subscriptions.add(client, "t")
    assert list(those) == clients
    # Publications in a row for the same receivers are recognised by this.
    assert subscriptions.find("t") is found


def test_subscribers_with_the_same_few_topics_share_a_set():
    subscriptions: SubscriptionIndex[Client] = SubscriptionIndex()
    first, second = Client(), Client()
    for subscriber in (first, second):
        for topic in ("news", "chat"):
            subscriptions.add(subscriber, topic)
    assert subscriptions.topics(first) is subscriptions.topics(second)
    subscriptions.discard(first, "news")
    assert subscriptions.topics(first) == {"chat"}
    assert subscriptions.topics(second) == {"news", "chat"}


def test_a_set_of_many_topics_is_not_copied_for_each():
    subscriptions: SubscriptionIndex[Client] = SubscriptionIndex()
    first = Client()
    for number in range(9):
        subscriptions.add(first, str(number))
    those = subscriptions.topics(first)
    subscriptions.add(first, "another")
    subscriptions.discard(first, "0")
    assert subscriptions.topics(first) is those
    assert those == {*map(str, range(1, 9)), "another"}


def test_what_is_counted_and_what_ends_with_a_subscriber():
    subscriptions: SubscriptionIndex[Client] = SubscriptionIndex()
    first, second = Client(), Client()
    for subscriber, topic in ((first, "news"), (first, "chat"), (second, "news")):
        subscriptions.add(subscriber, topic)
    assert (subscriptions.topic_count, subscriptions.subscription_count) == (2, 3)
    assert list(subscriptions.occupied_topics) == ["news", "chat"]
    assert not subscriptions.discard(second, "chat")
    assert subscriptions.discard(first, "chat")
    assert subscriptions.remove(first) == []
    assert subscriptions.discard(second, "news")
    assert subscriptions.topics(first) == subscriptions.topics(second) == NO_TOPICS
    assert subscriptions.topic_count == 0
