"""Who is online and who is on a topic, as sessions come and go and time passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.broker.presence.presence_world import (
    CLIENTS,
    GRACE,
    ONLINE,
    PresenceWorld,
    changes,
    person,
    twice,
)
from tests.broker.world import Client
from wampush.broker.presence.changes import BATCH_CHARACTERS, BATCH_USERS, SINGLY
from wampush.broker.presence.delay_queue import SLICE
from wampush.broker.presence.presence import PresenceView
from wampush.broker.topic_rules import TopicRule
from wampush.choices import Action, SlowClient
from wampush.config.tables.permissions import PermissionSettings

ROOM = "room.1"


@pytest.fixture
def world():
    return PresenceWorld()


# Users online.


def test_going_to_another_page_does_not_blink(world):
    watcher = world.join(None, ONLINE, CLIENTS)
    tab = world.join("7")
    world.wait(1)
    world.events(watcher)
    world.lose(tab)
    assert world.presence.is_online("7")
    world.wait(GRACE - 0.1)
    world.join("7")
    world.wait(10)
    assert world.events(watcher) == [(CLIENTS, 1), (CLIENTS, 2)]
    assert world.presence.is_online("7")


def test_a_user_who_does_not_come_back_is_offline_after_the_grace_period(world):
    watcher = world.join(None, ONLINE)
    tab = world.join("7")
    world.wait(1)
    world.events(watcher)
    world.lose(tab)
    world.wait(GRACE - 0.01)
    assert world.events(watcher) == []
    world.wait(0.02)
    assert world.events(watcher) == [(ONLINE, 0)]
    assert not world.presence.is_online("7")
    assert world.clock.pending == []


def test_each_loss_starts_a_grace_period_of_its_own(world):
    first = world.join("7")
    world.lose(first)
    world.wait(1.5)
    world.lose(world.join("7"))
    world.wait(1.5)
    assert world.presence.num_online == 1
    world.wait(0.6)
    assert world.presence.num_online == 0


def test_automatic_subscriptions_get_values_too():
    world = PresenceWorld(auto_subscribe=[ONLINE, ROOM])
    client = world.join("7")
    world.wait(1)
    assert world.events(client) == [(ONLINE, 1)]
    assert world.presence.users(ROOM) == {"7": 1}


# Joins and leaves.


def test_a_join_and_a_leave(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("7", ROOM)
    assert world.events(watcher) == [(changes(ROOM), {"event": "join", "user": "7", "topic": ROOM})]
    world.wait(1)
    world.say(tab, [6, ROOM])
    assert world.events(watcher) == [
        (changes(ROOM), {"event": "leave", "user": "7", "topic": ROOM})
    ]


def test_a_watcher_that_joins_is_announced_to_itself(world):
    client = world.join("7", changes(ROOM), ROOM)
    assert world.announced(client) == ["+7"]


def test_two_tabs_join_once_and_leave_once(world):
    watcher = world.join(None, changes(ROOM))
    tabs = [world.join("7", ROOM), world.join("7", ROOM)]
    world.wait(1)
    world.say(tabs[0], [6, ROOM])
    world.wait(1)
    assert world.announced(watcher) == ["+7"]
    world.say(tabs[1], [6, ROOM])
    assert world.announced(watcher) == ["-7"]


def test_subscribing_twice_is_the_same_as_once(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("7", ROOM, ROOM)
    assert world.listed(tab, ROOM) == {"7": 1}
    world.say(tab, [6, ROOM], [6, ROOM], [6, ROOM])
    world.wait(1)
    assert world.announced(watcher) == ["+7", "-7"]
    assert world.listed(tab, ROOM) == {}


def test_a_reload_within_the_grace_period_is_not_a_leave(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("7", ROOM)
    for _ in range(3):
        world.lose(tab)
        world.wait(GRACE - 0.1)
        tab = world.join("7", ROOM)
    world.wait(10)
    assert world.announced(watcher) == ["+7"]


def test_a_leave_follows_the_grace_period(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("7", ROOM)
    world.wait(1)
    world.events(watcher)
    world.lose(tab)
    world.wait(GRACE - 0.01)
    assert world.announced(watcher) == []
    assert world.listed(watcher, ROOM) == {"7": 0}
    world.wait(0.02)
    assert world.announced(watcher) == ["-7"]
    assert world.listed(watcher, ROOM) == {}


def test_a_user_who_comes_back_without_the_topic_has_left_it(world):
    watcher = world.join(None, changes(ROOM))
    world.lose(world.join("7", ROOM))
    world.join("7")
    world.wait(GRACE + 0.1)
    assert world.announced(watcher) == ["+7", "-7"]
    assert world.presence.num_online == 1


def test_one_tab_lost_and_the_other_unsubscribed_is_a_leave_at_once(world):
    watcher = world.join(None, changes(ROOM))
    lost, other = world.join("7", ROOM), world.join("7", ROOM)
    world.wait(1)
    world.lose(lost)
    world.say(other, [6, ROOM])
    assert world.announced(watcher) == ["+7", "-7"]


def test_without_a_grace_period_a_loss_is_a_leave():
    world = PresenceWorld(grace=0)
    watcher = world.join(None, changes(ROOM), ONLINE)
    world.events(watcher)
    tab = world.join("7", ROOM)
    world.wait(1)
    world.lose(tab)
    world.wait(0)
    assert world.events(watcher) == [
        (ONLINE, 1),
        (changes(ROOM), {"event": "join", "user": "7", "topic": ROOM}),
        (ONLINE, 0),
        (changes(ROOM), {"event": "leave", "user": "7", "topic": ROOM}),
    ]


def test_anonymous_sessions_are_counted_and_not_announced(world):
    watcher = world.join(None, changes(ROOM))
    tabs = [world.join(None, ROOM) for _ in range(3)]
    world.join("7", ROOM)
    answer = world.call(watcher, "wampush.presence.list", ROOM)
    assert answer == {
        "topic": ROOM,
        "users": [{"user": "7", "connections": 1}],
        "num_users": 1,
        "anonymous": 3,
        "truncated": False,
    }
    world.lose(*tabs)
    assert world.call(watcher, "wampush.presence.list", ROOM)["anonymous"] == 0
    world.wait(10)
    assert world.announced(watcher) == []


@pytest.mark.parametrize("topic", ["news", "room.quiet", "wampush.presence.changes.room.1"])
def test_topics_without_presence_keep_nothing(world, topic):
    client = world.join("7", topic)
    assert world.presence._members == {}
    world.lose(client)
    world.wait(GRACE)
    assert world.presence.num_online == 0


def test_presence_of_everything_is_not_that_of_its_own_topics():
    world = PresenceWorld(rules=[TopicRule("*", SlowClient.DISCONNECT, presence=True)])
    client = world.join("7", "a", changes("a"), ONLINE, changes(ONLINE), changes(changes("a")))
    assert world.subscriptions.topics(client.subscriber) == {"a", changes("a"), ONLINE}
    assert world.ledger.refusals() == {"presence-off": 2}
    assert set(world.presence._members) == {"a"}


def test_without_a_rule_there_is_no_presence():
    world = PresenceWorld(rules=())
    world.join("7", ROOM)
    assert world.presence._members == {}
    # Application code may ask all the same.
    assert world.presence.users(ROOM) == {"7": 1}


# Becoming somebody else.


def test_a_login_in_an_open_session(world):
    watcher = world.join(None, changes(ROOM), ONLINE)
    tab = world.join(None, ROOM)
    world.events(watcher)
    world.become(tab, "7")
    assert world.events(watcher) == [
        (ONLINE, 1),
        (changes(ROOM), {"event": "join", "user": "7", "topic": ROOM}),
    ]
    world.wait(1)
    world.become(tab, None)
    assert world.events(watcher) == [
        (changes(ROOM), {"event": "leave", "user": "7", "topic": ROOM}),
        (ONLINE, 0),
    ]
    assert world.call(watcher, "wampush.presence.list", ROOM)["anonymous"] == 1


def test_a_fresh_proof_of_the_same_user_changes_nothing(world):
    watcher = world.join(None, changes(ROOM), ONLINE)
    tab = world.join("7", ROOM)
    world.wait(1)
    world.events(watcher)
    before = tab.subscriber.identity
    tab.become(replace(before, groups=frozenset({"staff"}), expires=5.0))
    world.wait(10)
    assert world.events(watcher) == []
    assert world.listed(watcher, ROOM) == {"7": 1}


def test_a_login_where_no_topic_has_presence():
    world = PresenceWorld(rules=())
    watcher = world.join(None, ONLINE)
    tab = world.join(None, ROOM)
    world.become(tab, "7")
    world.wait(1)
    assert world.events(watcher) == [(ONLINE, 0), (ONLINE, 1)]


def test_becoming_another_user_is_a_leave_and_a_join(world):
    watcher = world.join(None, changes(ROOM))
    tab, other = world.join("7", ROOM), world.join("8", ROOM)
    world.wait(1)
    world.events(watcher)
    world.become(tab, "9")
    world.wait(1)
    assert world.announced(watcher) == ["-7", "+9"]
    world.become(other, "9")
    world.wait(1)
    assert world.announced(watcher) == ["-8"]
    assert world.listed(watcher, ROOM) == {"9": 2}
    assert world.presence.num_online == 1


def test_a_login_within_the_grace_period_is_a_return(world):
    watcher = world.join(None, ONLINE)
    world.lose(world.join("7"))
    world.wait(1)
    tab = world.join(None)
    world.become(tab, "7")
    world.wait(10)
    assert world.events(watcher) == [(ONLINE, 0), (ONLINE, 1)]


def test_a_topic_that_the_new_user_may_not_have_is_not_joined():
    rules = [PermissionSettings("room.1", (Action.SUBSCRIBE,), ("user:8",), allow=False)]
    world = PresenceWorld(permissions=rules)
    watcher = world.join(None, changes(ROOM), changes("room.2"))
    tab = world.join("7", ROOM, "room.2", changes(ROOM))
    world.wait(1)
    world.events(watcher)
    world.become(tab, "8")
    world.wait(1)
    assert sorted(world.announced(watcher)) == ["+8", "-7", "-7"]
    assert world.presence.users(ROOM) == {}
    assert world.subscriptions.topics(tab.subscriber) == {"room.2"}
    world.lose(tab)
    world.wait(GRACE)
    assert world.presence._members == {}


def test_automatic_topics_are_exchanged_without_phantoms():
    world = PresenceWorld(auto_subscribe=["room.{user}"])
    watcher = world.join(None, changes("room.7"), changes("room.8"))
    tab = world.join("7")
    world.wait(1)
    world.become(tab, "8")
    world.wait(1)
    assert world.announced(watcher) == ["+7", "-7", "+8"]
    world.lose(tab)
    world.wait(GRACE + 1)
    assert world.announced(watcher) == ["-8"]


def test_a_session_whose_new_identity_is_refused_is_lost_as_who_it_was(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("7", ROOM)
    # The connection refuses, because that user has too many; the indexes never hear of it.
    tab.subscriber.identity = person("8")
    world.lose(tab)
    world.wait(GRACE + 1)
    assert world.announced(watcher) == ["+7", "-7"]
    assert world.presence.num_online == 0
    assert world.presence._members == {}


# Many.


def disconnect_many(world: PresenceWorld, count: int, user: Callable[[int], str]) -> Client:
    """A watcher of everything, while so many sessions come and are lost at once."""
    watcher = world.join(None, changes(ROOM), ONLINE, CLIENTS)
    tabs = [world.join(user(number), ROOM) for number in range(count)]
    world.wait(60)
    world.events(watcher)
    world.lose(*tabs)
    return watcher


@pytest.mark.unwatched
def test_ten_thousand_sessions_lost_at_once_cause_few_events(world):
    watcher = disconnect_many(world, 10_000, str)
    assert len(world.clock.pending) <= 2
    world.wait(60)
    events = world.events(watcher)
    by_topic = {
        topic: [value for where, value in events if where == topic]
        for topic in (CLIENTS, ONLINE, changes(ROOM))
    }
    assert by_topic[CLIENTS] == [10_000, 1]
    assert by_topic[ONLINE][-1] == 0
    assert len(by_topic[ONLINE]) == 2
    published = by_topic[changes(ROOM)]
    assert [each["event"] for each in published] == ["leave", *["many"] * 10]
    left = [published[0]["user"], *(user for each in published[1:] for user in each["left"])]
    assert sorted(left, key=int) == [str(number) for number in range(10_000)]
    assert world.clock.pending == []
    assert world.presence._members == world.presence._changes == {}


@pytest.mark.unwatched
def test_the_work_of_one_round_is_bounded(world):
    disconnect_many(world, 3 * SLICE, str)
    ended: list[int] = []
    while world.presence.num_online:
        before = world.presence.num_online
        world.clock.advance(min(timer.time for timer in world.clock.pending) - world.clock.now)
        ended.append(before - world.presence.num_online)
    # Each session waits as a user of the node and as one of the topic.
    assert max(ended) <= SLICE
    assert len([each for each in ended if each]) >= 3


@pytest.mark.unwatched
def test_ten_thousand_tabs_of_one_user(world):
    watcher = world.join(None, changes(ROOM), ONLINE, CLIENTS)
    tabs = [world.join("7", ROOM) for _ in range(10_000)]
    world.wait(10)
    assert world.listed(watcher, ROOM) == {"7": 10_000}
    assert (world.presence.num_online, world.presence.num_clients) == (1, 10_001)
    world.lose(*tabs[1:])
    world.wait(10)
    assert world.listed(watcher, ROOM) == {"7": 1}
    world.events(watcher)
    world.lose(tabs[0])
    world.wait(10)
    assert [value for topic, value in world.events(watcher) if topic == changes(ROOM)] == [
        {"event": "leave", "user": "7", "topic": ROOM}
    ]


def test_a_few_changes_are_published_one_by_one_and_more_in_one_event(world):
    watcher = world.join(None, changes(ROOM))
    for count in (SINGLY, SINGLY + 1):
        world.wait(10)
        world.events(watcher)
        world.join("first", ROOM)
        tabs = [world.join(str(number), ROOM) for number in range(count)]
        world.wait(1)
        kinds = [value["event"] for _, value in world.events(watcher)]
        assert kinds == ["join", *(["join"] * count if count == SINGLY else ["many"])]
        world.say(tabs[0], [6, ROOM])
        for client in list(world.broker.sessions.values()):
            if client is not watcher.subscriber:
                world.clients.on_lost(client)


def test_one_event_stays_small_whatever_the_ids_are(world):
    watcher = world.join(None, changes(ROOM))
    world.join("first", ROOM)
    longest = BATCH_CHARACTERS // 2
    for number in range(SINGLY + 1):
        world.join(f"{number:0{longest}}", ROOM)
    world.wait(10)
    sizes = [len(value["joined"]) for _, value in world.events(watcher)[1:] if "joined" in value]
    assert sizes == [2]
    assert len(world.announced(watcher)) == 0
    assert BATCH_USERS > 2


def test_leaving_and_coming_back_within_an_interval_is_not_published(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("7", ROOM)
    world.join("8", ROOM)
    for _ in range(5):
        world.say(tab, [6, ROOM], [5, ROOM])
    world.wait(1)
    assert world.announced(watcher) == ["+7", "+8"]


def test_flapping_is_published_five_times_a_second_at_most(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("7")
    for number in range(1000):
        world.say(tab, [6 if number % 2 else 5, ROOM])
        world.wait(0.009)
    world.wait(1)
    published = world.announced(watcher)
    assert len(published) <= 5 * 11
    assert all(first[0] != second[0] for first, second in pairwise(published))
    assert world.presence._changes == {}


def test_the_list_and_the_events_fit_together(world):
    """A client that subscribes, then asks, then follows the events, misses nobody."""
    first = world.join(None, changes(ROOM))
    world.join("1", ROOM)
    fleeting = world.join("2", ROOM)
    late = world.join(None, changes(ROOM))
    known = set(world.listed(late, ROOM))
    world.say(fleeting, [6, ROOM])
    world.wait(1)
    for word in world.announced(late):
        known.add(word[1:]) if word[0] == "+" else known.discard(word[1:])
    assert known == {"1"}
    assert twice(world.announced(first)) == []


def test_a_leave_that_is_not_published_yet_is_listed_as_before(world):
    watcher = world.join(None, changes(ROOM))
    tab = world.join("1", ROOM)
    world.say(tab, [6, ROOM])
    assert world.announced(watcher) == ["+1"]
    assert world.listed(watcher, ROOM) == {"1": 0}
    world.wait(1)
    assert world.listed(watcher, ROOM) == {}


def test_changes_without_watchers_are_not_kept(world):
    watcher = world.join(None, changes(ROOM))
    world.join("1", ROOM)
    world.join("2", ROOM)
    world.lose(watcher)
    world.join("3", ROOM)
    world.wait(1)
    assert world.presence._changes == {}
    late = world.join(None, changes(ROOM))
    world.wait(1)
    assert world.announced(late) == []
    assert world.listed(late, ROOM) == {"1": 1, "2": 1, "3": 1}


# The end.


def test_after_the_end_nothing_is_published_and_no_timer_is_left(world):
    watcher = world.join(None, changes(ROOM), ONLINE, CLIENTS)
    tabs = [world.join(str(number), ROOM) for number in range(20)]
    world.lose(tabs.pop())
    world.events(watcher)
    assert world.clock.pending
    world.presence.stop()
    assert world.clock.pending == []
    world.lose(*tabs)
    world.wait(10)
    assert world.events(watcher) == []
    world.lose(watcher)
    assert world.clock.pending == []


def test_application_code_reads_presence(world):
    view: PresenceView = world.presence
    tabs = [world.join("7", "news", ROOM), world.join("7", "news"), world.join(None, "news")]
    world.join("8", ROOM)
    assert (view.num_online, view.num_clients) == (2, 4)
    assert view.users("news") == {"7": 2}
    assert view.users(ROOM) == {"7": 1, "8": 1}
    assert view.users("nobody") == view.users("room.empty") == {}
    world.lose(tabs[0])
    assert view.users(ROOM) == {"7": 0, "8": 1}
    assert view.users("news") == {"7": 1}
    assert view.is_online("7")
    assert not view.is_online("9")


# Another process.


def test_a_process_that_takes_over_announces_nobody_and_forgets_nobody(world):
    other = PresenceWorld()
    watcher = world.join(None, changes(ROOM))
    world.join(None, ONLINE, CLIENTS)
    moved, staying, leaving = (world.join(user, ROOM) for user in ("7", "8", "9"))
    world.wait(1)
    world.lose(leaving)
    world.join("10", ROOM)
    world.presence.publish_pending()
    assert world.announced(watcher)[-1] == "+10"
    sessions = {moved.subscriber, watcher.subscriber}
    state = world.presence.snapshot(lambda each: each in sessions)
    assert set(state.absent) == {"8", "9", "10"}
    assert set(state.members[ROOM]) == {"8", "9", "10"}
    other.presence.hold()
    seen, numbers = other.join(None, changes(ROOM)), other.join(None, ONLINE)
    other.wait(1)
    here = other.join("7")
    other.subscriptions.add(here.subscriber, ROOM)
    other.presence.take(here.subscriber)
    other.lose(other.join(None))
    other.wait(1)
    assert other.events(seen) == []
    other.events(numbers)
    other.presence.resume(state)
    assert other.presence.users(ROOM) == {"7": 1, "8": 0, "9": 0, "10": 0}
    assert other.presence.num_online == 4
    other.join("8", ROOM)
    other.wait(GRACE + 1)
    assert other.presence.users(ROOM) == {"7": 1, "8": 1}
    assert set(other.announced(seen)) == {"-9", "-10"}
    assert other.events(numbers)[-1] == (ONLINE, other.presence.num_online)
    assert staying.subscriber not in sessions
