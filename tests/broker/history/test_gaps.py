"""What users have missed between two of their sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.broker.world import Client, World, frames
from wampush.broker.history.gaps import GapReplays
from wampush.broker.history.rule import HistoryRule
from wampush.broker.history.visitors import MOST_SESSIONS
from wampush.broker.identity import Identity
from wampush.broker.publication import Audience, Position, Publication
from wampush.broker.topic_rules import TopicRule
from wampush.choices import SlowClient

ANN, BOB = Identity("ann"), Identity("bob")


def world(**options: Any) -> World:
    options = {"events": 100, "gap_replay": True, **options}
    return World(history=[("t*", HistoryRule(**options)), ("*", HistoryRule(events=10))])


def gaps(world: World) -> GapReplays:
    found = world.broker.gaps
    assert found is not None
    return found


def client(world: World, identity: Identity = ANN, *topics: str) -> Client:
    made = world.client(identity=identity, limit=1_000_000)
    for topic in topics or ("t",):
        world.broker.subscribe(made.subscriber, topic)
    world.end_turn()
    return made


def publish(
    world: World, *numbers: int, topic: str = "t", audience: Audience | None = None
) -> None:
    for number in numbers:
        publication = Publication(topic, b"%d" % number, audience or Audience())
        world.broker.publish(publication)
    world.end_turn()


def pong(world: World, client: Client) -> None:
    """The client answers a ping that is sent now."""
    gaps(world).on_pong(client.subscriber, gaps(world).mark(client.subscriber))


def lose(world: World, client: Client) -> None:
    world.clients.on_lost(client.subscriber)


def got(client: Client) -> list[Any]:
    return [json.loads(text)[2] for text in client.texts]


def test_a_new_session_gets_what_the_one_before_has_not_confirmed() -> None:
    node = world()
    one = client(node)
    publish(node, 1, 2)
    pong(node, one)
    publish(node, 3)
    lose(node, one)
    publish(node, 4)
    again = client(node)
    publish(node, 5)
    assert got(again) == [3, 4, 5]
    assert gaps(node).replayed == 1
    # Somebody else, and somebody without a user, begin as always.
    assert got(client(node, BOB)) == []
    assert got(client(node, Identity())) == []


def test_a_session_that_was_cut_off_and_seems_open_counts() -> None:
    node = world()
    one = client(node)
    publish(node, 1)
    pong(node, one)
    publish(node, 2, 3)
    assert got(client(node)) == [2, 3]


@pytest.mark.parametrize(
    ("policy", "in_one_turn"),
    [
        (SlowClient.CATCH_UP, False),
        (SlowClient.CATCH_UP, True),
        (SlowClient.DROP_NEWEST, False),
        (SlowClient.LATEST, False),
    ],
)
def test_a_pong_proves_nothing_about_events_that_were_not_queued_before_the_ping(
    policy: SlowClient, in_one_turn: bool
) -> None:
    node = World(
        history=[("t", HistoryRule(events=100, gap_replay=True))], rules=[TopicRule("*", policy)]
    )
    one = client(node)
    publish(node, 1)
    pong(node, one)
    one.outbox.limit = 200
    one.wire.room = 0
    publish(node, *range(10, 13))
    for number in range(13, 30):
        node.broker.publish(Publication("t", b"%d" % number))
        if not in_one_turn:
            node.end_turn()
    # The client has received all that was queued before the ping.
    mark = gaps(node).mark(one.subscriber)
    gaps(node).on_pong(one.subscriber, mark)
    seen = set(got_whole(one))
    lose(node, one)
    again = got(client(node))
    assert again == list(range(again[0], 30))
    assert 2 <= again[0] <= 29
    assert {*range(10, again[0])} <= seen


def got_whole(client: Client) -> list[Any]:
    """What has arrived, and what waits, of which none is lost on the way."""
    data = bytes(client.wire.received) + client.outbox.buffer + b"".join(client.outbox.chunks)
    return [json.loads(text)[2] for text in frames(data)[0] if text.startswith(b"[8,")]


def test_a_session_that_has_caught_up_is_confirmed_again() -> None:
    node = World(
        history=[("t", HistoryRule(events=100, gap_replay=True))],
        rules=[TopicRule("*", SlowClient.CATCH_UP)],
    )
    one = client(node)
    one.outbox.limit = 200
    one.wire.room = 0
    for number in range(30):
        publish(node, number)
    one.wire.room = None
    one.outbox.drain(10_000)
    node.end_turn()
    pong(node, one)
    lose(node, one)
    publish(node, 30)
    assert got(one) == list(range(30))
    assert got(client(node)) == [30]


def test_of_several_sessions_the_smallest_position_counts() -> None:
    node = world()
    tabs = [client(node) for _ in range(3)]
    for number, tab in enumerate(tabs):
        publish(node, number)
        pong(node, tab)
    for tab in reversed(tabs):
        lose(node, tab)
    assert got(client(node)) == [1, 2]
    assert got(client(node)) == [1, 2]


def test_after_the_grace_period_a_session_begins_anew() -> None:
    node = world()
    lose(node, client(node))
    publish(node, 1)
    node.clock.now += 99
    assert got(client(node)) == [1]
    node = world()
    lose(node, client(node))
    publish(node, 1)
    node.clock.now += 101
    assert got(client(node)) == []


def test_a_ping_proves_only_what_was_sent_before_it() -> None:
    node = world()
    one = client(node)
    publish(node, 1)
    mark = gaps(node).mark(one.subscriber)
    publish(node, 2)
    # The next ping has the same mark, and its answer proves no more.
    assert gaps(node).mark(one.subscriber) == mark
    gaps(node).on_pong(one.subscriber, b"none")
    assert got(client(node)) == [1, 2]
    gaps(node).on_pong(one.subscriber, mark)
    assert got(client(node)) == [1, 2]
    lose(node, one)
    node = world()
    one = client(node)
    publish(node, 1)
    mark = gaps(node).mark(one.subscriber)
    publish(node, 2)
    gaps(node).on_pong(one.subscriber, mark)
    assert gaps(node).mark(one.subscriber) != mark
    lose(node, one)
    assert got(client(node)) == [2]


def test_a_ping_proves_nothing_about_a_replay_that_follows_it() -> None:
    node = world()
    lose(node, client(node, ANN, "t"))
    publish(node, 1)
    again = client(node, ANN, "t2")
    mark = gaps(node).mark(again.subscriber)
    node.broker.unsubscribe(again.subscriber, "t")
    node.broker.subscribe(again.subscriber, "t")
    gaps(node).on_pong(again.subscriber, mark)
    lose(node, again)
    assert got(client(node)) == [1]


def test_a_topic_that_was_given_up_is_forgotten() -> None:
    node = world()
    one = client(node, ANN, "t", "t2")
    node.broker.unsubscribe(one.subscriber, "t")
    lose(node, one)
    publish(node, 1)
    publish(node, 2, topic="t2")
    assert got(client(node, ANN, "t")) == []
    assert got(client(node, ANN, "t2")) == [2]
    assert not gaps(node).is_tracking(one.subscriber)


def test_what_is_gone_is_replaced_by_what_new_subscribers_get() -> None:
    node = world(events=5, replay=2)
    lose(node, client(node))
    publish(node, *range(20))
    assert got(client(node)) == [18, 19]
    # Where one session's gap can be filled, it is.
    node = world(events=5, replay=2)
    publish(node, 0)
    slow, fast = client(node), client(node)
    publish(node, *range(1, 20))
    pong(node, fast)
    publish(node, 20, 21, 22, 23)
    lose(node, slow)
    lose(node, fast)
    assert got(client(node)) == [20, 21, 22, 23]


def test_values_that_were_not_confirmed_are_sent_again() -> None:
    node = world(last_by="id")
    first = Publication("t", b'{"id":1}')
    node.broker.publish(first)
    one = client(node)
    assert got(one) == [{"id": 1}]
    lose(node, one)
    node.broker.publish(Publication("t", b'{"id":2}'))
    again = client(node)
    assert got(again) == [{"id": 1}, {"id": 2}]
    pong(node, again)
    lose(node, again)
    node.broker.publish(Publication("t", b'{"id":1,"n":1}'))
    # One of the user's sessions may not have got the values, the other has missed an event.
    assert got(client(node)) == [{"id": 1, "n": 1}, {"id": 2}, {"id": 1, "n": 1}]


def test_events_for_others_are_not_shown() -> None:
    node = world()
    lose(node, client(node))
    publish(node, 1, audience=Audience(eligible=frozenset(["nobody"])))
    publish(node, 2)
    assert got(client(node)) == [2]


def test_a_session_that_becomes_another_user_begins_anew() -> None:
    node = world()
    one = client(node)
    publish(node, 1)
    one.become(BOB)
    publish(node, 2)
    lose(node, one)
    assert got(client(node, BOB)) == [2]
    assert got(client(node)) == [1, 2]


def test_a_session_that_asks_for_what_it_has_missed_is_where_it_says() -> None:
    node = world()
    publish(node, 1, 2, 3)
    now = node.history.position("t")
    assert now is not None
    asking = node.client(identity=ANN, limit=1_000_000)
    node.broker.subscribe_since(asking.subscriber, "t", Position(now.epoch, 1))
    lose(node, asking)
    assert got(client(node)) == [2, 3]


def test_nothing_is_kept_where_it_is_not_wanted() -> None:
    assert World(history=[("*", HistoryRule(events=10))]).broker.gaps is None
    node = world()
    other = client(node, ANN, "other")
    anonymous = client(node, Identity(), "t")
    silent = node.client(identity=ANN)
    silent.peer.answers_pings = False
    node.broker.subscribe(silent.subscriber, "t")
    for each in (other, anonymous, silent):
        assert not gaps(node).is_tracking(each.subscriber)
        assert gaps(node).mark(each.subscriber) == b""
        gaps(node).on_pong(each.subscriber, b"")
        lose(node, each)
    assert gaps(node)._kept.size == 0
    assert gaps(node).bytes_of("other") == 0


def browser(world: World, name: str, *topics: str) -> Client:
    """A session of a browser whose user is not known."""
    made = world.client(limit=1_000_000)
    made.peer.visitor = name
    for topic in topics or ("t",):
        world.broker.subscribe(made.subscriber, topic)
    world.end_turn()
    return made


def test_a_browser_without_a_user_gets_what_it_has_missed() -> None:
    node = world()
    one = browser(node, "ann")
    publish(node, 1)
    pong(node, one)
    publish(node, 2)
    lose(node, one)
    publish(node, 3)
    # A user of the same name is somebody else.
    assert got(client(node, ANN)) == []
    assert got(client(node, Identity())) == []
    two = browser(node, "ann")
    assert got(two) == [2, 3]
    # One that seems open counts.
    assert got(browser(node, "ann")) == [2, 3]
    assert two.subscriber.identity.user is None
    assert node.broker.users.user_count == 1


def test_a_browser_that_becomes_a_user_begins_anew_and_leaves_its_gap_behind() -> None:
    node = world()
    one = browser(node, "x")
    publish(node, 1)
    one.become(ANN)
    publish(node, 2)
    lose(node, one)
    assert got(client(node, ANN)) == [2]
    assert got(browser(node, "x")) == [1, 2]
    assert gaps(node).visitors.sessions("x")


def test_nothing_is_left_of_the_sessions_of_a_browser() -> None:
    node = world()
    one = browser(node, "x", "t", "t2")
    assert gaps(node).visitors.sessions("x") == {one.subscriber}
    for topic in ("t", "t2"):
        node.broker.unsubscribe(one.subscriber, topic)
    assert not gaps(node).visitors.sessions("x")
    lose(node, one)
    assert gaps(node).visitors.kept.size == 0
    for _ in range(MOST_SESSIONS + 1):
        last = browser(node, "x")
    assert not gaps(node).is_tracking(last.subscriber)
    assert len(gaps(node).visitors.sessions("x")) == MOST_SESSIONS


def test_browsers_of_one_address_push_out_their_own_positions_only() -> None:
    node = world()
    other = browser(node, "other")
    other.peer.address_name = "198.51.100.1"
    lose(node, other)
    size = gaps(node).visitors.kept.size
    for number in range(50):
        lose(node, browser(node, f"new {number}"))
    assert gaps(node).visitors.kept.size < 12 * size
    publish(node, 1)
    assert got(browser(node, "other")) == [1]
    assert got(browser(node, "new 0")) == []
    assert got(browser(node, "new 49")) == [1]


def test_values_come_before_missed_events_where_both_wait_for_room() -> None:
    node = world(last_by="id")
    first = client(node)
    for number in range(5):
        node.broker.publish(Publication("t", b'{"id":%d}' % number))
    lose(node, first)
    second = client(node)
    pong(node, second)
    lose(node, second)
    node.broker.publish(Publication("t", b'{"id":0,"n":1}'))
    again = node.client(identity=ANN, limit=200, room=0)
    node.fanout.reply(again.outbox, b"[3]")
    node.end_turn()
    node.broker.subscribe(again.subscriber, "t")
    # Nothing is proved as long as nothing is sent.
    mark = gaps(node).mark(again.subscriber)
    gaps(node).on_pong(again.subscriber, mark)
    again.wire.room = None
    again.outbox.drain(10_000)
    node.end_turn()
    events = got_events(again)
    state = {event["id"]: event.get("n", 0) for event in events}
    assert state == {0: 1, 1: 0, 2: 0, 3: 0, 4: 0}
    assert len(events) == 6


def got_events(client: Client) -> list[Any]:
    return [json.loads(text)[2] for text in client.texts if text.startswith(b"[8,")]


def test_memory_of_sessions_is_counted_and_released() -> None:
    node = world()
    one = client(node)
    with_gap = node.broker.memory.total
    assert with_gap >= gaps(node).bytes_of("t") > 0
    node.broker.unsubscribe(one.subscriber, "t")
    assert node.broker.memory.total == 0


class TabsThatAreCut(RuleBasedStateMachine):
    """Tabs of one user that are cut at any time and come back: none of them misses an event."""

    def __init__(self) -> None:
        super().__init__()
        self.node = world(events=10_000)
        self.number = 0
        #: Per tab: its session, the numbers that arrived, how much the connection has delivered.
        self.tabs: list[dict[str, Any]] = []

    def _connect(self, tab: dict[str, Any]) -> None:
        tab["client"] = client(self.node)

    @precondition(lambda self: len(self.tabs) < 3)
    @rule()
    def open(self) -> None:
        tab: dict[str, Any] = {"seen": [], "from": self.number, "marks": []}
        self._connect(tab)
        self.tabs.append(tab)

    @rule(count=st.integers(1, 3))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            publish(self.node, self.number)

    @precondition(lambda self: self.tabs)
    @rule(data=st.data(), is_answered=st.booleans())
    def ping(self, data: st.DataObject, is_answered: bool) -> None:
        tab = data.draw(st.sampled_from(self.tabs))
        pinged = tab["client"]
        mark = gaps(self.node).mark(pinged.subscriber)
        tab["marks"].append((mark, len(got(pinged))))
        if is_answered:
            self._answer(tab)

    def _answer(self, tab: dict[str, Any]) -> None:
        mark, size = tab["marks"].pop()
        tab["marks"].clear()
        tab["arrived"] = max(tab.get("arrived", 0), size)
        gaps(self.node).on_pong(tab["client"].subscriber, mark)

    @precondition(lambda self: self.tabs)
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        tab = data.draw(st.sampled_from(self.tabs))
        events = got(tab["client"])
        # Everything up to the newest answered ping has arrived, and perhaps some more.
        arrived = data.draw(st.integers(tab.get("arrived", 0), len(events)))
        tab["seen"] += events[:arrived]
        is_noticed = data.draw(st.booleans())
        before = tab["client"]
        if is_noticed:
            lose(self.node, before)
        tab["arrived"], tab["marks"] = 0, []
        self._connect(tab)
        if not is_noticed:
            lose(self.node, before)

    @invariant()
    def nothing_is_missed(self) -> None:
        for tab in self.tabs:
            seen = {*tab["seen"], *got(tab["client"])}
            assert seen >= set(range(tab["from"] + 1, self.number + 1))


TabsThatAreCut.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestTabsThatAreCut = TabsThatAreCut.TestCase


def test_what_has_been_received_goes_on_in_another_process() -> None:
    node, other = world(), world()
    one, gone = client(node), client(node, BOB)
    publish(node, 1, 2)
    pong(node, one)
    lose(node, gone)
    publish(node, 3)
    mark = gaps(node).mark(one.subscriber)
    state = gaps(node).snapshot(one.subscriber)
    assert state is not None
    assert state.confirmed["t"][1] == 2
    for number in range(1, 4):
        other.broker.publish(Publication("t", b"%d" % number))
    moved = other.client(identity=ANN, limit=1_000_000).subscriber
    other.broker.subscriptions.add(moved, "t")
    gaps(other).restore(moved, state)
    gaps(other).restore_kept(gaps(node).snapshot_kept())
    assert gaps(other).visitors.key == gaps(node).visitors.key
    assert gaps(other).is_tracking(moved)
    # The ping was sent by the other process, and answered here.
    gaps(other).on_pong(moved, mark)
    after = gaps(other).snapshot(moved)
    assert after is not None
    assert after.confirmed["t"][1] == 3
    assert after.marked is None
    nobody = other.client().subscriber
    gaps(other).restore(nobody, state)
    assert gaps(other).snapshot(nobody) is None
