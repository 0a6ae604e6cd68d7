"""The cut between two processes that follow the same topics, one of which goes on for the other.

Owns: whose business each publication to a topic without history is that the bus brings meanwhile,
and what waits. Must not import: Twisted, the edges.

While a process hands its sessions over, both follow what these are subscribed to. The new one sends
a marker over the bus as soon as it follows everything. All messages of the bus come to both in the
same order, so that the marker divides them: those before it are the business of the old process,
which forwards them to the new one; those after it are the new one's. What the new one gets after
the marker waits until it has received everything before it. So each publication is delivered once,
and in its order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final

import orjson

from wampush.broker.backplane.control import Control
from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.node_message import NodeMessage
from wampush.state_machine import moved

#: The kind of the marker; every process gets it, and ignores that of others.
KIND: Final = "cut"
#: Bytes of publications that wait, with :data:`OVERHEAD_BYTES` for each.
HELD_BYTES: Final = 16 * 1024 * 1024
OVERHEAD_BYTES: Final = 512


@unique
class CutState(Enum):
    """Whose business a publication is that comes."""

    #: This process delivers it.
    HERE = "here"
    #: The old process delivers it, and forwards it to this one.
    BEFORE = "before"
    #: It waits until this process has received everything before it.
    HELD = "held"
    #: The new process delivers it.
    LEFT = "left"


_MOVES: Final[Mapping[CutState, frozenset[CutState]]] = MappingProxyType(
    {
        CutState.HERE: frozenset({CutState.BEFORE, CutState.LEFT}),
        CutState.BEFORE: frozenset({CutState.HELD, CutState.HERE}),
        CutState.HELD: frozenset({CutState.HERE}),
        CutState.LEFT: frozenset(),
    }
)


class Cut:
    """Divides what the bus brings between two processes.

    :param control: carries the marker.
    :param interest: knows when everything is followed.
    :param deliver: takes a publication that has waited, and its topic.
    """

    def __init__(
        self, control: Control, interest: Interest, deliver: Callable[[str, NodeMessage], object]
    ) -> None:
        self._control = control
        self._interest = interest
        self._deliver = deliver
        self._state = CutState.HERE
        #: Whether this process delivers what comes; read for each publication.
        self.is_here = True
        self._marker = b""
        self._is_due = False
        #: Called with the marker; None where it is not expected, or has come.
        self._on_reached: Callable[[], object] | None = None
        self._on_full: Callable[[], object] | None = None
        self._held: deque[tuple[str, NodeMessage]] = deque()
        self._held_bytes = 0
        #: Publications that were the other process's business.
        self.left_out = 0
        control.take(KIND, self._on_marker)

    @property
    def state(self) -> CutState:
        """Whose business the next publication is."""
        return self._state

    def keep(self, topic: str, message: NodeMessage) -> None:
        """Take a publication that this process does not deliver, or not yet."""
        if self._state is not CutState.HELD:
            self.left_out += 1
            return
        self._held.append((topic, message))
        self._held_bytes += len(message.payload) + OVERHEAD_BYTES
        on_full = self._on_full
        if self._held_bytes > HELD_BYTES and on_full is not None:
            self._on_full = None
            on_full()

    # The new process.

    def begin(self) -> None:
        """Leave what comes to the old process, which forwards it."""
        self._move(CutState.BEFORE)

    def mark(
        self, token: str, on_reached: Callable[[], object], on_full: Callable[[], object]
    ) -> None:
        """Send the marker once everything is followed.

        :param token: names the marker.
        :param on_reached: called when the marker has come back, so that what comes waits.
        :param on_full: called once if more waits than may; nothing that comes is left out then.
        """
        self._marker, self._on_reached, self._on_full = _marker(token), on_reached, on_full
        self._is_due = True
        self.look()

    def look(self) -> None:
        """Send the marker if it is time; call it whenever something is followed."""
        if self._is_due and self._interest.is_complete:
            self._is_due = False
            self._control.send(KIND, self._marker, on_sent=self._on_sent)

    def open(self) -> None:
        """Deliver what has waited, and from now on what comes."""
        self._is_due, self._marker = False, b""
        self._on_reached = self._on_full = None
        if not self.is_here:
            self._move(CutState.HERE)
        while self._held:
            self._deliver(*self._held.popleft())
        self._held_bytes = 0

    def _on_sent(self, nodes: int | None) -> None:
        # With the next link, everything is followed anew.
        self._is_due = nodes is None and self._state is CutState.BEFORE

    # The old process.

    def expect(self, token: str, on_reached: Callable[[], object]) -> None:
        """Leave what comes after a marker to the new process.

        :param token: names the marker.
        :param on_reached: called when everything before it is delivered here.
        """
        self._marker, self._on_reached = _marker(token), on_reached

    def leave(self) -> None:
        """Leave everything to the new process, whether the marker has come or not."""
        if self._state is CutState.HERE:
            self._move(CutState.LEFT)

    # Both.

    def _on_marker(self, message: NodeMessage) -> None:
        if not self._marker or message.payload != self._marker:
            return
        # It may come again after a loss of the link.
        on_reached, self._on_reached = self._on_reached, None
        if on_reached is not None:
            self._move(CutState.HELD if self._state is CutState.BEFORE else CutState.LEFT)
            on_reached()

    def _move(self, state: CutState) -> None:
        self._state = moved(_MOVES, self._state, state)
        self.is_here = state is CutState.HERE


def _marker(token: str) -> bytes:
    return orjson.dumps({"token": token})
