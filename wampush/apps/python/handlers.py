"""A handler of an app: its function and its options.

Owns: whether a function fits its purpose, and the errors for developers when it does not.
Must not import: Twisted, the edges, the broker.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Final, TypedDict

from wampush.config.checks.check import TOPIC_PATTERN
from wampush.excerpts import shown

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_MAX_TIMEOUT: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments that a function takes after its context.

    :param minimum: how many it needs.
    :param maximum: how many it takes; None for any number.
    :param names: for errors, such as ``a, b=…``.
    """

    minimum: int
    maximum: int | None
    names: str

    def misfit(self, count: int) -> str | None:
        """Return why this number of arguments is wrong, or None when it is right."""
        if self.minimum <= count and (self.maximum is None or count <= self.maximum):
            return None
        if self.maximum is None:
            takes = f"at least {self.minimum}"
        elif self.minimum == self.maximum:
            takes = str(self.maximum)
        else:
            takes = f"{self.minimum} to {self.maximum}"
        noun = "argument" if takes.endswith(" 1") or takes == "1" else "arguments"
        names = f" ({self.names})" if self.names else ""
        return f"expected {takes} {noun}{names}, got {count}"


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """A function of an app and how it is run.

    :param name: for the log, such as ``procedure "cart.add" (add)``.
    :param function: called with a context first.
    :param arguments: what it takes after the context.
    :param timeout: seconds; None for the setting.
    :param threaded: whether it runs in a thread, so that it may block.
    :param asyncio: whether it runs in the event loop of asyncio.
    :param match: the topics that it is called for, if its purpose has topics.
    """

    name: str
    function: Callable[..., object]
    arguments: Arguments
    timeout: float | None = None
    threaded: bool = False
    match: str = "*"
    asyncio: bool = False


class HandlerOptions(TypedDict, total=False):
    """The keyword arguments of decorators that say how a handler runs.

    :ivar timeout: seconds; the default is ``application.timeout``.
    :ivar threaded: in a thread, because it blocks.
    :ivar asyncio: in an event loop of asyncio, because it awaits what asyncio offers.
    """

    timeout: float | None
    threaded: bool
    asyncio: bool


def handler(
    purpose: str,
    function: Callable[..., object],
    expected: Sequence[str] | None,
    *,
    match: str = "*",
    timeout: float | None = None,
    threaded: bool = False,
    asyncio: bool = False,
) -> Handler:
    """Create a handler from a function.

    :param purpose: what it is registered for, such as ``procedure "cart.add"``.
    :param expected: names of the arguments after its context; None when the caller decides how
        many there are.
    :raises TypeError: when the function does not take them, or cannot run in a thread.
    :raises ValueError: when timeout or match is not valid.
    """
    title = getattr(function, "__qualname__", None) or type(function).__name__
    name = f"{purpose} ({title})"
    number: object = timeout
    if number is not None and not isinstance(number, int | float):
        raise TypeError(f"{name}: timeout must be a number of seconds, not {shown(number)}")
    if timeout is not None and not 0 < timeout <= _MAX_TIMEOUT:
        raise ValueError(
            f"{name}: timeout must be more than 0 and at most {_MAX_TIMEOUT:.0f} seconds, not "
            f"{timeout:g}"
        )
    _check_kind(name, function, threaded, asyncio)
    if not TOPIC_PATTERN.accepts(match):
        raise ValueError(f"{name}: {match!r} must be a topic, or a prefix of topics that ends in *")
    arguments = _arguments_of(function, name)
    if expected is not None and arguments.misfit(len(expected)) is not None:
        right = ", ".join(("ctx", *expected))
        wrong = f"ctx, {arguments.names}" if arguments.names else "ctx"
        raise TypeError(f"{name}: the function must take ({right}), not ({wrong})")
    return Handler(name, function, arguments, timeout, threaded, match, asyncio)


def _check_kind(name: str, function: Callable[..., object], threaded: bool, asyncio: bool) -> None:
    """Check where a function is to run.

    :raises TypeError: when it cannot run there.
    """
    is_async = inspect.iscoroutinefunction(function)
    if threaded and asyncio:
        raise TypeError(f"{name}: a handler is either threaded or asyncio; remove one")
    if threaded and is_async:
        raise TypeError(
            f"{name}: an async function cannot run in a thread; remove async or threaded, or "
            "use asyncio=True"
        )
    if asyncio and not is_async:
        raise TypeError(
            f"{name}: asyncio=True is for async functions; write async def, or use threaded=True"
        )


def _arguments_of(function: Callable[..., object], name: str) -> Arguments:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        # Some functions written in C have no signature; they raise when the number is wrong.
        return Arguments(0, None, "")
    except TypeError:
        raise TypeError(f"{name}: {shown(function)} is not a function") from None
    for each in parameters:
        if each.kind is Parameter.KEYWORD_ONLY and each.default is Parameter.empty:
            raise TypeError(
                f"{name}: the keyword argument {each.name} is never passed; give it a default"
            )
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    rest = [each for each in parameters if each.kind is Parameter.VAR_POSITIONAL]
    if not positional and not rest:
        raise TypeError(f"{name}: the function must take a context first")
    after_context = positional[1:]
    needed = [each for each in after_context if each.default is Parameter.empty]
    names = [each.name if each in needed else f"{each.name}=…" for each in after_context]
    names += [f"*{each.name}" for each in rest]
    return Arguments(len(needed), None if rest else len(after_context), ", ".join(names))
