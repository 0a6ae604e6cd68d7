"""Items that wait equally long, with one timer."""

from __future__ import annotations

from tests.broker.world import FakeClock
from wampush.broker.presence.delay_queue import GRAIN, SLICE, DelayQueue
from wampush.clock import Clock


class Bell:
    def __init__(self) -> None:
        self.rung = 0

    def on_elapsed(self) -> None:
        self.rung += 1


def test_a_queue_has_one_timer_and_none_while_it_is_empty():
    clock = FakeClock()
    delay = DelayQueue(2.0, Clock(lambda: clock.now, clock.call_later))
    bells = [Bell() for _ in range(5)]
    for bell in bells:
        delay.add(bell)
        clock.advance(GRAIN / 10)
        assert len(clock.pending) == 1
    clock.advance(2.0)
    assert [bell.rung for bell in bells] == [1] * 5
    assert clock.pending == []


def test_a_clock_that_is_set_back_delays_nothing():
    clock = FakeClock()
    delay = DelayQueue(2.0, Clock(lambda: clock.now, clock.call_later))
    bells = [Bell(), Bell()]
    delay.add(bells[0])
    clock.now -= 3600
    # The timer itself is late then, which the reactor has to answer for.
    clock.pending[0].time = clock.now + 1
    clock.advance(1)
    assert bells[0].rung == 1
    delay.add(bells[1])
    clock.advance(2.0)
    assert bells[1].rung == 1


def test_items_are_handled_in_order_and_a_bounded_number_per_round():
    clock = FakeClock()
    queue = DelayQueue(2.0, Clock(lambda: clock.now, clock.call_later))
    bells = [Bell() for _ in range(SLICE + 1)]
    for bell in bells:
        queue.add(bell)
    clock.advance(2.0)
    assert [bell.rung for bell in bells] == [1] * SLICE + [0]
    assert [timer.time for timer in clock.pending] == [clock.now]
    clock.advance(0.0)
    assert bells[-1].rung == 1


def test_an_item_may_wait_again():
    clock = FakeClock()
    queue = DelayQueue(2.0, Clock(lambda: clock.now, clock.call_later))

    class Again(Bell):
        def on_elapsed(self) -> None:
            super().on_elapsed()
            queue.add(self)

    bell = Again()
    queue.add(bell)
    for expected in (1, 2, 3):
        clock.advance(2.0)
        assert bell.rung == expected
        assert len(clock.pending) == 1


def test_a_stopped_queue_drops_everything():
    clock = FakeClock()
    queue = DelayQueue(2.0, Clock(lambda: clock.now, clock.call_later))
    bell = Bell()
    queue.add(bell)
    queue.stop()
    assert clock.pending == []
    queue.add(bell)
    queue.stop()
    clock.advance(10.0)
    assert bell.rung == 0


def test_a_queue_that_is_empty_can_be_stopped():
    clock = FakeClock()
    queue = DelayQueue(2.0, Clock(lambda: clock.now, clock.call_later))
    queue.stop()
    queue.add(Bell())
    assert clock.pending == []
