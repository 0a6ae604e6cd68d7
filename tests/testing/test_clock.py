"""A clock that a test moves, and that threads can hand calls to."""

from __future__ import annotations

import threading

from wampush.testing.clock import START, ThreadedClock


def test_the_time_of_day_moves_with_the_clock() -> None:
    clock = ThreadedClock()
    assert clock.now() == START
    clock.advance(90)
    assert clock.now() == START + 90


def test_calls_of_threads_run_in_the_thread_of_the_test() -> None:
    clock = ThreadedClock()
    ran: list[object] = []
    thread = threading.Thread(target=clock.callFromThread, args=(ran.append, "from the thread"))
    thread.start()
    assert clock.run_one(20)
    thread.join()
    assert ran == ["from the thread"]
    assert not clock.run_one(0)
