"""Time for presence: many things that wait for the same while, and telling things not too often.

Owns: one timer for all that waits equally long; who is away for a moment; at once, then at most
every so often. Must not import: anything of wampush, Twisted. The clock and the timer are handed
in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Final, Protocol

#: Seconds by which the next round of what waits may be late, so that there are few rounds.
GRAIN: Final = 0.01
#: How many are dealt with in one reactor turn: about 5 ms.
SLICE: Final = 1000
#: Events a second that telling one thing may make, for all its receivers: about a tenth of a core.
EVENTS_PER_SECOND: Final = 10_000


class Timer(Protocol):
    """A call in the future that can be taken back."""

    def cancel(self) -> None:
        """Take it back."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What tells the time and wakes up.

    :param seconds: gives the time.
    :param call_later: calls a function after so many seconds.
    """

    seconds: Callable[[], float]
    call_later: Callable[[float, Callable[[], None]], Timer]


class Due(Protocol):
    """What waits."""

    def due(self) -> None:
        """The time has come."""


class Delay:
    """All that waits for the same number of seconds, with one timer, and none while nothing does.

    :param seconds: how long each of them waits.
    :param clock: in the same seconds.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds: Final = seconds
        self._clock = clock
        self._waiting: deque[tuple[float, Due]] = deque()
        self._timer: Timer | None = None
        self._stopped = False

    def now(self) -> float:
        """The time in seconds."""
        return self._clock.seconds()

    def add(self, item: Due) -> None:
        """Something waits from now on, behind all others."""
        if not self._stopped:
            self._waiting.append((self.now() + self.seconds, item))
            self._arm()

    def stop(self) -> None:
        """Nothing waits any more, now and later."""
        self._stopped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None and self._waiting:
            left = self._waiting[0][0] - self.now()
            seconds = min(max(GRAIN, left), self.seconds) if left > 0 else 0.0
            self._timer = self._clock.call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self.now()
        due: list[Due] = []
        waiting = self._waiting
        while waiting and self._is_over(waiting[0][0] - now) and len(due) < SLICE:
            due.append(waiting.popleft()[1])
        self._arm()
        for item in due:
            item.due()

    def _is_over(self, left: float) -> bool:
        """Whether what has so many seconds left is due.

        A sum of floats may be off a little. More than all seconds are left once the clock was set
        back; nobody knows then how long it was.
        """
        return left < 1e-6 or left > self.seconds + 1e-6


class GracePeriod:
    """Users who were lost, and may be back in a moment.

    :param grace: how long the moment is.
    :param gone: called with a user who has not come back.
    """

    __slots__ = ("_gone", "_grace", "_users")

    def __init__(self, grace: Delay, gone: Callable[[str], None]) -> None:
        self._grace = grace
        self._gone = gone
        # By user; an older absence of the same user is not among them.
        self._users: dict[str, _Absence] = {}

    def __len__(self) -> int:
        return len(self._users)

    def __contains__(self, user: str) -> bool:
        return user in self._users

    def miss(self, user: str) -> None:
        """A user was lost."""
        absence = self._users[user] = _Absence(self, user)
        self._grace.add(absence)

    def is_back(self, user: str) -> None:
        """A user is there, whether it was away or not."""
        self._users.pop(user, None)

    def over(self, user: str, absence: _Absence) -> None:
        """The moment that a user had is over."""
        if self._users.get(user) is absence:
            del self._users[user]
            self._gone(user)


class _Absence:
    """One time that a user is away."""

    __slots__ = ("_away", "_user")

    def __init__(self, away: GracePeriod, user: str) -> None:
        self._away = away
        self._user = user

    def due(self) -> None:
        """The moment is over."""
        self._away.over(self._user, self)


class RateLimitedPublisher(ABC):
    """Tells changes: at once, and while more of them come, once in each interval.

    With many receivers it is told more rarely, see :data:`EVENTS_PER_SECOND`.

    :param interval: at least so long between two times of telling.
    """

    __slots__ = ("_interval", "_pause", "_told_at", "_waits")

    #: Whether to look again an interval after each telling, also when nothing has changed.
    looks_again: ClassVar[bool] = False

    def __init__(self, interval: Delay) -> None:
        self._interval = interval
        self._told_at = -inf
        self._pause = 0.0
        self._waits = False

    def request(self) -> None:
        """Something may have changed."""
        if self._waits:
            return
        if self._is_early(0.0):
            self._wait()
        else:
            self._look()

    def due(self) -> None:
        """An interval has passed."""
        self._waits = False
        if self._is_early(self._interval.seconds / 2):
            self._wait()
        else:
            self._look()

    @property
    @abstractmethod
    def owes(self) -> bool:
        """Whether there is something to tell, and somebody to be told."""

    @abstractmethod
    def tell(self) -> int:
        """Tell it, or a part of it.

        :returns: how many events that makes, those of all receivers together.
        """

    @abstractmethod
    def rest(self) -> None:
        """There is nothing to tell."""

    def _look(self) -> None:
        if not self.owes:
            self.rest()
            return
        events = self.tell()
        self._told_at = self._interval.now()
        self._pause = max(self._interval.seconds, events / EVENTS_PER_SECOND)
        if self.looks_again or self.owes:
            self._wait()

    def _is_early(self, tolerance: float) -> bool:
        """Whether it is too early to tell more; never for a clock that was set back."""
        return 0 <= self._interval.now() - self._told_at < self._pause - tolerance

    def _wait(self) -> None:
        self._waits = True
        self._interval.add(self)
