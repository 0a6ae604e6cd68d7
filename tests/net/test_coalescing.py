"""Equal requests are sent once, and everyone who waits gets the result."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from wampush.net.coalescing import Coalescer


def test_only_the_first_has_to_send() -> None:
    shared: Coalescer[str, int] = Coalescer()
    results: list[int] = []
    (one, first), (two, second), (other, third) = (shared.join(key) for key in "aab")
    for waiter in (one, two, other):
        waiter.addCallback(results.append)
    assert (first, second, third) == (True, False, True)
    assert len(shared) == 2
    shared.resolve("a", lambda waiter: waiter.callback(1))
    assert results == [1, 1]
    shared.resolve("b", lambda waiter: waiter.callback(2))
    assert results == [1, 1, 2]
    assert len(shared) == 0
    assert shared.join("a")[1]


def test_waiting_can_end_without_the_others_noticing() -> None:
    shared: Coalescer[str, int] = Coalescer()
    results: list[object] = []
    gone, _ = shared.join("a")
    gone.addErrback(lambda failure: failure.trap(CancelledError))
    stays, _ = shared.join("a")
    stays.addCallback(results.append)
    gone.cancel()
    assert shared.is_wanted("a")
    shared.resolve("a", lambda waiter: waiter.callback(1))
    assert results == [1]


def test_a_request_is_not_wanted_when_all_have_left() -> None:
    shared: Coalescer[str, int] = Coalescer()
    waiter, _ = shared.join("a")
    waiter.addErrback(lambda failure: failure.trap(CancelledError))
    waiter.cancel()
    assert not shared.is_wanted("a")
    assert not shared.is_wanted("b")
    # It is under way all the same, so whoever asks now waits for it.
    assert not shared.join("a")[1]
    assert shared.is_wanted("a")


def test_a_waiter_may_ask_again_from_its_callback() -> None:
    shared: Coalescer[str, int] = Coalescer()
    asked: list[bool] = []
    waiter, _ = shared.join("a")
    waiter.addCallback(lambda _: asked.append(shared.join("a")[1]))
    shared.resolve("a", lambda waiter: waiter.callback(1))
    assert asked == [True]
