"""A node that hangs when its parent ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.waiting import PATIENCE
from wampush.control_channel import ControlChannel
from wampush.node.under_parent import orphans

HANGS = """
import sys
from wampush.node.under_parent.orphans import end_without_parent

end_without_parent(int(sys.argv[1]), 0.01)
print("hangs", flush=True)
while True:
    pass
"""


def test_a_node_that_hangs_ends_with_its_parent() -> None:
    parent, theirs = ControlChannel.pair()
    descriptor = theirs.fileno()
    node = subprocess.Popen(
        [sys.executable, "-c", HANGS, str(descriptor)],
        pass_fds=[descriptor],
        stdout=subprocess.PIPE,
    )
    theirs.close()
    assert node.stdout is not None
    try:
        assert node.stdout.readline() == b"hangs\n"
        assert node.poll() is None
        parent.close()
        assert node.wait(PATIENCE) == -signal.SIGKILL
    finally:
        node.kill()
        node.wait()
        node.stdout.close()


def test_the_wait_ends_with_the_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: killed.append(number))
    parent, theirs = ControlChannel.pair()
    parent.close()
    orphans._wait(theirs.fileno(), 0.0)
    theirs.close()
    assert killed == [signal.SIGKILL]


def test_the_wait_is_in_a_thread_with_a_descriptor_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = threading.Event()
    monkeypatch.setattr(os, "kill", lambda *_: killed.set())
    parent, theirs = ControlChannel.pair()
    orphans.end_without_parent(theirs.fileno(), 0.0)
    theirs.close()
    assert not killed.is_set()
    parent.close()
    assert killed.wait(PATIENCE)
