"""Whether a node serves, hands its work over, or ends.

Owns: these states and their legal moves. Must not import: Twisted.

This only notes the state, for ``/readyz``. The service notes its own end in
``WampushService.serving``; who has another node take over notes that this one drains.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final

from wampush.state_machine import moved


@unique
class ServingState(Enum):
    """What a node does; the values are those of ``/readyz``."""

    #: It takes clients and pushes.
    SERVING = "serving"
    #: It goes on with what it has, and should get nothing new.
    DRAINING = "draining"
    #: The process ends.
    STOPPING = "stopping"


MOVES: Final[Mapping[ServingState, frozenset[ServingState]]] = MappingProxyType(
    {
        ServingState.SERVING: frozenset({ServingState.DRAINING, ServingState.STOPPING}),
        ServingState.DRAINING: frozenset({ServingState.SERVING, ServingState.STOPPING}),
        ServingState.STOPPING: frozenset(),
    }
)
"""The legal moves of a node."""


class Serving:
    """The state of a node; it serves from the start."""

    def __init__(self) -> None:
        self._state = ServingState.SERVING

    @property
    def state(self) -> ServingState:
        """What the node does."""
        return self._state

    def takes_more(self) -> bool:
        """Return whether connections may go on; not with those of a node that another replaces."""
        return self._state is not ServingState.DRAINING

    def drain(self) -> None:
        """Note that the node should get nothing new, because another one takes over."""
        self._move(ServingState.DRAINING)

    def resume(self) -> None:
        """Note that the node serves again, because no other one takes over."""
        self._move(ServingState.SERVING)

    def stop(self) -> None:
        """Note that the process ends."""
        self._move(ServingState.STOPPING)

    def _move(self, state: ServingState) -> None:
        self._state = moved(MOVES, self._state, state)
