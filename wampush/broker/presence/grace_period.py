"""The grace period of users whose last connection was lost.

Owns: who is within the period, and whose has expired. Must not import: anything of wampush but
``delay_queue``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from wampush.broker.presence.delay_queue import DelayQueue


class GracePeriod:
    """Users who were lost and may come back before the period expires.

    :param delay: the queue in which they wait; its delay is the length of the period.
    :param on_expired: called with a user who has not come back.
    """

    __slots__ = ("_delay", "_on_expired", "_periods")

    def __init__(self, delay: DelayQueue, on_expired: Callable[[str], None]) -> None:
        self._delay = delay
        self._on_expired = on_expired
        # By user. A period that was cancelled stays in the queue but is not among these.
        self._periods: dict[str, _Period] = {}

    def __len__(self) -> int:
        return len(self._periods)

    def __contains__(self, user: str) -> bool:
        return user in self._periods

    @property
    def users(self) -> Collection[str]:
        """The users within their period."""
        return self._periods.keys()

    def start(self, user: str) -> None:
        """Start a new period for a user."""
        period = self._periods[user] = _Period(self, user)
        self._delay.add(period)

    def cancel(self, user: str) -> None:
        """Cancel the period of a user; does nothing when there is none."""
        self._periods.pop(user, None)

    def expired(self, user: str, period: _Period) -> None:
        """Report the user, unless that period was cancelled or another one has started."""
        if self._periods.get(user) is period:
            del self._periods[user]
            self._on_expired(user)


class _Period:
    """One grace period of one user, while it is in the queue."""

    __slots__ = ("_owner", "_user")

    def __init__(self, owner: GracePeriod, user: str) -> None:
        self._owner = owner
        self._user = user

    def on_elapsed(self) -> None:
        """Report the end to the owner."""
        self._owner.expired(self._user, self)
