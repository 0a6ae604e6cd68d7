"""What waits for one client, as far as backpressure needs it.

Owns: the protocols of such queues, and of timers; what counts for an empty one.
Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

#: What counts as queued for a client that only waits for its turn to catch up.
TURN_BYTES: Final = 1


class Timer(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None:
        """Cancel the call."""


class Backlog(Protocol):
    """A queue whose client cannot be sent anything for now."""

    queued: int
    stalled: bool

    @property
    def chunks(self) -> Sequence[object]:
        """What waits; the first one is another object once something has been sent."""

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""

    def own_bytes(self, samples: int) -> int:
        """Return an estimate of what only this outbox keeps in memory, in bytes.

        :param samples: chunks to look at.
        """

    def overflow(self) -> None:
        """End the connection of this client: it is too slow."""
