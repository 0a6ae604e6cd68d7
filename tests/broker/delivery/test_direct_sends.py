"""One call for many outboxes: rests are put back before anything else runs."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.broker.world import DirectOutbox, Wire, World, send_each
from wampush.broker.delivery.batch import Batch
from wampush.broker.delivery.chunks import LARGE_BYTES
from wampush.broker.delivery.direct_sends import DirectSends
from wampush.broker.publication import Publication
from wampush.choices import SlowClient


def outbox_of(world: World, room: int | None = None) -> Any:
    outbox = DirectOutbox(10 * LARGE_BYTES, world.pressure, Wire(room), world.format(""))
    outbox.handle = outbox
    return outbox


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def direct() -> DirectSends:
    sends: Any = send_each
    return DirectSends(sends)


def test_all_get_their_chunks(world: World, direct: DirectSends) -> None:
    outboxes = [outbox_of(world) for _ in range(3)]
    direct.send(outboxes, [b"a", b"b", b"c"])
    assert [bytes(each.wire.received) for each in outboxes] == [b"a", b"b", b"c"]
    assert [(each.queued, each.blocked) for each in outboxes] == [(0, False)] * 3


def test_what_a_wire_does_not_take_waits(world: World, direct: DirectSends) -> None:
    outboxes = [outbox_of(world), outbox_of(world, 2), outbox_of(world, 0)]
    direct.send(outboxes, [b"x" * 100] * 3)
    assert [each.blocked for each in outboxes] == [False, True, True]
    assert [each.queued for each in outboxes] == [0, 98, 100]
    assert world.pressure.total == 198
    for each in outboxes:
        each.drain(1000)
        assert each.wire.received == b"x" * 100
    assert world.pressure.total == 0


def test_a_dead_wire_closes_its_outbox_only(world: World, direct: DirectSends) -> None:
    outboxes = [outbox_of(world) for _ in range(3)]
    outboxes[1].wire.dead = True
    direct.send(outboxes, [b"x"] * 3)
    assert [each.closed for each in outboxes] == [False, True, False]


def test_a_batch_goes_to_all_but_those_that_have_something_queued(
    world: World, direct: DirectSends
) -> None:
    usual, packed, without_handle, backlogged, blocked = (outbox_of(world) for _ in range(5))
    packed.format = world.format("v")
    without_handle.handle = None
    world.fanout.send(backlogged, b"before")
    blocked.wire.room = 0
    direct.send([blocked], [b"stuck"])
    receivers = [
        SimpleNamespace(outbox=each)
        for each in (backlogged, without_handle, usual, packed, blocked)
    ]
    batch = Batch("t", receivers, SlowClient.DISCONNECT)
    batch.publications.append(Publication("t", b"1"))
    assert direct.send_batch(batch) == [receivers[0], receivers[4]]
    assert usual.wire.received == without_handle.wire.received == batch.chunk(usual.format)
    assert packed.wire.received == batch.chunk(packed.format) != batch.chunk(usual.format)
    assert backlogged.wire.received == blocked.wire.received == b""


class Meddling(DirectOutbox):
    """Other code runs when it is noted as blocked."""

    on_wait: Callable[[], object] = staticmethod(lambda: None)

    def wait_for_wire(self) -> None:
        super().wait_for_wire()
        self.on_wait()


def meddling(world: World, on_wait: Callable[[], object]) -> Any:
    outbox = Meddling(10 * LARGE_BYTES, world.pressure, Wire(0), world.format(""))
    outbox.handle = outbox
    outbox.on_wait = on_wait
    return outbox


def test_what_is_queued_meanwhile_comes_after_the_rest(world: World, direct: DirectSends) -> None:
    second = outbox_of(world, 3)
    first = meddling(world, lambda: world.fanout.send(second, b"later"))
    direct.send([first, second], [b"first", b"second"])
    assert second.blocked
    second.drain(1000)
    world.end_turn()
    second.drain(1000)
    assert second.wire.received == b"secondlater"


def test_an_outbox_that_was_flushed_meanwhile_is_not_blocked(
    world: World, direct: DirectSends
) -> None:
    second = outbox_of(world, 3)

    def flush() -> None:
        second.wire.room = None
        world.fanout.flush_one(second)

    direct.send([meddling(world, flush), second], [b"first", b"second"])
    assert second.wire.received == b"second"
    assert (second.queued, second.blocked) == (0, False)


def test_an_outbox_that_was_closed_meanwhile_stays_closed(
    world: World, direct: DirectSends
) -> None:
    second = outbox_of(world, 3)
    direct.send([meddling(world, second.close), second], [b"first", b"second"])
    assert second.closed
    assert second.chunks == []
    assert world.pressure.total == len(b"first")


def test_a_flush_joins_what_is_queued(world: World, direct: DirectSends) -> None:
    outboxes = [outbox_of(world) for _ in range(2)]
    for each in outboxes:
        each.append(b"one")
        each.append(b"two")
    direct.flush([*outboxes, outboxes[0], outbox_of(world)])
    assert [bytes(each.wire.received) for each in outboxes] == [b"onetwo"] * 2
    assert [each.flushes for each in outboxes] == [1, 1]


def test_a_flush_leaves_blocked_outboxes_alone(world: World, direct: DirectSends) -> None:
    blocked = outbox_of(world, 0)
    direct.send([blocked], [b"x" * 100])
    blocked.append(b"more")
    direct.flush([blocked])
    assert blocked.flushes == 1


def test_those_without_a_handle_flush_by_themselves_after_the_others(
    world: World, direct: DirectSends
) -> None:
    order: list[str] = []
    alone = world.client(buffered=True).outbox
    flush = alone.flush

    def note() -> None:
        order.append(f"alone, {bytes(together.wire.received)!r}")
        flush()

    vars(alone)["flush"] = note
    together = outbox_of(world)
    for each in (alone, together):
        each.append(b"x")
    direct.flush([alone, together])
    assert order == ["alone, b'x'"]
    assert alone.wire.received.endswith(b"x")


def test_much_is_not_joined(world: World, direct: DirectSends) -> None:
    outbox = outbox_of(world)
    for _ in range(3):
        outbox.append(b"x" * LARGE_BYTES)
    direct.flush([outbox])
    # By its own method; what sends to many was not called.
    assert outbox.wire.received == b"x" * (3 * LARGE_BYTES)


def test_a_view_is_left_to_the_outbox(world: World, direct: DirectSends) -> None:
    outbox = outbox_of(world)
    outbox.append(memoryview(b"xyz")[1:])
    assert outbox.take_whole() is None
    direct.flush([outbox])
    assert outbox.wire.received == b"yz"
