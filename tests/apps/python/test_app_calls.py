"""Procedures of apps: forms of handlers, arguments, results, errors, limits."""

# ruff: noqa: ARG001, ARG002, ARG005 (handlers take what they are called with)

from __future__ import annotations

import dataclasses
import functools
import json
import queue
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, inlineCallbacks, succeed
from twisted.internet.task import deferLater
from twisted.logger import formatEvent

from tests.apps.app_world import TIMEOUT, AppWorld, logging
from wampush.apps import App, Context, Refuse, WampError
from wampush.apps.python.runner import LONGEST_STEP
from wampush.errors import CloseReason, PushRefused

STOCK: dict[str, int] = {}
ERROR = "http://api.wamp.ws/error#"


@pytest.fixture
def logged():
    """The events of the log."""
    with logging() as events:
        yield events


def incidents(events: list[Any]) -> list[Any]:
    return [event for event in events if "incident" in event]


def lines(events: list[Any]) -> list[str]:
    return [formatEvent(event) for event in events if "handler" in event]


def world_of(function: Any, **options: Any) -> AppWorld:
    """A world with one procedure, ``p``."""
    app = App()
    app.procedure("p", **options)(function)
    return AppWorld(app)


# Forms.


class Caller:
    def __call__(self, ctx: Context, a: object) -> object:
        return [a]

    def method(self, ctx: Context, a: object) -> object:
        return [a]


def plain(ctx, a):
    return [a]


async def coroutine(ctx, a):
    return [a]


async def waiting_coroutine(ctx, a):
    return [await succeed(a)]


def deferred(ctx, a):
    return succeed([a])


@inlineCallbacks
def generator(ctx, a):
    value = yield succeed(a)
    return [value]


@pytest.mark.parametrize(
    "function",
    [
        plain,
        coroutine,
        waiting_coroutine,
        deferred,
        generator,
        lambda ctx, a: [a],
        Caller(),
        Caller().method,
        functools.partial(plain),
        functools.partial(coroutine),
        lambda *arguments: [arguments[1]],
    ],
)
def test_every_form_of_a_function_answers_at_once(function):
    world = world_of(function)
    assert world.call(world.client(), "p", {"b": None}) == [[{"b": None}]]
    assert world.node._runner.running == 0


def test_a_coroutine_answers_when_it_is_done():
    world = AppWorld(app := App())

    @app.procedure("late")
    async def late(ctx: Context) -> str:
        await deferLater(world.clock, 2)
        return "late"

    client = world.client()
    assert world.call(client, "late") is None
    world.advance(2)
    assert world.got(client) == [[3, "id", "late"]]
    assert world.clock.getDelayedCalls() == []


def test_a_deferred_answers_when_it_fires():
    promise: Deferred[int] = Deferred()
    world = world_of(lambda ctx: promise)
    client = world.client()
    assert world.call(client, "p") is None
    promise.callback(5)
    assert world.got(client) == [[3, "id", 5]]
    assert world.clock.getDelayedCalls() == []


def test_a_threaded_function_runs_in_a_thread_and_uses_its_context_from_there():
    seen: list[Any] = []

    def blocking(ctx: Context, a: int) -> int:
        ctx.session.send("own", {"a": a})
        seen.append((threading.get_ident(), ctx.presence.users("news"), ctx.presence.num_clients))
        return ctx.publish("news", a)

    world = world_of(blocking, threaded=True)
    client, other = world.client(), world.client("news")
    assert world.call(client, "p", 4) is None
    for _ in range(4):
        world.run_thread()
    ((ident, users, clients),) = seen
    assert ident != threading.get_ident()
    assert (users, clients) == ({}, 2)
    assert world.got(client) == [[8, "own", {"a": 4}], [3, "id", 1]]
    assert world.got(other) == [[8, "news", 4]]
    assert world.clock.getDelayedCalls() == []


def test_what_publishing_from_a_thread_raises_is_raised_there():
    def blocking(ctx: Context) -> str:
        with pytest.raises(PushRefused) as caught:
            ctx.publish("wampush.x", 1)
        return caught.value.refusal.code

    world = world_of(blocking, threaded=True)
    client = world.client()
    world.call(client, "p")
    world.run_thread()
    assert world.got(client) == [[3, "id", "topic-reserved"]]


def test_there_are_no_more_threads_than_allowed_and_the_others_wait():
    gate = threading.Event()
    running: list[str] = []

    def blocking(ctx: Context, name: str) -> str:
        running.append(name)
        assert gate.wait(20)
        return name

    world = world_of(blocking, threaded=True)
    client = world.client()
    world.says(client, *[[2, str(number), "p", str(number)] for number in range(4)])
    gate.set()
    for _ in range(4):
        world.run_thread()
    assert sorted(each[2] for each in world.got(client)) == ["0", "1", "2", "3"]
    assert world.node._threads._pool.workers == 2


# Arguments.


def fixed(ctx, a, b):
    return [a, b]


def optional(ctx, a, b=2):
    return [a, b]


def rest(ctx, a, *others):
    return [a, *others]


def none(ctx):
    return []


def named(ctx, a, *, b=3):
    return [a, b]


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (fixed, [1], "expected 2 arguments (a, b), got 1"),
        (fixed, [1, 2, 3], "expected 2 arguments (a, b), got 3"),
        (optional, [], "expected 1 to 2 arguments (a, b=…), got 0"),
        (optional, [1, 2, 3], "expected 1 to 2 arguments (a, b=…), got 3"),
        (rest, [], "expected at least 1 argument (a, *others), got 0"),
        (none, [1], "expected 0 arguments, got 1"),
        (named, [1, 2], "expected 1 argument (a), got 2"),
    ],
)
def test_a_wrong_number_of_arguments_is_the_callers_mistake(function, arguments, words, logged):
    world = world_of(function)
    answer = world.call(world.client(), "p", *arguments)
    assert answer == [f"{ERROR}invalid-argument", f"p: {words}"]
    assert incidents(logged) == []


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        (fixed, [1, 2], [1, 2]),
        (optional, [1], [1, 2]),
        (optional, [1, 3], [1, 3]),
        (rest, [1], [1]),
        (rest, [1, 2, 3], [1, 2, 3]),
        (none, [], []),
        (named, [1], [1, 3]),
    ],
)
def test_the_right_number_of_arguments_reaches_the_function(function, arguments, result):
    world = world_of(function)
    assert world.call(world.client(), "p", *arguments) == [result]


def test_a_typeerror_inside_is_the_apps_mistake(logged):
    world = world_of(lambda ctx, a: a + 1)
    assert world.call(world.client(), "p", "text")[0] == f"{ERROR}internal"
    assert len(incidents(logged)) == 1


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, 1.5, 10**40, -(2**70), [[None]]])
def test_any_json_value_is_a_result(value):
    world = world_of(lambda ctx: value)
    client = world.client()
    world.says(client, [2, "id", "p"])
    # As text, because Python holds False and 0 for the same.
    assert json.dumps(world.got(client)) == json.dumps([[3, "id", value]])


@dataclasses.dataclass
class Article:
    name: str


def test_results_that_python_has_a_form_for():
    values = [Article("book"), datetime(2024, 2, 3, tzinfo=UTC), (1, 2), {7: "a"}]
    world = world_of(lambda ctx, number: values[number])
    client = world.client()
    assert world.call(client, "p", 0) == [{"name": "book"}]
    assert world.call(client, "p", 1) == ["2024-02-03T00:00:00+00:00"]
    assert world.call(client, "p", 2) == [[1, 2]]
    assert world.call(client, "p", 3) == [{"7": "a"}]


def cyclic():
    value: list[Any] = []
    value.append(value)
    return value


class HostileDict(dict):  # type: ignore[type-arg]
    def items(self):
        raise KeyError("items")


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, cyclic(), b"bytes", lambda: 1, HostileDict({1: object()})]
)
def test_a_result_without_json_form_is_an_incident(value, logged):
    world = world_of(lambda ctx: value)
    uri, words = world.call(world.client(), "p")
    (event,) = incidents(logged)
    assert uri == f"{ERROR}internal"
    assert words == f"internal error, incident {event['incident']}"


def test_a_plain_generator_is_no_result(logged):
    def numbers(ctx):
        yield 1

    world = world_of(numbers)
    assert world.call(world.client(), "p")[0] == f"{ERROR}internal"
    assert len(incidents(logged)) == 1


# Errors.


class BrokenText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Quit(BaseException):
    pass


def recurse(ctx):
    return recurse(ctx)


def raising(error: Any) -> Any:
    def function(ctx):
        raise error

    return function


def raising_later(error: Any) -> Any:
    async def function(ctx):
        await succeed(None)
        raise error

    return function


def type_of(error: object) -> str:
    return type(error).__name__


ERRORS = [
    ValueError("secret"),
    ValueError,
    StopIteration("secret"),
    StopAsyncIteration("secret"),
    GeneratorExit("secret"),
    KeyboardInterrupt("secret"),
    SystemExit(3),
    Quit("secret"),
    CancelledError("secret"),
    BrokenText("secret"),
    ExceptionGroup("secret", [ValueError("secret")]),
    AssertionError("secret"),
    MemoryError("secret"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "secret"),
]


@pytest.mark.parametrize("make", [raising, raising_later])
@pytest.mark.parametrize("error", ERRORS, ids=type_of)
def test_any_exception_is_an_incident_and_nothing_of_it_reaches_the_client(make, error, logged):
    world = world_of(make(error))
    client = world.client()
    uri, words = world.call(client, "p")
    (event,) = incidents(logged)
    assert (uri, words) == (f"{ERROR}internal", f"internal error, incident {event['incident']}")
    assert 'procedure "p"' in event["action"]
    assert client.id in event["action"]
    assert "Traceback" in event["traceback"]
    assert "function" in event["traceback"]
    # The daemon goes on.
    assert world.call(client, "wampush.time") is not None
    assert world.node._runner.running == 0


@pytest.mark.parametrize("error", ERRORS, ids=type_of)
def test_any_exception_in_a_thread_is_an_incident(error, logged):
    world = world_of(raising(error), threaded=True)
    client = world.client()
    world.call(client, "p")
    world.run_thread()
    ((kind, _, uri, _),) = world.got(client)
    assert (kind, uri) == (4, f"{ERROR}internal")
    assert len(incidents(logged)) == 1


def test_endless_recursion_is_an_incident_with_a_bounded_traceback(logged):
    world = world_of(recurse)
    assert world.call(world.client(), "p")[0] == f"{ERROR}internal"
    (event,) = incidents(logged)
    assert "RecursionError" in event["traceback"]
    assert len(event["traceback"]) < 20_000


def test_the_cause_of_an_error_stands_in_the_log(logged):
    def function(ctx):
        try:
            return STOCK["cause"]
        except KeyError as error:
            raise ValueError("effect") from error

    world = world_of(function)
    world.call(world.client(), "p")
    (event,) = incidents(logged)
    assert "KeyError: 'cause'" in event["traceback"]
    assert "ValueError: effect" in event["traceback"]


def test_a_deferred_that_fails_with_an_error_nobody_raised(logged):
    world = world_of(lambda ctx: fail(ValueError("secret")))
    assert world.call(world.client(), "p")[0] == f"{ERROR}internal"
    assert len(incidents(logged)) == 1


def test_failures_of_one_place_within_a_second_are_one_incident(logged):
    world = world_of(raising(ValueError("secret")))
    client = world.client()
    words = {world.call(client, "p")[1] for _ in range(50)}
    (event,) = incidents(logged)
    assert words == {f"internal error, incident {event['incident']}"}


def test_different_errors_are_different_incidents(logged):
    def function(ctx, number):
        if number:
            raise ValueError(number)
        return STOCK["key"]

    world = world_of(function)
    client = world.client()
    assert world.call(client, "p", 0)[1] != world.call(client, "p", 1)[1]
    assert len(incidents(logged)) == 2


def test_the_apps_own_error_reaches_the_client_as_it_is(logged):
    world = world_of(raising(WampError("http://example.com/error#x", "no", {"left": 10**30})))
    client = world.client()
    assert world.call(client, "p") == ["http://example.com/error#x", "no", {"left": 10**30}]
    assert client.peer.ends == []
    assert incidents(logged) == []


def test_the_apps_own_error_without_details():
    world = world_of(raising_later(WampError("x:y", "no")))
    assert world.call(world.client(), "p") == ["x:y", "no"]


@pytest.mark.parametrize("details", [0, "", [], {}, False])
def test_details_may_be_any_json_value(details):
    world = world_of(raising(WampError("x:y", "no", details)))
    assert json.dumps(world.call(world.client(), "p")) == json.dumps(["x:y", "no", details])


def test_an_error_may_end_the_session_after_the_answer():
    world = world_of(raising(WampError("x:y", "too often", end_session=True)))
    client = world.client()
    assert world.call(client, "p") == ["x:y", "too often"]
    assert client.peer.ends == [(CloseReason.ENDED_BY_APPLICATION, "too often")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: WampError("x:y", "no", object()),
        lambda: WampError("x:y", 5),  # type: ignore[arg-type]
        lambda: WampError(None, "no"),  # type: ignore[arg-type]
    ],
)
def test_an_error_that_cannot_be_sent_is_an_incident(make, logged):
    def function(ctx):
        raise make()

    world = world_of(function)
    assert world.call(world.client(), "p")[0] == f"{ERROR}internal"
    assert len(incidents(logged)) == 1


def test_an_error_whose_description_cannot_be_sent_is_an_incident(logged):
    world = world_of(raising(WampError("x:y", "lone \ud800")))
    assert world.call(world.client(), "p")[0] == f"{ERROR}internal"
    assert len(incidents(logged)) == 1


def test_a_refusal_is_a_forbidden_error():
    world = world_of(raising(Refuse("not on Sundays")))
    assert world.call(world.client(), "p") == [f"{ERROR}forbidden", "not on Sundays"]
    world = world_of(raising(Refuse()))
    assert world.call(world.client(), "p")[0] == f"{ERROR}forbidden"


# Limits.


def test_a_handler_that_takes_too_long_is_cancelled_and_the_caller_gets_an_error(logged):
    cancelled: list[bool] = []
    promise: Deferred[int] = Deferred(lambda _: cancelled.append(True))
    world = world_of(lambda ctx: promise)
    client = world.client()
    world.call(client, "p")
    world.advance(TIMEOUT - 0.1)
    assert world.got(client) == []
    world.advance(0.2)
    assert world.got(client) == [[4, "id", f"{ERROR}timeout", "this took too long"]]
    assert cancelled == [True]
    (line,) = lines(logged)
    assert line.endswith("took more than 10 s")
    assert world.node._runner.running == 0


def test_a_handler_may_have_a_limit_of_its_own():
    world = world_of(lambda ctx: Deferred(), timeout=1)
    client = world.client()
    world.call(client, "p")
    world.advance(1)
    assert [each[2] for each in world.got(client)] == [f"{ERROR}timeout"]


def test_a_coroutine_gets_cancellederror_where_it_waits():
    ends: list[str] = []

    async def function(ctx):
        try:
            await Deferred()
        except CancelledError:
            ends.append("cancelled")
            raise

    world = world_of(function)
    world.call(world.client(), "p")
    world.advance(TIMEOUT)
    assert ends == ["cancelled"]


def test_a_result_that_comes_too_late_is_dropped_and_logged_once(logged):
    world = AppWorld(app := App())

    @app.procedure("stubborn", timeout=1)
    async def stubborn(ctx: Context) -> str:
        try:
            await Deferred()
        except CancelledError:
            await deferLater(world.clock, 3)
        return "late"

    client = world.client()
    world.call(client, "stubborn")
    world.advance(1)
    assert len(world.got(client)) == 1
    world.advance(3)
    assert world.got(client) == []
    (line,) = [line for line in lines(logged) if "its result is dropped" in line]
    assert line.startswith('procedure "stubborn" ')


def test_an_error_that_comes_too_late_stands_in_the_log(logged):
    async def function(ctx):
        try:
            await Deferred()
        except CancelledError as error:
            raise ValueError("cleaning up") from error

    world = world_of(function)
    client = world.client()
    world.call(client, "p")
    world.advance(TIMEOUT)
    assert [each[2] for each in world.got(client)] == [f"{ERROR}timeout"]
    (event,) = incidents(logged)
    assert event["traceback"].endswith("ValueError: cleaning up")


def test_a_canceller_that_raises_ends_nothing(logged):
    def canceller(_):
        raise ValueError("canceller")

    world = world_of(lambda ctx: Deferred(canceller))
    client = world.client()
    world.call(client, "p")
    world.advance(TIMEOUT)
    assert [each[2] for each in world.got(client)] == [f"{ERROR}timeout"]
    assert len(incidents(logged)) == 1


def test_a_thread_that_takes_too_long_goes_on_alone(logged):
    begun, gate = threading.Event(), threading.Event()

    def blocking(ctx: Context) -> bool:
        begun.set()
        return gate.wait(20)

    world = world_of(blocking, threaded=True, timeout=1)
    client = world.client()
    world.call(client, "p")
    assert begun.wait(20)
    world.advance(1)
    assert [each[2] for each in world.got(client)] == [f"{ERROR}timeout"]
    gate.set()
    world.run_thread()
    assert world.got(client) == []
    assert any("its result is dropped" in line for line in lines(logged))


def test_a_call_that_waits_for_a_thread_when_its_time_is_over_is_never_begun():
    gate = threading.Event()
    begun: queue.Queue[str] = queue.Queue()

    def blocking(ctx: Context, name: str) -> None:
        begun.put(name)
        assert gate.wait(20)

    world = world_of(blocking, threaded=True, timeout=1)
    client = world.client()
    world.says(client, *[[2, name, "p", name] for name in ("a", "b", "c")])
    assert {begun.get(timeout=20), begun.get(timeout=20)} == {"a", "b"}
    world.advance(1)
    assert len(world.got(client)) == 3
    gate.set()
    for _ in range(3):
        world.run_thread()
    assert begun.empty()


def test_a_plain_function_that_blocks_is_named_in_the_log(logged):
    world = AppWorld(app := App())
    seconds = [0.0]
    world.node._runner._now = lambda: seconds[0]

    @app.procedure("blocks")
    def blocks(ctx: Context) -> None:
        seconds[0] += LONGEST_STEP

    world.call(world.client(), "blocks")
    (line,) = lines(logged)
    assert 'procedure "blocks"' in line
    assert "blocked all clients for 0.25 s" in line


def test_handlers_of_a_vanished_session_are_cancelled():
    cancelled: list[str] = []

    async def function(ctx: Context, name: str) -> None:
        try:
            await Deferred()
        except CancelledError:
            cancelled.append(name)
            raise

    world = world_of(function)
    first, second = world.client(), world.client()
    world.call(first, "p", "first")
    world.call(second, "p", "second")
    world.lose(first)
    assert cancelled == ["first"]
    assert world.node._runner.running == 1
    world.lose(second)
    assert cancelled == ["first", "second"]
    assert world.clock.getDelayedCalls() == []


def test_a_session_that_is_lost_while_its_handler_begins():
    world = AppWorld(app := App())
    cancelled: list[bool] = []

    @app.procedure("leave")
    def leave(ctx: Context) -> Deferred[None]:
        world.lose(client)
        return Deferred(lambda _: cancelled.append(True))

    client = world.client()
    world.call(client, "leave")
    assert cancelled == [True]
    assert world.node._runner.running == 0
    assert world.clock.getDelayedCalls() == []


def test_a_slow_handler_delays_neither_events_nor_other_calls():
    world = AppWorld(app := App())
    app.procedure("slow")(lambda ctx: Deferred())
    app.procedure("quick")(lambda ctx: 1)
    client = world.client("news")
    world.says(client, [2, "s", "slow"], [2, "q", "quick"], [7, "news", "event", False])
    assert world.got(client) == [[3, "q", 1], [8, "news", "event"]]


def test_a_flood_of_calls_is_refused_beyond_the_limit_and_each_is_answered():
    promises: list[Deferred[None]] = []

    def function(ctx):
        promises.append(Deferred())
        return promises[-1]

    world = world_of(function)
    client = world.client()
    for number in range(8):
        world.says(client, [2, str(number), "p"])
    # The world lets five wait.
    refused = world.got(client)
    assert [(each[1], each[4]["reason"]) for each in refused] == [
        (str(number), "too-many-pending") for number in (5, 6, 7)
    ]
    for promise in promises:
        promise.callback(None)
    assert [each[:2] for each in world.got(client)] == [[3, str(number)] for number in range(5)]
    assert client.subscriber.pending is None
    assert world.call(client, "p") is None


def test_calls_wait_after_an_undecided_subscription():
    app = App()
    promise: Deferred[None] = Deferred()
    app.on_subscribe(lambda ctx, topic: promise)
    app.procedure("quick")(lambda ctx: 1)
    world = AppWorld(app)
    client = world.client()
    world.says(client, [5, "news"], [2, "q", "quick"], [7, "news", "own", False])
    assert world.got(client) == []
    promise.callback(None)
    assert world.got(client) == [[3, "q", 1], [8, "news", "own"]]
