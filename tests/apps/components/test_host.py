"""How long a component may take for what clients have left."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from tests.apps.sample_components import Held, HostWorld, Scripted, names
from wampush.apps.components.host import PATIENCE


def test_who_swallows_the_cancelling_is_not_waited_for():
    held = Held()

    async def stubborn(*_: object) -> None:
        for _attempt in range(3):
            try:
                await held()
            except CancelledError:
                continue

    component = Scripted(on_message=stubborn)
    world = HostWorld(component)
    line, runner = world.connect()
    runner.on_message("1")
    world.lose(line, runner)
    stopped: list[None] = []
    world.host.stop().addCallback(stopped.append)
    world.clock.advance(PATIENCE)
    assert names(component) == ["on_open", "on_message", "on_close"]
    assert stopped == [None]
    held.waiting[-1].callback(None)
    assert names(component) == ["on_open", "on_message", "on_close"]


def test_the_end_of_the_server_waits_for_on_close():
    held = Held()
    component = Scripted(on_close=held)
    world = HostWorld(component)
    done: list[str] = []
    world.host.stop().addCallback(lambda _: done.append("nothing to wait for"))
    assert done == ["nothing to wait for"]
    world.lose(*world.connect())
    world.lose(*world.connect())
    world.host.stop().addCallback(lambda _: done.append("stopped"))
    held.release()
    assert done == ["nothing to wait for"]
    held.release()
    assert done == ["nothing to wait for", "stopped"]


def test_an_on_close_that_hangs_ends_too():
    held = Held()
    component = Scripted(on_message=held, on_close=held)
    world = HostWorld(component)
    line, runner = world.connect()
    runner.on_message("1")
    world.lose(line, runner)
    stopped: list[None] = []
    world.host.stop().addCallback(stopped.append)
    world.clock.advance(PATIENCE)
    assert names(component) == ["on_open", "on_message", "on_close"]
    world.clock.advance(PATIENCE - 0.1)
    assert stopped == []
    world.clock.advance(0.2)
    assert stopped == [None]
    assert world.clock.getDelayedCalls() == []
