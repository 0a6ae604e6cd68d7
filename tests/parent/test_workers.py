"""Several workers: their start, replacements that go through all of them, and their end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.parent.node_processes import FakeNode, World
from wampush.parent.nodes.node_process import NodeState
from wampush.parent.sockets.targets import WEBSOCKET
from wampush.parent.workers import RETIRE_SECONDS
from wampush.testing.ports import reserved_ports

Answers = list[tuple[bool, str]]
Make = Callable[[int], World]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[World] = []

    def make(count: int) -> World:
        made.append(World(count))
        return made[-1]

    yield make
    for world in made:
        for node in world.nodes:
            node.give_back()


def pids(nodes: Sequence[FakeNode]) -> list[tuple[int, int]]:
    return [(each.worker, each.pid) for each in nodes]


def wants(world: World, node: FakeNode, workers: int) -> None:
    """Have a node say how many workers its configuration wants."""
    world.say(node, "hello", hand_over=0, limits={"workers": workers})
    node.heard()


def roll(world: World, old: FakeNode, new: FakeNode) -> None:
    """Have a new node serve in place of an old one."""
    world.serve(new)
    assert old.signals == [signal.SIGTERM]
    world.end(old, -15)


# The start.


def test_the_first_worker_proves_what_the_others_run(make: Make) -> None:
    world = make(3)
    world.workers.start()
    assert pids(world.nodes) == [(1, 101)]
    world.say(world.nodes[0], "ready")
    assert len(world.nodes) == 1
    world.nodes[0].heard()
    world.say(world.nodes[0], "serving", status="one")
    assert pids(world.nodes) == [(1, 101), (2, 102), (3, 103)]
    assert world.events == []
    world.serve(world.nodes[2])
    assert world.events == []
    world.serve(world.nodes[1])
    assert world.events == ["serving"]
    assert world.status == "3 of 3 workers serve: process 102"
    assert world.lines[0] == "worker 1: serving: node is process 101"


def test_a_first_start_that_fails_is_the_end(make: Make) -> None:
    world = make(2)
    world.workers.start()
    world.end(world.nodes[0], 3)
    assert world.events == [3]
    assert len(world.nodes) == 1


def test_another_worker_that_does_not_start_is_the_end_of_all(make: Make) -> None:
    world = make(2)
    world.workers.start()
    one = world.nodes[0]
    world.serve(one)
    world.end(world.nodes[1], 1)
    assert world.events == []
    assert one.signals == [signal.SIGTERM]
    world.end(one, -15)
    assert world.events == [1]
    assert "worker 2 has not started; stopping" in world.lines


def test_the_first_worker_may_crash_before_the_others_serve(make: Make) -> None:
    world = make(2)
    world.workers.start()
    world.serve(world.nodes[0])
    world.end(world.nodes[0], -11)
    assert pids(world.nodes) == [(1, 101), (2, 102), (1, 103)]
    world.serve(world.nodes[1])
    assert world.events == []
    world.serve(world.nodes[2])
    assert world.events == ["serving"]


def test_nothing_is_replaced_before_the_start_is_over(make: Make) -> None:
    world = make(2)
    world.workers.start()
    world.serve(world.nodes[0])
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    world.workers.reload(lambda *answer: answers.append(answer))
    expected = (False, "the start is not over: not all workers serve yet")
    assert answers == [expected, expected]
    assert len(world.nodes) == 2


# Crashes.


def test_a_crash_concerns_one_worker(make: Make) -> None:
    world = make(3)
    world.served()
    world.end(world.nodes[1], -9)
    assert pids(world.nodes)[3:] == [(2, 104)]
    assert world.status == "2 of 3 workers serve: process 103"
    assert [each.signals for each in world.nodes] == [[]] * 4
    assert world.lines[-1] == (
        "worker 2: process 102 has ended: it was ended by SIGKILL; starting another one now"
    )
    world.serve(world.nodes[3])
    assert world.status == "3 of 3 workers serve: process 104"
    assert world.events[-1] == "serving"


def test_a_restart_of_one_worker_is_damped_and_the_others_are_not(make: Make) -> None:
    world = make(2)
    world.served()
    world.end(world.nodes[1], -9)
    world.end(world.nodes[2], 1)
    assert world.lines[-1].endswith("starting another one in 0.5 s")
    world.end(world.nodes[0], -9)
    assert pids(world.nodes)[3:] == [(1, 104)], "at once"
    world.pass_time(0.5)
    assert pids(world.nodes)[4:] == [(2, 105)]


def test_the_slowest_worker_feeds_the_watchdog(make: Make) -> None:
    world = make(2)
    world.served()
    one, two = world.nodes
    world.events.clear()
    for _ in range(3):
        world.say(one, "heartbeat")
    assert world.events == []
    world.say(two, "heartbeat")
    assert world.events == ["sign of life"]
    world.say(two, "heartbeat")
    world.end(two, -9)
    world.say(one, "heartbeat")
    assert world.events.count("sign of life") == 2, "one that is started again is not waited for"
    world.end(one, -9)
    world.pass_time(10)
    assert world.events.count("sign of life") >= 4


def test_each_worker_has_its_own_queue_of_connections(make: Make) -> None:
    world = make(2)
    with reserved_ports(1) as (port,):
        address = f"tcp:{port}:interface=127.0.0.1"
        queues = []
        world.workers.start()
        for number in range(2):
            world.say(world.nodes[number], "listen", use=WEBSOCKET, address=address, number=0)
            (answer,) = world.nodes[number].heard()
            queues.append(socket.socket(fileno=answer.descriptors[0]))
            world.serve(world.nodes[number])
        one, two = queues
        for _ in range(64):
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
        world.end(world.nodes[1], -9)
        two.close()
        for _ in range(64):
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
        world.say(world.nodes[2], "listen", use=WEBSOCKET, address=address, number=0)
        (answer,) = world.nodes[2].heard()
        again = socket.socket(fileno=answer.descriptors[0])
        counts = [0, 0]
        for index, each in enumerate((one, again)):
            each.setblocking(False)
            while True:
                try:
                    each.accept()[0].close()
                except BlockingIOError:
                    break
                counts[index] += 1
        assert sum(counts) == 128
        # Of the first half. The second one came while one worker was away, and went to the other.
        assert 0 < counts[1] < 64
        one.close()
        again.close()
        world.workers.stop(signal.SIGTERM)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=20)


def test_a_system_that_does_not_steer_is_mentioned_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(2)
    monkeypatch.setattr(world.sockets, "steer", lambda _: "Protocol not available")
    world.served()
    world.end(world.nodes[1], -9)
    world.serve(world.nodes[2])
    about = [line for line in world.lines if "Protocol not available" in line]
    assert len(about) == 1
    assert about[0].startswith("connections to a worker that does not serve wait for it")


# Replacements.


def test_an_upgrade_goes_through_the_workers(make: Make) -> None:
    world = make(3)
    world.served()
    one, two, three = world.nodes
    answers: Answers = []
    world.events.clear()
    world.workers.upgrade(lambda *answer: answers.append(answer))
    for turn, old in enumerate((one, two, three), 3):
        assert len(world.nodes) == turn + 1
        assert world.nodes[turn].worker == old.worker
        assert answers == []
        world.pass_time(1)
        roll(world, old, world.nodes[turn])
    ((is_done, text),) = answers
    assert is_done
    assert text.splitlines()[0] == "workers 1, 2 and 3 replaced in 3.0 s"
    assert text.splitlines()[3] == "worker 3: process 106 serves after 1.0 s"
    assert world.lines[-1] == "upgrade: workers 1, 2 and 3 replaced in 3.0 s"
    assert world.lines[-2] == "worker 3: upgrade: process 106 serves after 1.0 s"
    assert world.events == ["reloading", "serving", "reloaded"]
    assert len(world.nodes) == 6


def test_a_version_that_does_not_start_changes_no_worker(make: Make) -> None:
    world = make(2)
    world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    world.nodes[2].say("ImportError: no module named shop\n")
    world.end(world.nodes[2], 1)
    why = "the new node has not become ready: ImportError: no module named shop"
    assert answers == [(False, f"worker 1: {why}; no worker has been replaced")]
    assert world.lines[-2] == f"worker 1: upgrade failed, the running one goes on: {why}"
    assert world.lines[-1] == f"upgrade failed: {answers[0][1]}"
    assert [each.state for each in world.nodes[:2]] == [NodeState.SERVING] * 2
    assert len(world.nodes) == 3
    assert world.events[-2:] == ["reloading", "reloaded"]


def test_a_later_failure_is_said_and_what_is_done_stays(make: Make) -> None:
    world = make(3)
    world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    roll(world, world.nodes[0], world.nodes[3])
    world.end(world.nodes[4], -9)
    assert answers[0][1].endswith("worker 1 has been replaced before, workers 2 and 3 have not")
    assert world.nodes[1].state is NodeState.SERVING
    assert len(world.nodes) == 5
    world.workers.upgrade()
    assert len(world.nodes) == 6, "another one may be tried"


def test_a_worker_that_serves_has_the_first_turn(make: Make) -> None:
    world = make(2)
    world.served()
    world.end(world.nodes[0], -9)
    starting = world.nodes[2]
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    assert pids(world.nodes)[3:] == [(2, 104)]
    roll(world, world.nodes[1], world.nodes[3])
    # It may never serve, and may be of the version before.
    assert starting.signals == [signal.SIGTERM]
    assert pids(world.nodes)[4:] == [(1, 105)]
    world.end(starting, -15)
    world.serve(world.nodes[4])
    assert answers[0][0]
    assert len(world.nodes) == 5


def test_a_worker_that_waits_for_its_restart_starts_with_its_turn(make: Make) -> None:
    world = make(2)
    world.served()
    world.end(world.nodes[1], -9)
    world.end(world.nodes[2], 1)
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    roll(world, world.nodes[0], world.nodes[3])
    assert pids(world.nodes)[4:] == [(2, 105)]
    world.end(world.nodes[4], 1)
    assert answers[0][1].endswith("worker 1 has been replaced before, worker 2 has not")
    world.pass_time(30)
    assert pids(world.nodes)[5:] == [(2, 106)], "it is started again, as after any crash"


def test_a_crash_in_an_upgrade_does_not_stop_it(make: Make) -> None:
    world = make(2)
    world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    roll(world, world.nodes[0], world.nodes[2])
    world.end(world.nodes[2], -11)
    assert pids(world.nodes)[4:] == [(1, 105)]
    world.serve(world.nodes[3])
    assert answers[0][0]


# Reloads.


def test_a_reload_asks_all_workers_and_replaces_those_with_other_settings(make: Make) -> None:
    world = make(2)
    world.served()
    answers: Answers = []
    world.workers.reload(lambda *answer: answers.append(answer))
    for node in world.nodes[:2]:
        assert [each.kind for each in node.heard()] == ["reload"]
        world.say(node, "reloaded", changed="log.level" if node.worker == 2 else "")
    assert pids(world.nodes)[2:] == [(2, 103)]
    world.serve(world.nodes[2])
    assert answers[0][0]
    assert answers[0][1].startswith("worker 2 replaced in 0.0 s\n")


def test_a_worker_that_ends_in_a_reload_gives_the_answer(make: Make) -> None:
    world = make(2)
    world.served()
    answers: Answers = []
    world.workers.reload(lambda *answer: answers.append(answer))
    world.say(world.nodes[0], "reloaded", changed="log.level")
    world.end(world.nodes[1], -9)
    assert answers == [(False, "process 102 has ended: it was ended by SIGKILL")]


def test_a_reload_may_add_workers(make: Make) -> None:
    world = make(1)
    old = world.served()
    answers: Answers = []
    world.workers.reload(lambda *answer: answers.append(answer))
    world.say(old, "reloaded", changed="process.workers")
    wants(world, world.nodes[1], 3)
    roll(world, old, world.nodes[1])
    assert pids(world.nodes)[2:] == [(2, 103)]
    wants(world, world.nodes[2], 3)
    world.serve(world.nodes[2])
    wants(world, world.nodes[3], 3)
    world.serve(world.nodes[3])
    assert answers[0][1].startswith("workers 1, 2 and 3 replaced in")
    assert len(world.nodes) == 4
    assert world.status == "3 of 3 workers serve: process 104"


def test_a_reload_that_could_not_add_all_workers_is_finished_by_the_next_one(make: Make) -> None:
    world = make(1)
    old = world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    wants(world, world.nodes[1], 3)
    roll(world, old, world.nodes[1])
    world.end(world.nodes[2], 1)
    assert answers[0][1].endswith("worker 1 has been replaced before, workers 2 and 3 have not")
    world.workers.reload(lambda *answer: answers.append(answer))
    count = len(world.nodes)
    new = world.nodes[-1]
    wants(world, new, 3)
    roll(world, world.nodes[1], new)
    for _ in range(2):
        wants(world, world.nodes[-1], 3)
        world.serve(world.nodes[-1])
    assert answers[1][0]
    assert len(world.nodes) == count + 2


def test_a_reload_may_end_workers(make: Make) -> None:
    world = make(3)
    world.served()
    answers: Answers = []
    world.workers.reload()
    for node in world.nodes[:3]:
        world.say(node, "reloaded", changed="process.workers")
    with reserved_ports(1) as (port,):
        address = f"tcp:{port}:interface=127.0.0.1"
        world.sockets.get(WEBSOCKET, address, 0, 3)
        wants(world, world.nodes[3], 1)
        roll(world, world.nodes[0], world.nodes[3])
        assert len(world.nodes) == 4, "those that are going to end are not replaced"
        assert [each.signals for each in world.nodes[1:3]] == [[], []]
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
        world.pass_time(RETIRE_SECONDS)
        assert [each.signals for each in world.nodes[1:3]] == [[signal.SIGTERM]] * 2
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=20)
    assert "worker 3 is not wanted any more; ending it" in world.lines
    world.workers.upgrade(lambda *answer: answers.append(answer))
    expected = "the sessions of workers 2 and 3 are still ending, within process.drain; "
    assert answers == [(False, f"{expected}then run the command again")]
    for node in world.nodes[1:3]:
        world.end(node, -15)
    world.workers.upgrade(lambda *answer: answers.append(answer))
    world.serve(world.nodes[4])
    assert answers[1] == (True, "process 105 serves after 0.0 s")


def test_a_worker_that_is_ending_does_not_hold_up_the_end_by_a_second_signal(make: Make) -> None:
    world = make(2)
    world.served()
    world.workers.upgrade()
    wants(world, world.nodes[2], 1)
    roll(world, world.nodes[0], world.nodes[2])
    world.workers.stop(signal.SIGTERM)
    assert world.nodes[1].signals == [signal.SIGTERM]
    world.workers.stop(signal.SIGTERM)
    assert world.nodes[1].signals == [signal.SIGTERM] * 2
    world.end(world.nodes[2], -15)
    assert world.events[-1] == "stopping"
    world.end(world.nodes[1], -15)
    assert world.events[-1] == -15


# The end.


def test_the_end_waits_for_all_workers(make: Make) -> None:
    world = make(2)
    world.served()
    answers: Answers = []
    world.workers.upgrade(lambda *answer: answers.append(answer))
    world.workers.stop(signal.SIGTERM)
    assert answers[0][0] is False
    assert "wampush is stopping" in answers[0][1]
    assert [each.signals for each in world.nodes] == [[signal.SIGTERM]] * 3
    for node in world.nodes:
        assert world.events[-1] == "stopping"
        world.end(node, -15)
    assert world.events[-1] == -15
    assert len(world.nodes) == 3


def test_the_end_during_the_start_starts_no_more(make: Make) -> None:
    world = make(2)
    world.workers.start()
    world.workers.stop(signal.SIGINT)
    world.end(world.nodes[0], -2)
    assert world.events == ["stopping", -2]
    assert len(world.nodes) == 1
