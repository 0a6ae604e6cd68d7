"""How long the parent waits for a node, and what it does then.

Owns: the deadlines of nodes. Must not import: Twisted.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from typing import Final

from wampush.parent.log import Log
from wampush.parent.nodes.limits import Limits, limits_of
from wampush.parent.nodes.node_process import NodeProcess, NodeState

#: Seconds that a node has to end after its connections are gone, or in a hurry.
END_SECONDS: Final = 8.0
#: Seconds between two looks at the nodes, at most.
LOOK_SECONDS: Final = 2.0
#: Seconds by which a look may be late before this process takes itself to have been stopped.
PAUSE_SECONDS: Final = 1.0
#: Seconds between the signal that has a node that hangs write where it is, and SIGKILL.
LAST_WORDS_SECONDS: Final = 0.5


class Patience:
    """Ends nodes that take too long.

    :param limits: how long things may take, for nodes that do not say it themselves.
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
        limits = self._of(node)
        wait = self._limits.drain + END_SECONDS if behind_another else 0.0
        node.deadline = now + wait + limits.ready

    def apply(self, node: NodeProcess, limits: object) -> None:
        """Apply the limits of the configuration that a node has read.

        :param limits: what the node says about them.
        """
        before, node.limits = self._of(node), limits_of(limits, self._limits)
        if node.state is NodeState.STARTING and node.deadline is not None:
            node.deadline += node.limits.ready - before.ready

    def watch_for_hangs(self, node: NodeProcess) -> None:
        """Expect signs of life of a node that serves; those that follow begin with its limits."""
        self._limits = limits = self._of(node)
        node.deadline = node.last_sign + limits.hang if limits.hang else None

    def ask_to_end(self, node: NodeProcess, now: float) -> None:
        """Ask a node to end its connections and itself, if it was not asked before."""
        if node.is_asked_to_end or node.state is NodeState.ENDED:
            return
        node.is_asked_to_end = True
        deadline = now + self._of(node).drain + END_SECONDS
        if node.state is NodeState.LEAVING:
            # It has handed its sessions over, and is not in a hurry, or it is being killed.
            deadline = min(deadline, node.deadline or math.inf)
        else:
            node.move(NodeState.LEAVING)
        node.deadline = deadline
        node.signal(signal.SIGTERM)

    def expect_end(self, node: NodeProcess, now: float) -> None:
        """Give a node that has handed its sessions over its time to end."""
        if node.state is NodeState.SERVING:
            node.move(NodeState.LEAVING)
            node.deadline = now + 2 * self._of(node).drain + END_SECONDS

    def hurry(self, node: NodeProcess, now: float) -> None:
        """Ask a node not to wait for its connections, or to end at all."""
        if node.is_asked_to_end:
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
            node.fault = f"it was not ready within {self._of(node).ready:g} s"
            self._kill(node, now)
        elif node.state is NodeState.SERVING:
            hang = self._of(node).hang
            if now - node.last_sign < hang:
                self.watch_for_hangs(node)
                return
            node.fault = f"it gave no sign of life for {hang:g} s"
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

    def _of(self, node: NodeProcess) -> Limits:
        return node.limits or self._limits
