"""How long the parent waits for a node, and what it does then.

Owns: the deadlines of nodes. Must not import: Twisted.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wampush.parent.log import Log
from wampush.parent.node_process import NodeProcess, NodeState

#: Seconds that a node has to end after its connections are gone, or in a hurry.
END_SECONDS: Final = 8.0
#: Seconds between two looks at the nodes, at most.
LOOK_SECONDS: Final = 2.0
#: Seconds by which a look may be late before this process takes itself to have been stopped.
PAUSE_SECONDS: Final = 1.0
#: Seconds between the signal that has a node that hangs write where it is, and SIGKILL.
LAST_WORDS_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds.

    :param ready: a start.
    :param hang: between two signs of life of a node that serves; 0 is for ever.
    :param drain: the end of the connections of a node.
    """

    ready: float
    hang: float
    drain: float


class Patience:
    """Ends nodes that take too long.

    :param limits: how long things may take.
    :param log: for lines of the parent.
    """

    def __init__(self, limits: Limits, log: Log) -> None:
        self._limits = limits
        self._log = log
        self._looked: float | None = None

    def next_look(self, now: float) -> float:
        """Return when :meth:`look` is needed next, at the latest."""
        return LOOK_SECONDS + (now if self._looked is None else self._looked)

    def look(self, nodes: Sequence[NodeProcess], now: float) -> None:
        """End the nodes whose time is up.

        Time in which this process did not run is not counted, because the nodes may not have run
        either: the machine slept, a virtual machine was moved, a container was paused.
        """
        paused = max(0.0, now - self.next_look(now))
        self._looked = now
        for node in tuple(nodes):
            if paused > PAUSE_SECONDS:
                node.last_sign = min(node.last_sign + paused, now)
                if node.deadline is not None:
                    node.deadline += paused
            self.check(node, now)

    def expect_ready(self, node: NodeProcess, now: float, *, behind_another: bool = False) -> None:
        """Give a node its time to start.

        :param behind_another: whether it has to wait for the end of the one before.
        """
        if self._looked is None:
            self._looked = now
        wait = self._limits.drain + END_SECONDS if behind_another else 0.0
        node.deadline = now + wait + self._limits.ready

    def watch_for_hangs(self, node: NodeProcess) -> None:
        """Expect signs of life of a node that serves."""
        node.deadline = node.last_sign + self._limits.hang if self._limits.hang else None

    def ask_to_end(self, node: NodeProcess, now: float) -> None:
        """Ask a node to end its connections and itself, if it was not asked before."""
        if node.state in (NodeState.LEAVING, NodeState.ENDED):
            return
        node.move(NodeState.LEAVING)
        node.deadline = now + self._limits.drain + END_SECONDS
        node.signal(signal.SIGTERM)

    def expect_end(self, node: NodeProcess, now: float) -> None:
        """Give a node that has handed its sessions over its time to end."""
        if node.state is NodeState.SERVING:
            node.move(NodeState.LEAVING)
            node.deadline = now + 2 * self._limits.drain + END_SECONDS

    def hurry(self, node: NodeProcess, now: float) -> None:
        """Ask a node not to wait for its connections, or to end at all."""
        if node.state is NodeState.LEAVING:
            node.signal(signal.SIGTERM)
            # Many signals must not put the end off.
            node.deadline = min(node.deadline or math.inf, now + END_SECONDS)
        else:
            self.ask_to_end(node, now)

    def check(self, node: NodeProcess, now: float) -> None:
        """End a node whose time is up."""
        if node.deadline is None or now < node.deadline:
            return
        if node.state in (NodeState.STARTING, NodeState.READY):
            node.fault = f"it was not ready within {self._limits.ready:g} s"
            self._kill(node, now)
        elif node.state is NodeState.SERVING:
            if now - node.last_sign < self._limits.hang:
                self.watch_for_hangs(node)
                return
            node.fault = f"it gave no sign of life for {self._limits.hang:g} s"
            self._log.error("process {process} hangs: {why}", process=node.pid, why=node.fault)
            self._kill(node, now)
        else:
            if not node.fault:
                self._log.warn("process {process} has not ended; killing it", process=node.pid)
            node.signal(signal.SIGKILL)
            node.deadline = now + END_SECONDS

    def _kill(self, node: NodeProcess, now: float) -> None:
        """End a node that need not be able to react; first it writes where it is."""
        node.move(NodeState.LEAVING)
        node.signal(signal.SIGQUIT)
        node.deadline = now + LAST_WORDS_SECONDS
