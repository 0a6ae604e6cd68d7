"""What one client may use, and how many messages the clients of one address may send together.

Owns: the limits of one connection; the budget of each address, which outlasts its connections.
Pure: the clock is passed in.
Must not import: anything of wampush.

A client that has sent its burst and reconnects begins with what it had left: what a connection has
used up when it ends is a debt of its address, and the next connections from there begin with less.
The debt shrinks as fast as the allowance of the connection would have grown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Addresses that are remembered; beyond that the one used least recently is forgotten.
_CAPACITY: Final = 10_000
#: Seconds' worth of the rate that an address may use at once.
_BURST_SECONDS: Final = 10.0
#: A debt grows no further than so many bursts of one client.
_MOST_BURSTS: Final = 10


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one client may use.

    :param queue_bytes: bytes that may wait to be sent to it.
    :param messages_per_second: messages that it may send in the long run.
    :param message_burst: messages that it may send at once.
    """

    queue_bytes: int
    messages_per_second: float
    message_burst: int

    def still_used(self, used: float, seconds: float) -> float:
        """Return how many messages of its burst a client has used, after some time.

        :param used: how many it had used before.
        :param seconds: since then.
        """
        return max(0, used - seconds * self.messages_per_second)


class _Budget:
    """The budget of one address.

    :param messages: that may be sent at once.
    :param now: the time in seconds.
    """

    __slots__ = ("at", "debt", "messages")

    def __init__(self, messages: float, now: float) -> None:
        self.messages = messages
        self.debt = 0.0
        self.at = now


class MessageBudgets:
    """The budgets of all addresses.

    :param limits: what one client may use.
    :param per_second: messages from one address in the long run; 0 for no limit.
    """

    def __init__(self, limits: ClientLimits, per_second: float) -> None:
        self.limits: Final = limits
        self._per_second = per_second
        self._burst = per_second * _BURST_SECONDS
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def __len__(self) -> int:
        return len(self._budgets)

    def on_open(self, name: str | None, is_first: bool, now: float) -> float:
        """Return how many messages a new connection may send at once.

        :param name: under which its address is counted; None for an address without limits.
        :param is_first: whether the address has no other connection. A single one has its own
            limit, which needs no memory here.
        :param now: the time in seconds.
        """
        burst = float(self.limits.message_burst)
        if name is None or (is_first and name not in self._budgets):
            return burst
        budget = self._budget(name, now)
        allowance = max(min(burst, self.limits.messages_per_second), burst - budget.debt)
        budget.debt -= burst - allowance
        return allowance

    def spend(self, name: str | None, now: float) -> bool:
        """Count one message of an address; return whether it may be sent.

        :param name: under which the address is counted; None for one without limits.
        :param now: the time in seconds.
        """
        budget = None if name is None else self._budgets.get(name)
        if budget is None or not self._per_second:
            return True
        self._renew(budget, now)
        budget.messages -= 1
        return budget.messages >= 0

    def on_closed(self, name: str | None, allowance: float, now: float) -> None:
        """Remember what a connection has used up.

        :param name: under which its address is counted; None for an address without limits.
        :param allowance: how many messages it might still have sent.
        :param now: the time in seconds.
        """
        used = self.limits.message_burst - max(0.0, allowance)
        if name is None or used <= self.limits.messages_per_second:
            return
        budget = self._budget(name, now)
        budget.debt = min(_MOST_BURSTS * self.limits.message_burst, budget.debt + used)

    def snapshot(self, now: float) -> list[tuple[str, float, float]]:
        """Return name, messages and debt of each address, for another process."""
        for each in self._budgets.values():
            self._renew(each, now)
        return [(name, each.messages, each.debt) for name, each in self._budgets.items()]

    def restore(self, states: Iterable[Sequence[Any]], now: float) -> None:
        """Take the budgets of another process."""
        for name, messages, debt in states:
            budget = self._budget(name, now)
            budget.messages = min(self._burst, messages)
            budget.debt = debt

    def _budget(self, name: str, now: float) -> _Budget:
        budget = self._budgets.get(name)
        if budget is None:
            if len(self._budgets) >= _CAPACITY:
                self._budgets.popitem(last=False)
            budget = self._budgets[name] = _Budget(self._burst, now)
        self._budgets.move_to_end(name)
        self._renew(budget, now)
        return budget

    def _renew(self, budget: _Budget, now: float) -> None:
        seconds = now - budget.at
        if seconds > 0:
            budget.at = now
            budget.messages = min(
                self._burst, max(0.0, budget.messages) + seconds * self._per_second
            )
            budget.debt = max(0.0, budget.debt - seconds * self.limits.messages_per_second)
