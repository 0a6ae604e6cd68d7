"""When an application that fails is left alone, and when it is tried again.

Owns: the states of a circuit breaker. Pure: the clock is handed in.
Must not import: Twisted, the edges, or anything of wampush.

*Closed*: everything is sent. After so many failures in a row it is *open*: nothing is sent. After
so many seconds one question is let through, the *probe*; its answer closes the breaker, its failure
opens it for as long again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, unique


@unique
class State(Enum):
    """What a breaker does with questions."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "half-open"


@unique
class Outcome(Enum):
    """What became of a question that was let through.

    ABANDONED: nothing is known, because nobody waits for the answer any more.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"


@unique
class Change(Enum):
    """What is worth a line: the first opening, and the closing after it."""

    OPENED = "opened"
    CLOSED = "closed"


class Breaker:
    """Lets questions through or not.

    Who is let through gets a pass, and reports once with it. What is reported with a pass of an
    earlier time (before it opened, before the probe) says nothing about the present and is ignored.

    :param failures: so many in a row open it.
    :param seconds: so long it stays open.
    :param now: seconds of a clock that only goes forward.
    """

    def __init__(self, failures: int, seconds: float, now: Callable[[], float]) -> None:
        self.state = State.CLOSED
        self._most = failures
        self._seconds = seconds
        self._now = now
        self._failures = 0
        self._until = 0.0
        #: Raised whenever passes given out before lose their meaning.
        self._era = 0

    def admit(self) -> int | None:
        """A pass for one question; None while nothing may be sent."""
        if self.state is State.PROBING:
            return None
        if self.state is State.OPEN:
            if self._now() < self._until:
                return None
            self.state = State.PROBING
            self._era += 1
        return self._era

    def seconds_left(self) -> float:
        """How long it stays open; 0 when a question may be let through."""
        return max(0.0, self._until - self._now()) if self.state is State.OPEN else 0.0

    def report(self, ticket: int, outcome: Outcome) -> Change | None:
        """Hear what became of a question.

        :param ticket: its pass.
        """
        if ticket != self._era or self.state is State.OPEN:
            return None
        probing = self.state is State.PROBING
        if outcome is Outcome.ANSWERED:
            self._failures = 0
            self.state = State.CLOSED
            return Change.CLOSED if probing else None
        if outcome is Outcome.ABANDONED:
            if probing:
                # Its time is up, so the next question is the probe.
                self.state = State.OPEN
            return None
        self._failures += 1
        if not probing and self._failures < self._most:
            return None
        self.state = State.OPEN
        self._until = self._now() + self._seconds
        return None if probing else Change.OPENED
