"""A bus that joins brokers of one process, for tests and simulations.

Owns: the bus and the links of its nodes. Must not import: Twisted, the edges. Timers are handed in.

Nothing arrives within the call that sends it, as over a network. Messages take
:data:`MemoryBus.delay` seconds from the node to the bus and as many back. A link can be cut, and a
message that is on its way then is lost, or its answer is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from wampush.broker.backplane.contract import BusListener, OnSent
from wampush.broker.delivery.backlog import Timer


class MemoryBus:
    """Joins the links that :meth:`link` returns.

    :param call_later: calls a function after a number of seconds; calls that are due at the same
        time must come in their order.
    :param delay: seconds for one way.
    """

    def __init__(
        self, call_later: Callable[[float, Callable[[], None]], Timer], delay: float = 0.0
    ) -> None:
        self._call_later = call_later
        self.delay = delay
        self._links: list[MemoryLink] = []
        self._is_up = True

    def link(self) -> MemoryLink:
        """Return the link of one more node."""
        link = MemoryLink(self, self._call_later)
        self._links.append(link)
        return link

    def cut(self, problem: str = "the bus is away") -> None:
        """Lose all links, as when Redis ends."""
        self._is_up = False
        for link in self._links:
            link.cut(problem)

    def restore(self) -> None:
        """Join all links again."""
        self._is_up = True
        for link in self._links:
            link.restore()

    def distribute(self, channel: str, message: bytes) -> int:
        """Send a message on to all links that follow its channel; return how many that are."""
        receivers = [each for each in self._links if each.receives(channel)]
        for each in receivers:
            each.bring(channel, message)
        return len(receivers)

    @property
    def is_up(self) -> bool:
        """Whether links can be joined."""
        return self._is_up


class MemoryLink:
    """The link of one node; a :class:`~.contract.Bus`.

    :param bus: joins it to the others.
    :param call_later: as for the bus.
    """

    def __init__(
        self, bus: MemoryBus, call_later: Callable[[float, Callable[[], None]], Timer]
    ) -> None:
        self._bus = bus
        self._call_later = call_later
        self._listener: BusListener | None = None
        #: What the node asks for, and what the bus knows of that.
        self._wanted: dict[str, None] = {}
        self._followed: set[str] = set()
        self._unanswered: list[OnSent] = []
        # Counts the losses; what is on its way belongs to one link only.
        self._generation = 0
        self.is_joined = False
        self.problem = "it is not joined yet"
        self.address = "memory"

    def start(self, listener: BusListener) -> None:
        """See :class:`~.contract.Bus`."""
        self._listener = listener
        self.restore()

    def status(self) -> Mapping[str, object]:
        """See :class:`~.contract.Bus`."""
        return {"state": "joined" if self.is_joined else "waiting", "problem": self.problem or None}

    def publish(self, channel: str, message: bytes, on_sent: OnSent) -> None:
        """See :class:`~.contract.Bus`."""
        if not self.is_joined:
            self._call_later(0, partial(on_sent, None))
            return
        self._unanswered.append(on_sent)
        self._later(self._arrive, channel, message)

    def follow(self, channels: Collection[str]) -> None:
        """See :class:`~.contract.Bus`."""
        self._wanted.update(dict.fromkeys(channels))
        if self.is_joined:
            self._later(self._begin, list(channels))

    def unfollow(self, channels: Collection[str]) -> None:
        """See :class:`~.contract.Bus`."""
        for each in channels:
            self._wanted.pop(each, None)
        if self.is_joined:
            self._later(self._end, list(channels))

    @property
    def losses(self) -> int:
        """How often the link was lost; what is on its way then is lost with it."""
        return self._generation

    def receives(self, channel: str) -> bool:
        """Return whether the bus sends the messages of a channel here."""
        return channel in self._followed

    def bring(self, channel: str, message: bytes) -> None:
        """Take a message from the bus."""
        self._later(self._hand_over, channel, message)

    def cut(self, problem: str) -> None:
        """Lose the link.

        :param problem: why, for the node's log.
        """
        if not self.is_joined:
            return
        self._generation += 1
        self.is_joined, self.problem = False, problem
        self._followed.clear()
        unanswered, self._unanswered = self._unanswered, []
        for on_sent in unanswered:
            on_sent(None)
        if self._listener is not None:
            self._listener.on_left(problem)

    def restore(self) -> None:
        """Join the others again, if there is a bus to join."""
        if self._listener is not None and self._bus.is_up and not self.is_joined:
            self._later(self._join)

    def _later(self, call: Callable[..., None], *arguments: Any) -> None:
        generation = self._generation

        def go_on() -> None:
            if generation == self._generation:
                call(*arguments)

        self._call_later(self._bus.delay, go_on)

    def _join(self) -> None:
        if self.is_joined or not self._bus.is_up or self._listener is None:
            return
        self.is_joined, self.problem = True, ""
        self._followed = set(self._wanted)
        if self._wanted:
            self._listener.on_followed(list(self._wanted))
        self._listener.on_joined()

    def _arrive(self, channel: str, message: bytes) -> None:
        nodes = self._bus.distribute(channel, message)
        self._later(self._answer, nodes)

    def _answer(self, nodes: int) -> None:
        self._unanswered.pop(0)(nodes)

    def _hand_over(self, channel: str, message: bytes) -> None:
        if self._listener is not None:
            self._listener.on_message(channel, message)

    def _begin(self, channels: list[str]) -> None:
        self._followed.update(channels)
        self._later(self._confirm, channels)

    def _confirm(self, channels: list[str]) -> None:
        if self._listener is not None:
            self._listener.on_followed(channels)

    def _end(self, channels: list[str]) -> None:
        self._followed.difference_update(channels)
