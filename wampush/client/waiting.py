"""Who waits for the client: for its session, and for the answers to its calls.

Owns: the Deferreds of ``connect`` and ``call``, and how many failures each of the former bears.
Must not import: anything of wampush.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from twisted.internet.defer import Deferred


@dataclass(slots=True)
class _Waiter:
    opened: Deferred[str]
    attempts: int | None


class Waiters:
    """Those who wait for the session to open."""

    def __init__(self) -> None:
        self._waiters: list[_Waiter] = []

    def add(self, attempts: int | None) -> Deferred[str]:
        """One more.

        :param attempts: how many failures in a row it bears; None: any number.
        """
        waiter = _Waiter(Deferred(), attempts)
        self._waiters.append(waiter)
        return waiter.opened

    def failed_once(self) -> list[Deferred[str]]:
        """An attempt failed: who does not wait any longer."""
        for waiter in self._waiters:
            if waiter.attempts is not None:
                waiter.attempts -= 1
        enough = [each.opened for each in self._waiters if _has_enough(each)]
        self._waiters = [each for each in self._waiters if not _has_enough(each)]
        return enough

    def take(self) -> list[Deferred[str]]:
        """All of them; from then on nobody waits."""
        waiters, self._waiters = self._waiters, []
        return [each.opened for each in waiters]


def _has_enough(waiter: _Waiter) -> bool:
    return waiter.attempts is not None and waiter.attempts <= 0


class Calls:
    """The calls under way in a session, by their ids."""

    def __init__(self) -> None:
        self._answers: dict[str, Deferred[object]] = {}
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        """An id that no call of this client has had."""
        return str(next(self._ids))

    def add(self, call_id: str) -> Deferred[object]:
        """A call is under way; cancelling its answer forgets it."""

        def forget(_: object) -> None:
            self._answers.pop(call_id, None)

        answer: Deferred[object] = Deferred(forget)
        self._answers[call_id] = answer
        return answer

    def take(self, call_id: str) -> Deferred[object] | None:
        """The call that an answer is for; None when nobody waits for it."""
        return self._answers.pop(call_id, None)

    def take_all(self) -> list[Deferred[object]]:
        """All of them; from then on none is under way."""
        answers, self._answers = self._answers, {}
        return list(answers.values())
