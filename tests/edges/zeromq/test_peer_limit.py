"""The gates of all sockets are shut while as many backends are connected as may be."""

from __future__ import annotations

from typing import Any

from wampush.edges.zeromq.peer_limit import PeerLimit


class FakeGate:
    is_open = True

    def shut(self) -> None:
        self.is_open = False

    def open(self) -> None:
        self.is_open = True


def test_gates_are_shut_while_it_is_full() -> None:
    limit = PeerLimit(2, lambda: 0.0)
    gates = FakeGate(), FakeGate()
    for each in gates:
        added: Any = each
        limit.add(added)

    def is_open() -> list[bool]:
        return [each.is_open for each in gates]

    assert limit.enter()
    assert is_open() == [True, True]
    assert limit.enter()
    assert is_open() == [False, False]
    # libzmq had accepted it before the gate was shut.
    assert not limit.enter()
    limit.leave()
    assert is_open() == [False, False]
    limit.leave()
    assert is_open() == [True, True]
    assert limit.count == 1


def test_the_gate_of_a_later_socket_is_shut_at_once_and_a_removed_one_left_alone() -> None:
    limit = PeerLimit(1, lambda: 0.0)
    limit.enter()
    gate: Any = FakeGate()
    limit.add(gate)
    assert not gate.is_open
    limit.remove(gate)
    limit.leave()
    assert not gate.is_open


def test_gates_are_shut_before_a_burst_is_handled() -> None:
    limit = PeerLimit(3, lambda: 0.0)
    gate: Any = FakeGate()
    limit.add(gate)
    limit.expect(0)
    limit.expect(2)
    assert gate.is_open
    limit.expect(3)
    assert not gate.is_open


def test_a_gate_that_is_closed_stays_shut_when_backends_leave() -> None:
    limit = PeerLimit(2, lambda: 0.0)
    gate: Any = FakeGate()
    limit.add(gate)
    limit.enter()
    limit.close(gate)
    limit.leave()
    assert not gate.is_open
    limit.reopen(gate)
    assert gate.is_open
    limit.close(gate)
    limit.enter()
    limit.enter()
    limit.reopen(gate)
    assert not gate.is_open
    limit.close(gate)
    limit.remove(gate)
    limit.leave()
    assert not gate.is_open
