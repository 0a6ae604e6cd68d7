"""One node, as its parent sees it.

Owns: the states of the process, and the signs of life that it gives.
Must not import: Twisted; what decides about nodes.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from enum import Enum, unique
from types import MappingProxyType
from typing import Final

from wampush.control_channel import ControlChannel
from wampush.parent.nodes.limits import Limits
from wampush.parent.nodes.output_lines import OutputLines, reason_in
from wampush.state_machine import moved


@unique
class NodeState(Enum):
    """How far a node is."""

    #: It loads its configuration and its applications.
    STARTING = "starting"
    #: It waits for the order to serve, while another node does.
    READY = "ready"
    #: It serves clients.
    SERVING = "serving"
    #: It was asked to end, or is being killed.
    LEAVING = "leaving"
    #: The process has ended.
    ENDED = "ended"


MOVES: Final[Mapping[NodeState, frozenset[NodeState]]] = MappingProxyType(
    {
        NodeState.STARTING: frozenset({NodeState.READY, NodeState.LEAVING, NodeState.ENDED}),
        NodeState.READY: frozenset({NodeState.SERVING, NodeState.LEAVING, NodeState.ENDED}),
        NodeState.SERVING: frozenset({NodeState.LEAVING, NodeState.ENDED}),
        NodeState.LEAVING: frozenset({NodeState.ENDED}),
        NodeState.ENDED: frozenset(),
    }
)
"""The legal moves of a node."""


class NodeProcess:
    """A process that serves clients, or is going to.

    :param pid: its process id.
    :param channel: to it.
    :param outputs: what it writes to standard error, and to standard output if the parent reads
        that.
    :param started: when it was started.
    :param worker: the number of the worker whose node it is.
    """

    def __init__(
        self,
        pid: int,
        channel: ControlChannel,
        outputs: Sequence[OutputLines],
        started: float,
        worker: int = 1,
    ) -> None:
        self.pid: Final = pid
        self.worker: Final = worker
        self.channel: Final = channel
        self.outputs: Final = outputs
        self.started: Final = started
        self.state = NodeState.STARTING
        #: Whether it has had the order to serve.
        self.has_served = False
        #: When it began to serve; None before that.
        self.serving_since: float | None = None
        #: When it gave the last sign of life.
        self.last_sign = started
        #: When something must have happened; what that is depends on the state.
        self.deadline: float | None = None
        #: The addresses that it listens on.
        self.addresses: set[tuple[str, str, int]] = set()
        #: The version of the records with which it moves sessions; 0 if it cannot.
        self.hand_over_version = 0
        #: How long it may take for things; None until it has said that.
        self.limits: Limits | None = None
        #: How many workers its configuration wants; 0 if it has not said that.
        self.wanted_workers = 0
        #: Whether it has been sent the signal to end.
        self.is_asked_to_end = False
        #: Whether it waits until no other node runs.
        self.waits_alone = False
        #: Why the parent ends it; "" for the parent's own end, or an order to end.
        self.fault = ""

    def move(self, state: NodeState) -> None:
        """Go on to another state."""
        self.state = moved(MOVES, self.state, state)
        self.has_served = self.has_served or state is NodeState.SERVING

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self.state is not NodeState.ENDED

    def send(
        self, kind: str, fields: Mapping[str, object] | None = None, descriptors: Sequence[int] = ()
    ) -> bool:
        """Send a message.

        :returns: whether it was sent. If not, the node is about to end, or is being ended.
        """
        try:
            self.channel.send(kind, fields, descriptors=descriptors, patience=0.0)
        except ConnectionError:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def reason(self, status: int) -> str:
        """Return why it has ended, in one line.

        :param status: its exit status; negative for a signal.
        """
        if self.fault:
            return self.fault
        if status < 0:
            return f"it was ended by {_name_of(-status)}"
        errors = self.outputs[0]
        errors.read_rest()
        return reason_in(errors.last) or f"it has ended with status {status}"

    def close(self) -> None:
        """Give back what belongs to a process that has ended."""
        self.channel.close()
        for each in self.outputs:
            each.close()


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
