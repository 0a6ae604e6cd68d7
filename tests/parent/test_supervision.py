"""When nodes are started, replaced and ended."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parent.node_processes import FakeNode, World
from wampush.parent.nodes.node_process import NodeState
from wampush.parent.sockets.targets import PULL, WEBSOCKET
from wampush.testing.ports import reserved_ports


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    for node in made.nodes:
        node.give_back()


Answers = list[tuple[bool, str]]


# The first start.


def test_the_first_node_serves_as_soon_as_it_is_ready(world: World) -> None:
    world.served()
    assert world.nodes[0].state is NodeState.SERVING
    assert world.events == ["serving"]
    world.say(world.nodes[0], "heartbeat")
    world.say(world.nodes[0], "a kind of another release")
    assert world.events == ["serving", "sign of life"]


@pytest.mark.parametrize(("status", "expected"), [(1, 1), (3, 3), (0, 1), (-9, 1)])
def test_a_first_start_that_fails_is_the_end(world: World, status: int, expected: int) -> None:
    world.workers.start()
    world.end(world.nodes[0], status)
    assert world.events == [expected]


def test_a_first_node_that_was_killed_has_said_nothing(world: World) -> None:
    world.workers.start()
    world.end(world.nodes[0], -9)
    assert world.lines == ["process 101 was ended: it was ended by SIGKILL"]


def test_a_first_start_that_takes_too_long_is_the_end(world: World) -> None:
    world.workers.start()
    world.pass_time(60)
    assert world.nodes[0].signals == [signal.SIGQUIT]
    world.pass_time(1)
    assert world.nodes[0].signals == [signal.SIGQUIT, signal.SIGKILL]
    world.end(world.nodes[0], -9)
    assert world.events == [1]
    assert world.lines[-1] == "process 101 was ended: it was not ready within 60 s"


def test_a_system_that_cannot_start_a_process(world: World) -> None:
    world.cannot_launch = True
    world.workers.start()
    assert world.events == [1]
    assert "Cannot allocate memory" in world.lines[-1]


def test_a_node_that_cannot_bind_says_so(world: World) -> None:
    world.workers.start()
    (node,) = world.nodes
    world.say(node, "ready")
    world.say(node, "failed", reason="cannot listen on ipc://a")
    assert node.signals == [signal.SIGTERM]
    world.end(node, -15)
    assert world.events == [1]
    assert world.lines[-1] == "process 101 was ended: cannot listen on ipc://a"


# Crashes.


def test_a_crash_is_followed_by_a_new_node_later_and_later(world: World) -> None:
    node = world.served()
    world.pass_time(5)
    world.say(node, "heartbeat")
    world.end(node, -11)
    assert len(world.nodes) == 2, "the first time at once"
    assert world.lines[-1] == (
        "process 101 has ended: it was ended by SIGSEGV; starting another one now"
    )
    for number, delay in enumerate((0.5, 1.0, 2.0), start=1):
        world.serve(world.nodes[number])
        world.end(world.nodes[number], 1)
        assert world.lines[-1].endswith(f"starting another one in {delay:g} s")
        world.pass_time(delay - 0.1)
        assert len(world.nodes) == number + 1
        world.pass_time(0.1)
        assert len(world.nodes) == number + 2


def test_a_node_that_does_not_start_again_is_tried_for_ever(world: World) -> None:
    world.end(world.served(), -9)
    for number in range(1, 12):
        world.end(world.nodes[number], 1)
        world.pass_time(30)
        assert len(world.nodes) == number + 2
    assert 1 not in world.events
    world.cannot_launch = True
    world.end(world.nodes[-1], 1)
    world.pass_time(31)
    assert world.lines[-1].startswith("cannot start a node: ")
    world.cannot_launch = False
    known = len(world.nodes)
    world.pass_time(31)
    assert len(world.nodes) == known + 1


def test_a_node_that_hangs_is_killed_and_replaced(world: World) -> None:
    node = world.served()
    world.pass_time(14)
    world.say(node, "heartbeat")
    world.pass_time(14)
    assert node.signals == []
    world.pass_time(1)
    assert node.signals == [signal.SIGQUIT]
    world.pass_time(1)
    assert node.signals == [signal.SIGQUIT, signal.SIGKILL]
    world.end(node, -9)
    assert len(world.nodes) == 2
    assert "it gave no sign of life for 15 s; starting another one now" in world.lines[-1]


def test_a_service_manager_has_patience_while_no_node_serves(world: World) -> None:
    node = world.served()
    world.pass_time(10)
    assert world.events == ["serving"]
    world.end(node, -9)
    world.pass_time(10)
    assert world.events.count("sign of life") >= 3


def test_a_parent_that_was_stopped_itself_blames_no_node(world: World) -> None:
    node = world.served()
    world.now = 1000.0
    world.workers.on_time(world.now)
    assert node.signals == []
    world.pass_time(13)
    assert node.signals == [signal.SIGQUIT]


# Replacements.


def test_an_upgrade_starts_a_new_node_and_ends_the_old_one(world: World) -> None:
    old = world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    new = world.nodes[1]
    assert (old.state, old.signals) == (NodeState.SERVING, [])
    world.pass_time(2)
    world.serve(new)
    assert old.signals == [signal.SIGTERM]
    assert answers == [(True, "process 102 serves after 2.0 s")]
    assert world.lines[-1] == "upgrade: process 102 serves after 2.0 s"
    assert world.events == ["serving", "reloading", "serving", "reloaded"]
    world.end(old, -15)
    assert len(world.nodes) == 2
    world.end(new, -9)
    assert len(world.nodes) == 3, "the new one is the node now"


def test_a_new_version_that_fails_changes_nothing(world: World) -> None:
    old = world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    world.nodes[1].say("Traceback\nImportError: no module named shop\n")
    world.end(world.nodes[1], 1)
    reason = "the new node has not become ready: ImportError: no module named shop"
    assert answers == [(False, reason)]
    assert world.lines[-1] == f"upgrade failed, the running one goes on: {reason}"
    assert (old.state, old.signals, len(world.nodes)) == (NodeState.SERVING, [], 2)
    world.workers.upgrade()
    assert len(world.nodes) == 3, "another one may be tried"


def test_sockets_of_a_new_node_that_fails_are_closed(world: World) -> None:
    with reserved_ports(2) as (kept, added):
        old, new = f"tcp:{kept}:interface=127.0.0.1", f"tcp:{added}:interface=127.0.0.1"
        world.workers.start()
        world.say(world.nodes[0], "listen", use=WEBSOCKET, address=old, number=0)
        world.nodes[0].heard()[0].close_descriptors()
        world.serve(world.nodes[0])
        world.workers.upgrade()
        for address in (old, new):
            world.say(world.nodes[1], "listen", use=WEBSOCKET, address=address, number=0)
        for each in world.nodes[1].heard():
            each.close_descriptors()
        socket.create_connection(("127.0.0.1", added), timeout=20).close()
        world.end(world.nodes[1], 1)
        socket.create_connection(("127.0.0.1", kept), timeout=20).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", added), timeout=20)
        world.end(world.nodes[0], -9)
        socket.create_connection(("127.0.0.1", kept), timeout=20).close()
        world.workers.stop(signal.SIGTERM)


def test_a_new_version_that_hangs_changes_nothing(world: World) -> None:
    old = world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    for _ in range(61):
        world.say(old, "heartbeat")
        world.pass_time(1)
    assert world.nodes[1].signals == [signal.SIGQUIT, signal.SIGKILL]
    world.end(world.nodes[1], -9)
    assert answers == [(False, "the new node has not become ready: it was not ready within 60 s")]
    assert old.signals == []


def test_one_replacement_at_a_time(world: World) -> None:
    world.workers.start()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    assert answers[-1][1].startswith("no node serves yet")
    world.serve(world.nodes[0])
    world.workers.upgrade()
    world.workers.upgrade(lambda *answer: answers.append(answer))
    assert answers[-1] == (False, "another upgrade is under way")
    world.workers.stop(signal.SIGTERM)
    world.workers.upgrade(lambda *answer: answers.append(answer))
    assert answers[-1] == (False, "wampush is stopping")


def test_an_upgrade_for_which_no_process_can_be_started(world: World) -> None:
    world.served()
    world.cannot_launch = True
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    assert "Cannot allocate memory" in answers[0][1]
    world.workers.upgrade()
    assert world.events[-2:] == ["reloading", "reloaded"]


def test_the_old_node_crashes_while_the_new_one_starts(world: World) -> None:
    old = world.served()
    world.workers.upgrade()
    world.end(old, -11)
    assert len(world.nodes) == 2
    world.serve(world.nodes[1])
    world.end(world.nodes[1], -11)
    assert len(world.nodes) == 3


def test_both_end_during_an_upgrade(world: World) -> None:
    old = world.served()
    world.workers.upgrade()
    world.end(old, -11)
    world.end(world.nodes[1], 1)
    assert len(world.nodes) == 3
    assert "starting it again" in world.lines[-1]


def test_a_node_that_needs_the_database_waits_for_the_end_of_the_old_one(world: World) -> None:
    old = world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    new = world.nodes[1]
    world.say(new, "exclusive")
    assert old.signals == [signal.SIGTERM]
    assert new.heard() == []
    world.end(old, -15)
    assert [each.kind for each in new.heard()] == ["alone"]
    world.serve(new)
    assert answers[0][0]
    assert not any("has ended" in line for line in world.lines)


def test_the_only_node_need_not_wait_for_the_database(world: World) -> None:
    world.workers.start()
    world.say(world.nodes[0], "exclusive")
    assert [each.kind for each in world.nodes[0].heard()] == ["alone"]


def test_there_is_no_way_back_once_the_old_node_was_asked_to_end(world: World) -> None:
    old = world.served()
    world.workers.upgrade()
    world.say(world.nodes[1], "exclusive")
    world.end(old, -15)
    world.end(world.nodes[1], 1)
    assert "starting it again" in world.lines[-1]
    assert len(world.nodes) == 3
    world.serve(world.nodes[2])


# Hand-overs.


def moving(world: World) -> tuple[FakeNode, FakeNode, Answers]:
    """An upgrade in which the new node is taking the sessions of the old one over."""
    world.workers.start()
    old = world.nodes[0]
    world.say(old, "hello", hand_over=1)
    assert old.heard()[0].fields["takes_over"] is False
    world.serve(old)
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    new = world.nodes[1]
    world.say(new, "hello", hand_over=1)
    assert new.heard()[0].fields["takes_over"] is True
    world.say(new, "ready")
    ((give,), (take,)) = (old.heard(), new.heard())
    assert (give.kind, take.kind) == ("hand_over", "take_over")
    with (
        socket.socket(fileno=give.descriptors[0]) as one,
        socket.socket(fileno=take.descriptors[0]) as other,
    ):
        one.send(b"x")
        assert other.recv(1) == b"x"
    assert old.signals == []
    return old, new, answers


def test_sessions_move_where_both_nodes_can(world: World) -> None:
    old, new, answers = moving(world)
    world.say(old, "handed_over", seconds=1)
    world.say(new, "serving", status="new", report="7 sessions taken over")
    assert answers == [(True, "process 102 serves after 0.0 s; 7 sessions taken over")]
    assert (old.state, new.state) == (NodeState.LEAVING, NodeState.SERVING)
    world.end(old, 0)
    assert len(world.nodes) == 2
    world.say(new, "heartbeat")
    assert world.events[-1] == "sign of life"


def test_a_hand_over_that_fails_leaves_the_old_node(world: World) -> None:
    old, new, answers = moving(world)
    world.say(old, "hand_over_failed", problem="the other end is closed", goes_on=True)
    assert new.signals == [signal.SIGTERM]
    world.end(new, -15)
    assert answers == [(False, "the new node has not become ready: the other end is closed")]
    assert (old.state, len(world.nodes)) == (NodeState.SERVING, 2)


def test_a_new_node_that_hangs_in_a_hand_over_is_ended(world: World) -> None:
    old, new, _ = moving(world)
    for _ in range(61):
        world.say(old, "heartbeat")
        world.pass_time(1)
    assert new.signals == [signal.SIGQUIT, signal.SIGKILL]


def test_an_old_node_that_crashes_in_a_hand_over(world: World) -> None:
    old, new, _ = moving(world)
    world.end(old, -11)
    world.say(new, "failed", reason="the stream is broken")
    world.end(new, -15)
    assert len(world.nodes) == 3
    world.serve(world.nodes[2])


def test_a_new_node_that_fails_after_everything_has_moved(world: World) -> None:
    old, new, _ = moving(world)
    world.say(old, "handed_over", seconds=10)
    world.end(new, -11)
    assert "starting it again" in world.lines[-1]
    assert len(world.nodes) == 3, "without waiting for the old one"
    world.end(old, 0)
    world.serve(world.nodes[2])
    assert len(world.nodes) == 3


def test_backends_are_let_in_again_after_a_node_that_was_killed_in_an_upgrade(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "push"
    world.workers.start()
    world.say(world.nodes[0], "listen", use=PULL, address=f"ipc://{path}", number=0)
    world.nodes[0].heard()[0].close_descriptors()
    world.serve(world.nodes[0])
    world.workers.upgrade()
    path.rename(f"{path}.full")
    world.end(world.nodes[0], -9)
    assert path.exists()
    world.workers.stop(signal.SIGTERM)


def test_a_node_may_start_as_long_as_its_own_configuration_says(world: World) -> None:
    old = world.served()
    world.workers.upgrade()
    new = world.nodes[1]
    world.say(new, "hello", hand_over=0, limits={"ready": 600, "hang": 15, "drain": 10})
    new.heard()
    for _ in range(100):
        world.pass_time(1)
        world.say(old, "heartbeat")
    assert new.signals == []


def test_sessions_do_not_move_between_releases_that_write_other_records(world: World) -> None:
    world.workers.start()
    world.say(world.nodes[0], "hello", hand_over=1)
    world.nodes[0].heard()
    world.serve(world.nodes[0])
    world.workers.upgrade()
    world.say(world.nodes[1], "hello", hand_over=2)
    world.nodes[1].heard()
    world.serve(world.nodes[1])
    assert world.nodes[0].signals == [signal.SIGTERM]


# Reloads.


def test_a_reload_replaces_the_node_where_settings_have_changed(world: World) -> None:
    node = world.served()
    answers: Answers = []
    world.workers.reload(lambda *answer: answers.append(answer))
    assert [each.kind for each in node.heard()] == ["reload"]
    world.say(node, "reloaded", changed="websocket.listen")
    assert "reload: websocket.listen changed, so a new node starts" in world.lines
    world.serve(world.nodes[1])
    assert answers == [(True, "process 102 serves after 0.0 s")]


def test_a_reload_without_new_settings_keeps_the_node(world: World) -> None:
    node = world.served()
    answers: Answers = []
    world.workers.reload(lambda *answer: answers.append(answer))
    world.say(node, "reloaded", changed="", problem="")
    assert answers == [(True, "keys and certificates were read again; no setting has changed")]
    world.workers.reload()
    world.say(node, "reloaded", problem="a.toml:3: websocket.listen is wrong")
    assert len(world.nodes) == 1
    world.workers.reload(lambda *answer: answers.append(answer))
    world.say(node, "reloaded", problem="a.toml:3: websocket.listen is wrong")
    assert answers[-1] == (False, "a.toml:3: websocket.listen is wrong")


def test_a_node_that_ends_in_a_reload_gives_an_answer(world: World) -> None:
    answers: Answers = []
    world.workers.reload(lambda *answer: answers.append(answer))
    node = world.served()
    world.workers.reload(lambda *answer: answers.append(answer))
    world.end(node, -11)
    assert answers[1:] == [(False, "process 101 has ended: it was ended by SIGSEGV")]
    assert world.events[-2:] == ["reloading", "reloaded"]
    world.serve(world.nodes[1])
    world.workers.reload(lambda *answer: answers.append(answer))
    world.say(world.nodes[1], "reloaded", changed="", problem="")
    assert [each[0] for each in answers] == [False, False, True]


def test_a_reload_that_cannot_be_asked_for(world: World) -> None:
    node = world.served()
    node.theirs.close()
    answers: Answers = []
    world.workers.reload(lambda *answer: answers.append(answer))
    assert answers == [(False, "process 101 cannot be reached; it is ending, or it hangs")]
    assert world.events[-2:] == ["reloading", "reloaded"]


def test_a_reload_needs_a_node(world: World) -> None:
    answers: Answers = []
    world.workers.start()
    world.workers.reload(lambda *answer: answers.append(answer))
    assert answers[0][0] is False


# The end.


def test_the_end_waits_for_the_node_and_repeats_the_signal(world: World) -> None:
    node = world.served()
    world.workers.stop(signal.SIGTERM)
    assert (node.signals, world.events) == ([signal.SIGTERM], ["serving", "stopping"])
    world.end(node, -15)
    assert world.events[-1] == -15
    assert len(world.nodes) == 1


def test_a_second_signal_is_passed_on(world: World) -> None:
    node = world.served()
    world.workers.stop(signal.SIGINT)
    world.workers.stop(signal.SIGTERM)
    assert node.signals == [signal.SIGTERM, signal.SIGTERM]
    world.pass_time(8)
    assert node.signals[-1] == signal.SIGKILL
    world.end(node, -9)
    assert world.events[-1] == -signal.SIGINT


def test_many_signals_do_not_put_the_end_off(world: World) -> None:
    node = world.served()
    world.workers.stop(signal.SIGTERM)
    for _ in range(9):
        world.workers.stop(signal.SIGTERM)
        world.pass_time(1)
    assert signal.SIGKILL in node.signals


def test_the_end_during_an_upgrade_ends_both(world: World) -> None:
    old = world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    new = world.nodes[1]
    world.workers.stop(signal.SIGTERM)
    assert answers == [(False, "wampush is stopping")]
    world.end(new, -15)
    world.end(old, -15)
    assert world.events[-1] == -15
    assert len(world.nodes) == 2


def test_the_end_while_no_node_runs(world: World) -> None:
    world.end(world.served(), -9)
    world.end(world.nodes[1], 1)
    world.workers.stop(signal.SIGTERM)
    world.pass_time(60)
    assert world.events[-1] == -15
    assert len(world.nodes) == 2
    assert world.workers.nodes == []
