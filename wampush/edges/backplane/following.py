"""The channels that a node follows at Redis.

Owns: their names there, and the commands that begin and end subscriptions. No I/O.
Must not import: Twisted, the other edges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

#: Channels that one SUBSCRIBE names; more would keep Redis from others for long.
BATCH: Final = 512
_SUBSCRIBE: Final = b"SUBSCRIBE"
_UNSUBSCRIBE: Final = b"UNSUBSCRIBE"


class Following:
    """What is followed, and what of that Redis does not know yet.

    :param prefix: what the names of all channels begin with at Redis.
    :param own: a channel that is always followed, and never reported.
    """

    def __init__(self, prefix: bytes, own: str) -> None:
        self._prefix = prefix
        self._own = own
        self._wanted: dict[str, None] = {own: None}
        self._changes: list[tuple[bytes, bytes]] = []
        #: Channels that Redis has confirmed and that are not reported yet.
        self.confirmed: list[str] = []

    def __len__(self) -> int:
        """Return how many channels are followed, without the own one."""
        return len(self._wanted) - 1

    def name_at_redis(self, channel: str) -> bytes:
        """Return the name of a channel at Redis."""
        return self._prefix + channel.encode()

    def name_of(self, name_at_redis: bytes) -> str:
        """Return the channel that has a name at Redis."""
        return name_at_redis[len(self._prefix) :].decode()

    def add(self, channels: Collection[str]) -> None:
        """Follow channels from now on, or have them confirmed again."""
        self._wanted.update(dict.fromkeys(channels))
        self._changes += [(_SUBSCRIBE, self.name_at_redis(each)) for each in channels]

    def remove(self, channels: Collection[str]) -> None:
        """Follow channels no longer."""
        for each in channels:
            self._wanted.pop(each, None)
        self._changes += [(_UNSUBSCRIBE, self.name_at_redis(each)) for each in channels]

    def begin_again(self) -> None:
        """Follow everything that is wanted: the server knows nothing of it."""
        self.confirmed.clear()
        self._changes = [(_SUBSCRIBE, self.name_at_redis(each)) for each in self._wanted]

    def forget_changes(self) -> None:
        """Send nothing of what has changed: there is no server."""
        self._changes.clear()
        self.confirmed.clear()

    def commands(self) -> Iterator[tuple[bytes, ...]]:
        """Yield the commands that bring the server up to date."""
        changes, self._changes = self._changes, []
        for verb, run in groupby(changes, itemgetter(0)):
            channels = [channel for _, channel in run]
            for begin in range(0, len(channels), BATCH):
                yield (verb, *channels[begin : begin + BATCH])

    def on_confirmed(self, kind: bytes, name_at_redis: bytes) -> None:
        """Take note of a confirmation."""
        if kind == b"subscribe":
            channel = self.name_of(name_at_redis)
            if channel != self._own:
                self.confirmed.append(channel)

    def take_confirmed(self) -> list[str]:
        """Return the channels that are confirmed, once."""
        confirmed, self.confirmed = self.confirmed, []
        return confirmed
