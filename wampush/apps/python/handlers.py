"""One handler of an app: its function, and what holds for it.

Owns: whether a function fits what it is meant for, and the words for what does not.
Must not import: Twisted, the edges, the broker.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Final

from wampush.config.checks.common import TOPIC_PATTERN, Rejected
from wampush.errors import shown

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_LONGEST: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Arguments:
    """How many arguments a function takes behind its context.

    :param fewest: that it needs.
    :param most: that it takes; None for any number.
    :param names: as people read them, such as ``a, b=…``.
    """

    fewest: int
    most: int | None
    names: str

    def misfit(self, count: int) -> str | None:
        """Why so many arguments are wrong; None when they are right."""
        if self.fewest <= count and (self.most is None or count <= self.most):
            return None
        if self.most is None:
            takes = f"at least {self.fewest}"
        elif self.fewest == self.most:
            takes = str(self.most)
        else:
            takes = f"{self.fewest} to {self.most}"
        noun = "argument" if takes.endswith(" 1") or takes == "1" else "arguments"
        names = f" ({self.names})" if self.names else ""
        return f"it takes {takes} {noun}{names}, not {count}"


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """A function of an app and how it is run.

    :param name: for the log, such as ``procedure "cart.add" (add)``.
    :param function: called with a context first.
    :param arguments: what it takes behind that.
    :param timeout: seconds; None for the setting.
    :param threaded: whether it may block, so that it runs in a thread.
    :param match: the topics it is about, where it is about topics.
    """

    name: str
    function: Callable[..., object]
    arguments: Arguments
    timeout: float | None = None
    threaded: bool = False
    match: str = "*"


def handler(
    purpose: str,
    function: Callable[..., object],
    expected: Sequence[str] | None,
    timeout: float | None = None,
    threaded: bool = False,
    match: str = "*",
) -> Handler:
    """Make a handler of a function.

    :param purpose: what it is registered for, such as ``procedure "cart.add"``.
    :param expected: the names of what it is called with behind its context; None where the caller
        decides how many that are.
    :raises TypeError: when the function does not take that, or can not run in a thread.
    :raises ValueError: when one of the others is of no use.
    """
    title = getattr(function, "__qualname__", None) or type(function).__name__
    name = f"{purpose} ({title})"
    number: object = timeout
    if number is not None and not isinstance(number, int | float):
        raise TypeError(f"{name}: timeout is a number of seconds, not {shown(number)}")
    if timeout is not None and not 0 < timeout <= _LONGEST:
        raise ValueError(f"{name}: timeout is in seconds, more than 0 and at most {_LONGEST:.0f}")
    if threaded and inspect.iscoroutinefunction(function):
        raise TypeError(f"{name}: async def can not run in a thread; leave out async or threaded")
    if not _is_pattern(match):
        raise ValueError(f"{name}: {match!r} is no topic, nor a prefix of topics that ends in *")
    arguments = _arguments_of(function, name)
    if expected is not None and arguments.misfit(len(expected)) is not None:
        right = ", ".join(("ctx", *expected))
        raise TypeError(f"{name}: the function must take ({right})")
    return Handler(name, function, arguments, timeout, threaded, match)


def _is_pattern(match: str) -> bool:
    return not isinstance(TOPIC_PATTERN.check(match), Rejected)


def _arguments_of(function: Callable[..., object], name: str) -> Arguments:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        # Some that are written in C do not tell; they raise what a wrong number leads to.
        return Arguments(0, None, "")
    except TypeError:
        raise TypeError(f"{name}: {shown(function)} is no function") from None
    for each in parameters:
        if each.kind is Parameter.KEYWORD_ONLY and each.default is Parameter.empty:
            raise TypeError(f"{name}: {each.name} has no default, and is never given by its name")
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    rest = [each for each in parameters if each.kind is Parameter.VAR_POSITIONAL]
    if not positional and not rest:
        raise TypeError(f"{name}: the function must take a context first")
    own = positional[1:]
    needed = [each for each in own if each.default is Parameter.empty]
    names = [each.name if each in needed else f"{each.name}=…" for each in own]
    names += [f"*{each.name}" for each in rest]
    return Arguments(len(needed), None if rest else len(own), ", ".join(names))
