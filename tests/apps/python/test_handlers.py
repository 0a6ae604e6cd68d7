"""Whether a function fits its purpose, and the errors when it does not."""

# ruff: noqa: ARG005 (functions that are looked at, not called)

from __future__ import annotations

from typing import Any

import pytest

from wampush.apps.python.handlers import Arguments, handler


def fixed(ctx: object, a: object, b: object) -> None: ...
def optional(ctx: object, a: object, b: object = 2) -> None: ...
def rest(ctx: object, a: object, *others: object) -> None: ...
def named(ctx: object, *, b: object = 3) -> None: ...
async def later(ctx: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (fixed, Arguments(2, 2, "a, b")),
        (optional, Arguments(1, 2, "a, b=…")),
        (rest, Arguments(1, None, "a, *others")),
        (named, Arguments(0, 0, "")),
        (later, Arguments(0, 0, "")),
        (lambda *all: 1, Arguments(0, None, "*all")),
        (min, Arguments(0, None, "")),
    ],
)
def test_arguments_after_the_context(function: Any, expected: Arguments) -> None:
    assert handler("x", function, None).arguments == expected


@pytest.mark.parametrize(
    ("arguments", "count", "problem"),
    [
        (Arguments(2, 2, "a, b"), 2, None),
        (Arguments(2, 2, "a, b"), 1, "expected 2 arguments (a, b), got 1"),
        (Arguments(1, 1, "a"), 2, "expected 1 argument (a), got 2"),
        (Arguments(0, 0, ""), 1, "expected 0 arguments, got 1"),
        (Arguments(1, 2, "a, b=…"), 0, "expected 1 to 2 arguments (a, b=…), got 0"),
        (Arguments(1, None, "a, *b"), 0, "expected at least 1 argument (a, *b), got 0"),
        (Arguments(1, None, "a, *b"), 99, None),
    ],
)
def test_a_misfit_says_what_is_right(arguments: Arguments, count: int, problem: str) -> None:
    assert arguments.misfit(count) == problem


def test_a_handler_has_the_name_of_its_function() -> None:
    made = handler('action "a"', fixed, ("x", "y"), timeout=2.5, threaded=True, match="chat.*")
    assert (made.name, made.timeout, made.threaded, made.match) == (
        'action "a" (fixed)',
        2.5,
        True,
        "chat.*",
    )


WRONG: list[Any] = [
    (
        {"function": fixed, "expected": ("x",)},
        TypeError,
        "x (fixed): the function must take (ctx, x), not (ctx, a, b)",
    ),
    ({"function": lambda: 1}, TypeError, "the function must take a context first"),
    ({"function": 5}, TypeError, "x (int): 5 is not a function"),
    (
        {"function": lambda ctx, *, a: 1},
        TypeError,
        "the keyword argument a is never passed; give it a default",
    ),
    (
        {"function": later, "threaded": True},
        TypeError,
        "an async function cannot run in a thread; remove async or threaded, or use asyncio=True",
    ),
    (
        {"function": fixed, "asyncio": True},
        TypeError,
        "asyncio=True is for async functions; write async def, or use threaded=True",
    ),
    (
        {"function": later, "threaded": True, "asyncio": True},
        TypeError,
        "a handler is either threaded or asyncio; remove one",
    ),
    (
        {"function": fixed, "timeout": "5"},
        TypeError,
        "timeout must be a number of seconds, not '5'",
    ),
    (
        {"function": fixed, "timeout": -1},
        ValueError,
        "timeout must be more than 0 and at most 86400 seconds, not -1",
    ),
    (
        {"function": fixed, "match": "a*b"},
        ValueError,
        "'a*b' must be a topic, or a prefix of topics that ends in *",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG)
def test_what_cannot_work_is_refused(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        handler(**{"purpose": "x", "expected": None, **options})
    assert str(caught.value).endswith(message)
