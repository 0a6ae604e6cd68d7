"""The numbers that sessions subscribe to, in a whole broker."""

from __future__ import annotations

import pytest

from tests.broker.presence.presence_world import CLIENTS, ONLINE, PresenceWorld
from wampush.broker.presence.presence import INTERVAL
from wampush.broker.presence.publisher import EVENTS_PER_SECOND


@pytest.fixture
def world():
    return PresenceWorld()


def test_a_subscriber_gets_the_value_at_once(world):
    world.join("7")
    client = world.join(None)
    world.say(client, [5, CLIENTS], [5, ONLINE])
    assert world.events(client) == [(CLIENTS, 2), (ONLINE, 1)]


def test_the_value_comes_after_earlier_messages_to_the_session(world):
    client = world.join(None)
    world.says(client, '[2,"1","wampush.presence.counts"]')
    world.says(client, f'[5,"{CLIENTS}"]')
    world.says(client, '[2,"2","wampush.presence.counts"]')
    world.end_turn()
    assert [text[:3] for text in client.texts] == [b"[3,", b"[8,", b"[3,"]


def test_each_subscribe_gets_the_value_again(world):
    client = world.join(None, CLIENTS)
    world.events(client)
    world.say(client, [5, CLIENTS])
    assert world.events(client) == [(CLIENTS, 1)]


def test_two_tabs_of_a_user_count_once_and_twice(world):
    first = world.join("7", ONLINE, CLIENTS)
    world.join("7")
    world.wait(1)
    assert world.events(first) == [(ONLINE, 1), (CLIENTS, 1), (CLIENTS, 2)]
    assert (world.presence.num_online, world.presence.num_clients) == (1, 2)


def test_anonymous_sessions_are_not_users(world):
    client = world.join(None, ONLINE, CLIENTS)
    world.join(None)
    assert world.events(client) == [(ONLINE, 0), (CLIENTS, 1), (CLIENTS, 2)]


def test_a_change_is_published_at_once_and_those_after_it_together(world):
    client = world.join(None, CLIENTS)
    world.wait(1)
    world.events(client)
    for _ in range(10):
        world.join(None)
    assert world.events(client) == [(CLIENTS, 2)]
    assert len(world.clock.pending) == 1
    world.wait(INTERVAL - 0.01)
    assert world.events(client) == []
    world.wait(0.02)
    assert world.events(client) == [(CLIENTS, 11)]
    assert world.clock.pending == []


def test_an_event_at_most_five_times_a_second(world):
    client = world.join(None, CLIENTS)
    world.events(client)
    for _ in range(1000):
        world.join(None)
        world.wait(0.01)
    world.wait(1)
    got = world.events(client)
    assert 40 <= len(got) <= 51
    assert got[-1] == (CLIENTS, 1001)


@pytest.mark.unwatched
def test_many_receivers_get_fewer_events(world):
    receivers = EVENTS_PER_SECOND // 2
    client, *_ = [world.join(None, CLIENTS) for _ in range(receivers)]
    world.wait(1)
    world.events(client)
    for _ in range(100):
        world.join(None)
        world.wait(0.05)
    world.wait(1)
    got = world.events(client)
    assert got[-1] == (CLIENTS, receivers + 100)
    # They all get an event twice a second instead of five times, for five seconds.
    assert 9 <= len(got) <= 13
    assert world.clock.pending == []


def test_a_value_that_returns_within_the_interval_is_not_published(world):
    client = world.join(None, CLIENTS)
    world.wait(1)
    world.events(client)
    world.join(None)
    other = world.join(None)
    world.lose(other)
    world.wait(1)
    assert world.events(client) == [(CLIENTS, 2)]
    assert world.clock.pending == []


def test_a_subscriber_in_between_is_not_left_with_an_old_value(world):
    first = world.join(None, CLIENTS)
    world.wait(1)
    world.join(None)
    fleeting = world.join(None)
    late = world.join(None, CLIENTS)
    world.lose(fleeting)
    world.wait(1)
    assert world.events(first)[-1] == (CLIENTS, 3)
    assert world.events(late) == [(CLIENTS, 4), (CLIENTS, 3)]


def test_without_a_subscriber_there_is_no_event_and_no_timer(world):
    for _ in range(100):
        world.lose(world.join(None, "news"))
    assert world.clock.pending == []
    assert world.encoded == [each for each in world.encoded if each[0].startswith(b"[0,")]


def test_a_value_may_change_unseen(world):
    client = world.join(None, CLIENTS)
    world.say(client, [6, CLIENTS])
    world.join(None)
    world.say(client, [5, CLIENTS])
    world.wait(1)
    assert world.events(client) == [(CLIENTS, 1), (CLIENTS, 2)]
