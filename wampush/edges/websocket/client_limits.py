"""What one client of the WebSocket edge may use.

Owns: the limits that hold for each connection by itself. Must not import: anything of wampush.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one client may use.

    :param queue_bytes: bytes that may wait to be sent to it.
    :param messages_per_second: messages that it may send in the long run.
    :param message_burst: messages that it may send at once.
    """

    queue_bytes: int
    messages_per_second: float
    message_burst: int

    def renewed(self, allowance: float, seconds: float) -> float:
        """Return how many messages a client may send after some time.

        :param allowance: how many it might send before.
        :param seconds: since then.
        """
        return min(float(self.message_burst), allowance + seconds * self.messages_per_second)
