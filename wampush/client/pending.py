"""Pending requests of the client: for a session, and for the results of calls.

Owns: the Deferreds of ``connect`` and ``call``, and how many failed attempts end the former.
Must not import: anything of wampush.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from twisted.internet.defer import Deferred


@dataclass(slots=True)
class _PendingConnect:
    opened: Deferred[str]
    attempts: int | None


class PendingConnects:
    """The calls of ``connect`` that wait for a session."""

    def __init__(self) -> None:
        self._pending: list[_PendingConnect] = []

    def add(self, attempts: int | None) -> Deferred[str]:
        """Wait for a session.

        :param attempts: how many failed attempts in a row end the wait; None for no limit.
        """
        pending = _PendingConnect(Deferred(), attempts)
        self._pending.append(pending)
        return pending.opened

    def on_attempt_failed(self) -> list[Deferred[str]]:
        """Count a failed attempt; remove and return the calls whose attempts are used up."""
        for pending in self._pending:
            if pending.attempts is not None:
                pending.attempts -= 1
        exhausted = [each.opened for each in self._pending if _is_exhausted(each)]
        self._pending = [each for each in self._pending if not _is_exhausted(each)]
        return exhausted

    def take(self) -> list[Deferred[str]]:
        """Remove and return all of them."""
        pending, self._pending = self._pending, []
        return [each.opened for each in pending]


def _is_exhausted(pending: _PendingConnect) -> bool:
    return pending.attempts is not None and pending.attempts <= 0


class PendingCalls:
    """The calls of a session that have no result yet, by call id."""

    def __init__(self) -> None:
        self._answers: dict[str, Deferred[object]] = {}
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        """Return an id that no earlier call of this client has used."""
        return str(next(self._ids))

    def add(self, call_id: str) -> Deferred[object]:
        """Add a call; cancelling the returned Deferred removes it."""

        def forget(_: object) -> None:
            self._answers.pop(call_id, None)

        answer: Deferred[object] = Deferred(forget)
        self._answers[call_id] = answer
        return answer

    def take(self, call_id: str) -> Deferred[object] | None:
        """Remove and return the call that a result is for; None if there is none."""
        return self._answers.pop(call_id, None)

    def take_all(self) -> list[Deferred[object]]:
        """Remove and return all of them."""
        answers, self._answers = self._answers, {}
        return list(answers.values())
