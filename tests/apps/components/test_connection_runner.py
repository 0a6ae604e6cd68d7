"""A component's methods for one connection: their forms, order and errors."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, inlineCallbacks, succeed
from twisted.logger import globalLogPublisher

from tests.apps.sample_components import FakeLine, Held, HostWorld, Scripted, names
from wampush.apps.component import Component, ComponentConnection
from wampush.apps.components.connection_runner import ConnectionState
from wampush.apps.components.host import PATIENCE
from wampush.broker.memory import MemoryLimits
from wampush.broker.memory_costs import component_message_bytes, request_bytes
from wampush.errors import CloseReason
from wampush.state_machine import IllegalEvent


@pytest.fixture
def logged():
    """The events of the log."""
    events: list[Any] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)


def test_what_a_client_sent_after_its_end_is_not_seen():
    held = Held()
    component = Scripted(on_message=held)
    line, runner = HostWorld(component).connect()
    runner.on_message("1")
    runner.on_message("2")
    line.end(CloseReason.CLOSED_BY_COMPONENT, "", 1000)
    held.release()
    runner.on_lost()
    assert names(component) == ["on_open", "on_message", "on_close"]


# Forms of methods.


def test_plain_methods_are_called_at_once():
    component = Scripted()
    line, runner = HostWorld(component).connect()
    runner.on_message("a")
    runner.on_message(b"b")
    HostWorld.lose(line, runner)
    assert component.calls == [
        ("on_open", 1),
        ("on_message", 1, "a"),
        ("on_message", 1, b"b"),
        ("on_close", 1),
    ]


def test_coroutines_deferreds_and_generators_are_waited_for():
    held = Held()

    async def coroutine(conn: ComponentConnection, data: str) -> None:
        await held()
        conn.send(f"{data} done")

    @inlineCallbacks
    def generator(conn: ComponentConnection, data: str) -> Any:
        yield held()
        conn.send(f"{data} done")

    def deferred(conn: ComponentConnection, data: str) -> Deferred[None]:
        return held().addCallback(lambda _: conn.send(f"{data} done"))

    for form in (coroutine, generator, deferred):
        line, runner = HostWorld(Scripted(on_message=form)).connect()
        runner.on_message("1")
        runner.on_message("2")
        assert line.written == []
        assert len(held.waiting) == 1
        held.release()
        assert line.written == ["1 done"]
        held.release()
        assert line.written == ["1 done", "2 done"]


def test_what_is_done_at_once_needs_no_turn():
    async def coroutine(conn: ComponentConnection, data: str) -> None:
        conn.send(data)

    for form in (coroutine, lambda conn, data: succeed(conn.send(data))):
        line, runner = HostWorld(Scripted(on_message=form)).connect()
        for number in range(5):
            runner.on_message(str(number))
        assert line.written == ["0", "1", "2", "3", "4"]


# Order.


def test_messages_wait_for_on_open_and_on_close_for_messages():
    held = Held()
    component = Scripted(on_open=held, on_message=held, on_close=held)
    world = HostWorld(component)
    line, runner = world.connect()
    runner.on_message("1")
    runner.on_message("2")
    assert names(component) == ["on_open"]
    held.release()
    assert names(component) == ["on_open", "on_message"]
    world.lose(line, runner)
    held.release()
    held.release()
    assert component.calls[1:] == [
        ("on_message", 1, "1"),
        ("on_message", 1, "2"),
        ("on_close", 1),
    ]
    held.release()
    assert world.clock.getDelayedCalls() == []


def test_other_connections_do_not_wait():
    held = Held()
    world = HostWorld(
        Scripted(on_message=lambda conn, data: held() if data == "slow" else conn.send(data))
    )
    slow, slow_runner = world.connect()
    other, other_runner = world.connect()
    slow_runner.on_message("slow")
    slow_runner.on_message("behind")
    other_runner.on_message("quick")
    assert other.written == ["quick"]
    assert slow.written == []
    held.release()
    assert slow.written == ["behind"]


@pytest.mark.unwatched
def test_very_many_waiting_messages_do_not_fill_the_stack():
    held = Held()
    world = HostWorld(
        Scripted(on_open=held, on_message=lambda conn, data: conn.send(data)), pending=50_000
    )
    line, runner = world.connect()
    for number in range(50_000):
        runner.on_message(str(number))
    held.release()
    assert line.written == [str(number) for number in range(50_000)]


def test_more_than_may_wait_drops_the_connection():
    held = Held()
    component = Scripted(on_message=held)
    world = HostWorld(component, pending=3)
    line, runner = world.connect()
    for number in range(4):
        runner.on_message(str(number))
    assert line.ended == []
    runner.on_message("one too many")
    ((reason, detail, _),) = line.ended
    assert reason is CloseReason.FLOODING
    assert detail == "limits.pending_per_session = 3 messages are already waiting for shop:Chat."
    runner.on_lost()
    held.release()
    assert names(component) == ["on_open", "on_message", "on_close"]


def test_more_bytes_than_may_wait_drop_the_connection():
    held = Held()
    world = HostWorld(Scripted(on_message=held), pending_bytes=10)
    line, runner = world.connect()
    for data in ("it runs already, so it does not wait", b"12345678", "12"):
        runner.on_message(data)
    assert line.ended == []
    runner.on_message("3")
    ((reason, detail, _),) = line.ended
    assert reason is CloseReason.FLOODING
    assert (
        detail == "limits.pending_bytes_per_session = 10 bytes are already waiting for shop:Chat."
    )


def test_what_has_been_dealt_with_makes_room():
    seen: list[str | bytes] = []
    held = Held()
    component = Scripted(on_open=held, on_message=lambda _, data: seen.append(data))
    world = HostWorld(component, pending_bytes=10)
    line, runner = world.connect()
    runner.on_message("1234567890")
    held.release()
    runner.on_message("1234567890")
    assert line.ended == []
    assert seen == ["1234567890"] * 2


# Errors.


def raises(*_: Any) -> None:
    raise ValueError("secret")


async def raises_later(*_: Any) -> None:
    raise ValueError("secret")


def fails(*_: Any) -> Deferred[None]:
    return fail(ValueError("secret"))


def exits(*_: Any) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("method", ["on_open", "on_message", "on_close"])
@pytest.mark.parametrize("form", [raises, raises_later, fails, exits])
def test_an_error_closes_its_connection_only_and_stands_in_the_log(logged, method: str, form: Any):
    component = Scripted()
    world = HostWorld(component)
    other, other_runner = world.connect()
    component.methods[method] = form
    line, runner = world.connect()
    runner.on_message("x")
    component.methods.clear()
    world.lose(line, runner)
    if method == "on_close":
        component.methods[method] = form
        world.lose(*world.connect())
        component.methods.clear()
    other_runner.on_message("fine")
    assert other.reason is None
    incidents = [event for event in logged if "incident" in event]
    assert len(incidents) == 1
    number = incidents[0]["incident"]
    assert incidents[0]["traceback"].endswith(("ValueError: secret", "SystemExit: 3"))
    assert incidents[0]["action"].startswith(f"shop:Chat.{method} for client ")
    assert incidents[0]["action"].endswith("from 192.0.2.1")
    if method != "on_close":
        assert line.ended == [(CloseReason.COMPONENT_FAILED, f"incident {number}", None)]
    assert names(component).count("on_close") == (2 if method == "on_close" else 1)


def test_nothing_of_an_error_goes_out():
    line, runner = HostWorld(Scripted(on_message=raises)).connect()
    runner.on_message("x")
    assert "secret" not in str(line.ended)
    assert line.written == []


def test_on_error_may_answer_and_go_on(logged):
    def on_message(conn: ComponentConnection, data: str) -> None:
        conn.send(str(10 // int(data)))

    component = Scripted(
        on_message=on_message, on_error=lambda conn, exc: conn.send(type(exc).__name__)
    )
    line, runner = HostWorld(component).connect()
    for data in ("2", "0", "x", "5"):
        runner.on_message(data)
    assert line.written == ["5", "ZeroDivisionError", "ValueError", "2"]
    assert line.ended == []
    assert [event for event in logged if "incident" in event] == []


def test_on_error_may_take_its_time_and_close():
    held = Held()

    async def on_error(conn: ComponentConnection, exc: Exception) -> None:
        await held()
        conn.close(4000, str(exc))

    component = Scripted(on_message=raises, on_error=on_error)
    line, runner = HostWorld(component).connect()
    runner.on_message("1")
    runner.on_message("2")
    assert names(component) == ["on_open", "on_message", "on_error"]
    held.release()
    assert line.ended == [(CloseReason.CLOSED_BY_COMPONENT, "secret", 4000)]
    assert names(component) == ["on_open", "on_message", "on_error"]


@pytest.mark.parametrize("form", [raises, raises_later, fails, exits])
def test_an_error_of_on_error_is_logged_next_to_the_first_one(logged, form: Any):
    def on_message(_: ComponentConnection, data: str) -> None:
        raise KeyError(data)

    line, runner = HostWorld(Scripted(on_message=on_message, on_error=form)).connect()
    runner.on_message("x")
    first, second = (event for event in logged if "incident" in event)
    assert first["action"].startswith("shop:Chat.on_message")
    assert first["traceback"].endswith("KeyError: 'x'")
    assert second["action"].startswith("shop:Chat.on_error")
    assert line.ended == [(CloseReason.COMPONENT_FAILED, f"incident {first['incident']}", None)]


def test_a_place_that_fails_again_and_again_has_a_traceback_once_a_second(logged):
    world = HostWorld(Scripted(on_message=raises))
    for _ in range(5):
        _, runner = world.connect()
        runner.on_message("x")
    incidents = [event for event in logged if "incident" in event]
    assert len(incidents) == 1
    world.clock.advance(1.0)
    world.connect()[1].on_message("x")
    assert len([event for event in logged if "incident" in event]) == 2


# What a client leaves behind.


def test_what_a_client_sent_before_it_left_is_dealt_with():
    held = Held()
    component = Scripted(on_message=held)
    world = HostWorld(component)
    line, runner = world.connect()
    runner.on_message("1")
    runner.on_message("2")
    world.lose(line, runner)
    held.release()
    held.release()
    assert names(component) == ["on_open", "on_message", "on_message", "on_close"]


@pytest.mark.parametrize("form", ["deferred", "coroutine"])
def test_what_takes_too_long_after_the_end_is_cancelled(logged, form: str):
    held = Held()
    cancelled: list[object] = []

    async def on_message(*_: object) -> None:
        try:
            await held()
        except CancelledError as error:
            cancelled.append(error)
            raise

    component = Scripted(on_message=held if form == "deferred" else on_message)
    world = HostWorld(component)
    line, runner = world.connect()
    runner.on_message("1")
    runner.on_message("2")
    world.lose(line, runner)
    world.clock.advance(PATIENCE - 0.1)
    assert names(component) == ["on_open", "on_message"]
    world.clock.advance(0.2)
    assert names(component) == ["on_open", "on_message", "on_close"]
    assert len(cancelled) == (form == "coroutine")
    assert [event for event in logged if "incident" in event] == []
    assert world.clock.getDelayedCalls() == []


def test_nothing_keeps_a_connection_that_is_done():
    component = Component()
    world = HostWorld(component)
    gc.collect()
    gc.disable()
    try:
        line, runner = world.connect()
        runner.on_message("x")
        world.lose(line, runner)
        left = weakref.ref(line)
        del line, runner
        assert left() is None
    finally:
        gc.enable()


def test_an_exception_of_a_lost_client_is_logged_all_the_same(logged):
    held = Held()
    world = HostWorld(Scripted(on_message=held))
    line, runner = world.connect()
    runner.on_message("1")
    world.lose(line, runner)
    held.waiting.pop().errback(ValueError("late"))
    assert len([event for event in logged if "incident" in event]) == 1
    assert isinstance(line, FakeLine)
    assert line.ended == []


def test_states_follow_the_table():
    _, runner = HostWorld(Component()).connect()
    with pytest.raises(IllegalEvent):
        runner.on_open()
    assert runner._state is ConnectionState.OPEN


def test_what_connections_keep_is_counted_until_it_is_handled():
    held = Held()
    world = HostWorld(Scripted(on_message=held))
    line, runner = world.connect()
    opened = world.host.memory.total
    assert opened == request_bytes({"host": "a"})
    runner.on_message("1")
    runner.on_message("22")
    both = component_message_bytes("1") + component_message_bytes("22")
    assert world.host.memory.total == opened + both
    held.release()
    assert world.host.memory.total == opened + component_message_bytes("22")
    held.release()
    assert world.host.memory.total == opened
    world.lose(line, runner)
    assert world.host.memory.total == 0


def test_messages_beyond_a_limit_on_memory_end_the_connection():
    held = Held()
    most = request_bytes({"host": "a"}) + 2 * component_message_bytes("x")
    world = HostWorld(Scripted(on_message=held), limits=MemoryLimits(most, most, most))
    line, runner = world.connect()
    for _ in range(4):
        runner.on_message("x")
    assert line.ended == [(CloseReason.MEMORY_LIMIT, "session-memory", 1013)]
    other, _ = world.connect()
    assert other.ended == [(CloseReason.MEMORY_LIMIT, "address-memory", 1013)]
    runner.on_lost()
    world.clock.advance(PATIENCE)
    assert world.host.memory.total == 0
