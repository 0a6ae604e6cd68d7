"""Which clients the failures of requests come from.

Owns: the failures in a row of each session and of each address, and for how long the requests of
one that keeps failing are held back. Pure: the clock is passed in.
Must not import: Twisted, or anything of wampush.

A client can send what the server cannot handle, as often as it likes. Its failures say something
about its own requests; only failures of several clients say something about the server.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

#: Clients whose failures are kept; beyond that the oldest are forgotten.
_CAPACITY: Final = 10_000


@dataclass(frozen=True, slots=True)
class FailureSource:
    """The client on whose behalf a request is sent.

    :param session: identifies its session; each attempt to connect is one of its own.
    :param address: under which its address is counted; None where many clients may share it.
    """

    session: Hashable
    address: str | None = None


@dataclass(slots=True)
class _Failures:
    """Failures in a row.

    :param count: how many, at most the limit.
    :param sessions: of an address: the sessions that they come from.
    :param held_until: when requests are sent again; 0 while none are held back.
    """

    count: int = 0
    sessions: set[Hashable] = field(default_factory=set)
    held_until: float = 0.0


class SourceFailures:
    """The failures in a row of each client.

    :param limit: failures of a session, or failing sessions of an address, after which its requests
        are held back.
    :param seconds: for how long.
    :param now: seconds of a clock that never goes back.
    """

    def __init__(self, limit: int, seconds: float, now: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    @property
    def held(self) -> int:
        """Number of sessions and addresses whose requests are held back."""
        now = self._now()
        return sum(each.held_until > now for each in self._failures.values())

    def is_held(self, source: FailureSource) -> bool:
        """Whether the requests of this client are held back."""
        now = self._now()
        return any(
            (found := self._failures.get(key)) is not None and found.held_until > now
            for key in _keys(source)
        )

    def on_failed(self, source: FailureSource) -> bool:
        """Count a failure; return whether requests are held back from now on."""
        held = self.is_held(source)
        for key in _keys(source):
            failures = self._failures.pop(key, None) or _Failures()
            self._failures[key] = failures
            if key == source.address:
                failures.sessions.add(source.session)
                failures.count = len(failures.sessions)
            else:
                failures.count += 1
            if failures.count >= self._limit:
                failures.held_until = self._now() + self._seconds
                # After the pause, a single failure begins the next one.
                failures.count = self._limit - 1
                failures.sessions.discard(source.session)
        while len(self._failures) > _CAPACITY:
            self._failures.popitem(last=False)
        return self.is_held(source) and not held

    def on_answered(self, source: FailureSource) -> None:
        """Forget the failures of a client whose request was answered."""
        for key in _keys(source):
            self._failures.pop(key, None)


def _keys(source: FailureSource) -> tuple[Hashable, ...]:
    session = ("session", source.session)
    return (session,) if source.address is None else (session, source.address)
