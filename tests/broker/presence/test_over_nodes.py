"""Users online and on topics, over several nodes."""

from __future__ import annotations

import pytest

from tests.broker.nodes.node_world import GRACE, Installation, TestNode
from tests.broker.presence.presence_world import CLIENTS, ONLINE, changes, person
from wampush.broker.nodes import notices
from wampush.broker.nodes.notices import Notices
from wampush.broker.nodes.snapshots import SNAPSHOT_SECONDS

ROOM = "room.1"


@pytest.fixture
def world() -> Installation:
    return Installation()


def test_users_and_sessions_count_over_all_nodes(world: Installation) -> None:
    a, b = world.nodes
    a.join("7")
    a.join("8")
    b.join("7")
    b.join(None)
    world.wait(1)
    for node in world.nodes:
        assert node.presence.num_online == 2
        assert node.presence.num_clients == 4
        assert node.presence.is_online("8")
        assert not node.presence.is_online("9")
        watcher = node.join(None)
        assert node.call(watcher, "wampush.presence.counts") == {
            "num_online": 2,
            "num_clients": node.presence.num_clients,
        }


def test_subscribers_of_the_counters_learn_of_other_nodes(world: Installation) -> None:
    a, b = world.nodes
    watcher = a.join(None, ONLINE, CLIENTS)
    world.wait(1)
    a.events(watcher)
    tab = b.join("7")
    world.wait(1)
    assert a.events(watcher) == [(ONLINE, 1), (CLIENTS, 2)]
    b.lose(tab)
    world.wait(1)
    assert a.events(watcher) == [(CLIENTS, 1)]
    world.wait(GRACE)
    assert a.events(watcher) == [(ONLINE, 0)]


def test_a_user_joins_once_and_leaves_once_at_every_node(world: Installation) -> None:
    a, b = world.nodes
    watchers = [node.join(None, changes(ROOM)) for node in world.nodes]
    first, second = a.join("7", ROOM), b.join("7", ROOM)
    world.wait(1)
    assert [n.announced(w) for n, w in zip(world.nodes, watchers, strict=True)] == [["+7"]] * 2
    assert a.listed(watchers[0], ROOM) == b.listed(watchers[1], ROOM) == {"7": 2}
    a.say(first, [6, ROOM])
    world.wait(1)
    assert a.listed(watchers[0], ROOM) == b.listed(watchers[1], ROOM) == {"7": 1}
    assert [n.announced(w) for n, w in zip(world.nodes, watchers, strict=True)] == [[], []]
    b.say(second, [6, ROOM])
    world.wait(1)
    assert [n.announced(w) for n, w in zip(world.nodes, watchers, strict=True)] == [["-7"]] * 2
    assert a.presence.users(ROOM) == b.presence.users(ROOM) == {}


def test_notices_that_are_under_way_do_not_make_users_leave(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = world.nodes
    watcher = a.join(None, changes(ROOM))
    tab = a.join("7", ROOM)
    world.wait(1)
    assert a.announced(watcher) == ["+7"]
    with monkeypatch.context() as patch:
        # What another node has is known, and listeners are notified of it later.
        patch.setattr(notices, "MOST_AT_ONCE", 0)
        patch.setattr(Notices, "_give_some", lambda _: None)
        c = TestNode(world, "c")
        world.nodes.append(c)
        c.connect()
        for user in ("7", "9"):
            c.join(user, ROOM)
        c.nodes.start()
        world.wait(1)
        a.lose(tab)
        world.wait(2 * GRACE)
        assert a.announced(watcher) == []
    a.nodes.others._notices._give_some()
    world.wait(1)
    assert a.announced(watcher) == ["+9"]
    assert a.listed(watcher, ROOM) == {"7": 1, "9": 1}


def test_a_user_who_moves_to_another_node_does_not_leave(world: Installation) -> None:
    a, b = world.nodes
    watchers = [node.join(None, changes(ROOM), ONLINE) for node in world.nodes]
    tab = a.join("7", ROOM)
    world.wait(1)
    for node, watcher in zip(world.nodes, watchers, strict=True):
        node.events(watcher)
    for _ in range(3):
        a.lose(tab)
        world.wait(GRACE - 0.2)
        tab = b.join("7", ROOM)
        world.wait(10)
        assert a.presence.users(ROOM) == b.presence.users(ROOM) == {"7": 1}
        a, b = b, a
    for node, watcher in zip(world.nodes, watchers, strict=True):
        assert node.events(watcher) == [] or node is None
        assert node.presence.num_online == 1


def test_a_leave_follows_the_grace_period_of_the_node_that_has_lost_the_user(
    world: Installation,
) -> None:
    a, b = world.nodes
    watcher = b.join(None, changes(ROOM))
    tab = a.join("7", ROOM)
    world.wait(1)
    b.events(watcher)
    a.lose(tab)
    world.wait(GRACE - 0.1)
    assert b.announced(watcher) == []
    assert b.listed(watcher, ROOM) == {"7": 0}
    assert b.presence.is_online("7")
    world.wait(0.2)
    assert b.announced(watcher) == ["-7"]
    assert b.listed(watcher, ROOM) == {}
    assert not b.presence.is_online("7")


def test_subscribers_without_a_user_count_over_all_nodes(world: Installation) -> None:
    a, b = world.nodes
    a.join(None, ROOM)
    tab = b.join(None, ROOM)
    b.join("7", ROOM)
    world.wait(1)
    asker = a.join(None)
    answer = a.call(asker, "wampush.presence.list", ROOM)
    assert (answer["anonymous"], answer["num_users"]) == (2, 1)
    b.say(tab, [6, ROOM])
    world.wait(1)
    assert a.presence.count_anonymous(ROOM) == b.presence.count_anonymous(ROOM) == 1
    b.become(b.join(None, ROOM), "9")
    world.wait(1)
    assert a.presence.count_anonymous(ROOM) == 1
    assert a.presence.users(ROOM) == {"7": 1, "9": 1}


def test_another_identity_is_a_leave_and_a_join_at_every_node(world: Installation) -> None:
    a, b = world.nodes
    watcher = b.join(None, changes(ROOM), ONLINE)
    tab = a.join("7", ROOM)
    world.wait(1)
    b.events(watcher)
    a.become(tab, "8")
    world.wait(1)
    assert sorted(b.announced(watcher)) == ["+8", "-7"]
    assert b.presence.users(ROOM) == {"8": 1}
    assert (a.presence.num_online, b.presence.num_online) == (1, 1)
    assert not b.presence.is_online("7")
    # A user who is present at another node is not offline because of one session.
    b.join("8")
    world.wait(1)
    a.become(tab, "9")
    world.wait(1)
    assert a.presence.is_online("8")
    assert (a.presence.num_online, b.presence.num_online) == (2, 2)


def test_the_list_does_not_run_ahead_of_the_changes(world: Installation) -> None:
    a, b = world.nodes
    watcher = a.join(None, changes(ROOM))
    b.join("1", ROOM)
    world.wait(0.06)
    assert a.announced(watcher) == ["+1"]
    b.join("2", ROOM)
    world.wait(0.06)
    # The second change waits for the end of the interval.
    assert a.presence.users(ROOM) == {"1": 1, "2": 1}
    assert a.listed(watcher, ROOM) == {"1": 1}
    world.wait(1)
    assert a.announced(watcher) == ["+2"]


def test_a_dead_node_s_users_leave_once_after_expiry_and_grace(world: Installation) -> None:
    a, b = world.nodes
    c = world.add("c")
    watchers = {node: node.join(None, changes(ROOM), CLIENTS) for node in (a, b)}
    c.join("7", ROOM)
    c.join("8", ROOM)
    a.join("8", ROOM)
    world.wait(1)
    for node, watcher in watchers.items():
        node.events(watcher)
    c.die()
    world.wait(8)
    for node, watcher in watchers.items():
        assert node.presence.num_clients == 3
        assert node.events(watcher) == [(CLIENTS, 3)]
        assert node.presence.is_online("7")
    world.wait(GRACE + 0.5)
    for node, watcher in watchers.items():
        assert node.announced(watcher) == ["-7"]
        assert node.presence.users(ROOM) == {"8": 1}
        assert not node.presence.is_online("7")
        assert node.presence.num_online == 1
    world.wait(30)
    for node, watcher in watchers.items():
        assert node.announced(watcher) == []


def test_a_dead_node_s_users_who_come_back_in_time_never_leave(world: Installation) -> None:
    a, b = world.nodes
    watcher = a.join(None, changes(ROOM))
    b.join("7", ROOM)
    world.wait(1)
    assert a.announced(watcher) == ["+7"]
    b.die()
    while a.nodes.others.there:
        world.wait(0.1)
    world.wait(GRACE / 2)
    a.join("7", ROOM)
    world.wait(30)
    assert a.announced(watcher) == []
    assert a.presence.users(ROOM) == {"7": 1}


def test_a_node_that_stops_loses_its_users_after_the_grace_period(world: Installation) -> None:
    a, b = world.nodes
    watcher = a.join(None, changes(ROOM))
    b.join("7", ROOM)
    b.join("8", ROOM)
    world.wait(1)
    a.announced(watcher)
    b.stop()
    assert a.presence.num_clients == 1
    world.wait(GRACE / 2)
    a.join("8", ROOM)
    world.wait(GRACE)
    assert a.announced(watcher) == ["-7"]
    assert a.presence.num_online == 1


def test_a_frozen_node_comes_back_and_its_clients_notice_nothing(world: Installation) -> None:
    a, b = world.nodes
    watchers = {node: node.join("watcher", changes(ROOM), CLIENTS) for node in (a, b)}
    a.join("7", ROOM)
    b.join("8", ROOM)
    world.wait(1)
    for node, watcher in watchers.items():
        node.events(watcher)
    b.freeze()
    world.wait(60)
    assert a.announced(watchers[a]) == ["-8"]
    assert a.presence.num_clients == 2
    b.wake()
    world.wait(1)
    assert a.announced(watchers[a]) == ["+8"]
    assert a.presence.users(ROOM) == b.presence.users(ROOM) == {"7": 1, "8": 1}
    world.wait(30)
    assert b.events(watchers[b]) == []
    assert a.events(watchers[a]) == []
    assert a.presence.num_clients == b.presence.num_clients == 4


def test_a_frozen_node_learns_what_has_happened_meanwhile(world: Installation) -> None:
    a, b = world.nodes
    watcher = b.join(None, changes(ROOM))
    tab = a.join("7", ROOM)
    world.wait(1)
    b.events(watcher)
    for with_messages, user in ((True, "8"), (False, "9")):
        b.freeze()
        world.wait(30)
        a.lose(tab)
        tab = a.join(user, ROOM)
        world.wait(30)
        b.wake(with_messages=with_messages)
        world.wait(5)
        assert b.presence.users(ROOM) == {user: 1}
        assert len(b.announced(watcher)) == 2


def test_a_lost_change_is_noticed_and_repaired(world: Installation) -> None:
    a, b = world.nodes
    watcher = b.join(None, changes(ROOM))
    a.join("1", ROOM)
    world.wait(1)
    assert b.announced(watcher) == ["+1"]
    world.lose(b, lambda _, message: b'"kind":"people"' in message)
    a.join("2", ROOM)
    world.wait(0.1)
    assert world.lost == []
    assert b.presence.users(ROOM) == {"1": 1}
    # The next beat shows it, or the next change.
    world.wait(3)
    assert b.presence.users(ROOM) == {"1": 1, "2": 1}
    world.lose(b, lambda _, message: b'"kind":"people"' in message)
    a.join("3", ROOM)
    world.wait(0.1)
    a.join("4", ROOM)
    # A node sends a snapshot once per interval at most.
    world.wait(SNAPSHOT_SECONDS)
    assert b.presence.users(ROOM) == {"1": 1, "2": 1, "3": 1, "4": 1}
    world.wait(1)
    assert sorted(b.announced(watcher)) == ["+2", "+3", "+4"]


def test_without_a_link_everything_stays_as_it_was(world: Installation) -> None:
    a, b = world.nodes
    watcher = a.join(None, changes(ROOM))
    tab = b.join("7", ROOM)
    world.wait(1)
    a.events(watcher)
    world.bus.cut()
    world.wait(60)
    assert a.announced(watcher) == []
    assert a.presence.users(ROOM) == {"7": 1}
    b.lose(tab)
    b.join("8", ROOM)
    world.wait(10)
    world.bus.restore()
    world.wait(1)
    assert sorted(a.announced(watcher)) == ["+8", "-7"]
    world.wait(30)
    assert a.presence.users(ROOM) == b.presence.users(ROOM) == {"8": 1}


def test_a_node_that_comes_knows_everybody_at_once(world: Installation) -> None:
    a, b = world.nodes
    a.join("7", ROOM)
    b.join("8", ROOM)
    world.wait(1)
    c = world.add("c")
    world.wait(0.1)
    assert c.presence.users(ROOM) == {"7": 1, "8": 1}
    assert c.presence.num_online == 2
    c.join("9", ROOM)
    world.wait(0.1)
    assert a.presence.users(ROOM) == b.presence.users(ROOM) == {"7": 1, "8": 1, "9": 1}


def test_many_users_are_told_in_several_messages(world: Installation) -> None:
    a, b = world.nodes
    for number in range(2500):
        a.client(identity=person(f"{number}"))
    world.wait(1)
    assert b.presence.num_online == 2500
    c = world.add("c")
    world.wait(1)
    assert c.presence.num_online == 2500
    assert c.presence.num_clients == 2500


def test_topics_without_presence_show_the_users_of_the_node(world: Installation) -> None:
    a, b = world.nodes
    a.join("7", "room.quiet")
    b.join("8", "room.quiet")
    world.wait(1)
    assert a.presence.users("room.quiet") == {"7": 1}


# Another process goes on with the sessions of a node.


def test_an_upgrade_is_no_leave_and_no_join_and_counts_nobody_twice(world: Installation) -> None:
    a, b = world.nodes
    far = b.join(None, changes(ROOM), ONLINE, CLIENTS)
    near = a.join("watcher", changes(ROOM), ONLINE, CLIENTS)
    a.join("7", ROOM)
    a.join(None, ROOM)
    b.join("8", ROOM)
    lost = a.join("9", ROOM)
    world.wait(1)
    a.lose(lost)
    world.wait(1)
    b.events(far)
    successor = TestNode(world, "a")
    moved = successor.take_over(a)
    world.wait(0.5)
    assert b.events(far) == []
    assert successor.events(moved[near.id]) == []
    for node in (successor, b):
        assert node.presence.users(ROOM) == {"7": 1, "8": 1, "9": 0}
        assert node.presence.num_clients == 5
        assert node.presence.num_online == 4
        assert node.presence.count_anonymous(ROOM) == 1
    # A user who was lost before has the rest of the grace period, and leaves once.
    world.wait(30)
    assert b.announced(far) == ["-9"]
    assert successor.announced(moved[near.id]) == ["-9"]
    assert (successor.presence.num_online, b.presence.num_online) == (3, 3)
    # And it goes on as any node does.
    successor.join("10", ROOM)
    world.wait(1)
    assert b.announced(far) == ["+10"]
    b.join("11", ROOM)
    world.wait(1)
    assert successor.announced(moved[near.id]) == ["+10", "+11"]


def test_what_happens_elsewhere_during_an_upgrade_is_announced_once(world: Installation) -> None:
    a, b = world.nodes
    near = a.join("watcher", changes(ROOM))
    tab = b.join("8", ROOM)
    world.wait(1)
    a.events(near)
    successor = TestNode(world, "a")
    # The change is on its way to the old process, which is about to be silent.
    a.link.cut("the process ends")
    b.say(tab, [6, ROOM])
    b.join("9", ROOM)
    world.wait(0.2)
    moved = successor.take_over(a)
    world.wait(3)
    assert sorted(successor.announced(moved[near.id])) == ["+9", "-8"]
    assert successor.presence.users(ROOM) == {"9": 1}


def test_an_upgrade_of_every_node_in_turn(world: Installation) -> None:
    a, b = world.nodes
    far = b.join(None, changes(ROOM), CLIENTS)
    near = a.join("7", ROOM)
    world.wait(1)
    b.events(far)
    for _ in range(2):
        successor = TestNode(world, "a")
        near = successor.take_over(a)[near.id]
        world.wait(10)
        a = successor
    other = TestNode(world, "b")
    far = other.take_over(b)[far.id]
    world.wait(10)
    assert other.events(far) == []
    assert a.presence.users(ROOM) == other.presence.users(ROOM) == {"7": 1}
    assert a.presence.num_clients == other.presence.num_clients == 2
    a.lose(near)
    world.wait(GRACE + 1)
    assert other.announced(far) == ["-7"]
