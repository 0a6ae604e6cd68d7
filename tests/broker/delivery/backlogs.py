"""Queues that tests fill by hand."""

from __future__ import annotations

from wampush.broker.delivery.backpressure import Backpressure


class Queue:
    """A backlog that a test fills by hand."""

    def __init__(
        self, pressure: Backpressure, queued: int = 0, address_name: str | None = None
    ) -> None:
        self.address_name = address_name
        self.pressure = pressure
        self.queued = queued
        self.stalled = False
        self.dropped = False
        self.chunks = [object()]
        pressure.on_blocked(self)
        pressure.on_queued(queued)

    def add(self, size: int) -> None:
        self.queued += size
        self.pressure.on_queued(size)

    def read(self, size: int) -> None:
        self.queued -= size
        self.chunks = [object()]
        self.pressure.on_dequeued(size)

    def own_bytes(self, samples: int) -> int:
        assert samples
        return self.queued

    def overflow(self) -> None:
        self.dropped = True
        self.pressure.on_unblocked(self)
        self.pressure.on_dequeued(self.queued)
        self.queued = 0


def grow_fast(pressure: Backpressure, queue: Queue) -> None:
    pressure.hold_for([queue])
    assert not pressure.paused
    queue.add(16)
    pressure.hold_for([queue])
