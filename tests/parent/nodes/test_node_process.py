"""A node, as its parent sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.parent.node_processes import fake_node
from wampush.control_channel import ControlChannel
from wampush.parent.nodes.node_process import MOVES, NodeProcess, NodeState
from wampush.state_machine import IllegalMove


def is_alive(node: NodeProcess) -> bool:
    return node.is_alive


def test_a_node_that_has_ended_stays_so() -> None:
    assert MOVES.keys() == set(NodeState)
    with fake_node() as node:
        node.move(NodeState.READY)
        node.move(NodeState.SERVING)
        node.move(NodeState.LEAVING)
        assert is_alive(node)
        node.move(NodeState.ENDED)
        assert not is_alive(node)
        with pytest.raises(IllegalMove):
            node.move(NodeState.SERVING)


def test_the_reason_is_what_it_wrote_or_how_it_ended() -> None:
    with fake_node() as node:
        assert node.reason(3) == "it has ended with status 3"
        assert node.reason(-9) == "it was ended by SIGKILL"
        assert node.reason(-200) == "it was ended by signal 200"
        node.say("Traceback\nImportError: no module\n")
        assert node.reason(1) == "ImportError: no module"
        assert node.reason(-11) == "it was ended by SIGSEGV"
        node.fault = "it was not ready"
        assert node.reason(1) == "it was not ready"


def test_messages_to_a_node_that_is_gone_are_not_sent() -> None:
    with fake_node() as node:
        assert node.send("serve", {"a": 1})
        assert [each.kind for each in node.heard()] == ["serve"]
        node.theirs.close()
        assert not node.send("serve")


def test_signals_reach_the_process_while_it_lives() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own, theirs = ControlChannel.pair()
    node = NodeProcess(child.pid, own, [], 0.0)
    node.signal(signal.SIGKILL)
    assert child.wait(20) == -signal.SIGKILL
    # Its number may be another process's by now.
    node.signal(0)
    node.state = NodeState.ENDED
    node.pid = os.getpid()  # type: ignore[misc]
    node.signal(signal.SIGKILL)
    node.close()
    theirs.close()
    if child.stdin is not None:
        child.stdin.close()
