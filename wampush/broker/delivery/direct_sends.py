"""One call that sends to many outboxes.

Owns: what happens to the outboxes whose wire has not taken everything, and in which order.
Must not import: Twisted, sockets, the edges; what sends is handed in.

While an outbox is being noted as blocked, other code runs: limits on memory are looked at,
transports ask for more, sources are woken. That code may queue something for an outbox whose own
rest is not noted yet, which would then come before this rest. So first the rests of all are put
back, which calls nothing, and only then does anything else happen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wampush.broker.delivery.batch import Batch, Receiver
from wampush.broker.delivery.format import Format
from wampush.broker.delivery.outbox import Outbox

SendEach = Callable[[list[Any], list[bytes]], list[tuple[int, int]]]
"""Sends each chunk to the handle with the same index. Returns the index of each that was not sent
as a whole, and how many bytes were; or a negative number if its wire is broken."""


class DirectSends:
    """Sends to outboxes that have a handle.

    :param send_each: see :data:`SendEach`.
    """

    __slots__ = ("_send_each",)

    def __init__(self, send_each: SendEach) -> None:
        self._send_each = send_each

    def send(self, outboxes: list[Outbox], chunks: list[bytes]) -> None:
        """Send a chunk to each outbox; those are free and empty, and each is in the list once."""
        unsent = self._send_each([outbox.handle for outbox in outboxes], chunks)
        if not unsent:
            return
        for index, sent in unsent:
            if sent >= 0:
                outboxes[index].keep_rest(chunks[index], sent)
        for index, sent in unsent:
            outbox = outboxes[index]
            if sent < 0:
                outbox.close()
            elif outbox.queued and not outbox.blocked:
                outbox.wait_for_wire()

    def send_batch(self, batch: Batch) -> list[Receiver]:
        """Send a batch to its receivers, those without a handle after the others.

        :returns: those for which something is queued, and which have got nothing.
        """
        wire_format: Format | None = None
        chunk = b""
        outboxes: list[Outbox] = []
        chunks: list[bytes] = []
        others: list[Receiver] = []
        for receiver in batch.receivers:
            outbox = receiver.outbox
            if outbox.queued or outbox.handle is None:
                others.append(receiver)
                continue
            # Most receivers have the format of the one before, so this is one comparison each.
            if outbox.format is not wire_format:
                wire_format = outbox.format
                chunk = batch.chunk(wire_format)
            outboxes.append(outbox)
            chunks.append(chunk)
        self.send(outboxes, chunks)
        backlogged: list[Receiver] = []
        for receiver in others:
            outbox = receiver.outbox
            if outbox.queued:
                backlogged.append(receiver)
            else:
                outbox.send(batch.chunk(outbox.format))
        return backlogged

    def flush(self, outboxes: list[Outbox]) -> None:
        """Flush outboxes; those that are empty or blocked, and repeated ones, are left alone."""
        direct: list[Outbox] = []
        chunks: list[bytes] = []
        others: list[Outbox] = []
        for outbox in outboxes:
            if outbox.queued and not outbox.blocked:
                chunk = None if outbox.handle is None else outbox.take_whole()
                if chunk is None:
                    others.append(outbox)
                else:
                    direct.append(outbox)
                    chunks.append(chunk)
        if direct:
            self.send(direct, chunks)
        # Not before: flushing them calls other code, while the taken chunks are nowhere.
        for outbox in others:
            if outbox.queued and not outbox.blocked:
                outbox.flush()
