"""Whether a link is mute: connected, and nothing comes any more.

Owns: the probes, and what an answer proves. Must not import: the other edges.

A firewall may have forgotten a connection without telling either side, and a server may hang. So a
message goes over the link and back every few seconds. A link is mute when the server has not
answered, or has sent the message to this node and it has not come, and nothing else comes either:
after a loss, thousands of commands may be under way, and their answers come before that to the
probe. A PUBLISH that the server has refused proves nothing about the link.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from wampush.clock import Clock

#: Seconds between two probes.
PROBE_SECONDS: Final = 3.0
#: Seconds that a probe may take; with the time between two, a mute link is found within 10 s.
PATIENCE: Final = 4.0
#: Seconds by which a timer may be late. If it is later, this process was not running, and what has
#: arrived meanwhile is not read yet.
LATE_SECONDS: Final = 1.0


class ProbedLink(Protocol):
    """The link, as a probe sees it."""

    @property
    def is_reading(self) -> bool:
        """Whether messages are read as they come."""

    @property
    def reads(self) -> tuple[int, int]:
        """How often bytes have come over the connections for commands and for subscriptions."""

    def fail(self, problem: str) -> None:
        """End the link."""


class Probe:
    """Probes one link until it is stopped.

    :param link: the link; open.
    :param send: publishes a message that comes back to this node, and calls a function with how
        many nodes the server has sent it to, or with anything else.
    :param clock: for timers.
    """

    def __init__(
        self, link: ProbedLink, send: Callable[[Callable[[Any], None]], None], clock: Clock
    ) -> None:
        self._link = link
        self._send_probe = send
        self._clock = clock
        self._nodes: object = None
        self._is_answered = self._has_come = False
        self._reads = (0, 0)
        self._due = 0.0
        self._timer: Any = None
        #: Probes that the server has refused.
        self.refused = 0
        self._wait(PROBE_SECONDS, self._send)

    def on_message(self) -> None:
        """Take note that the message has come back."""
        self._has_come = True

    def stop(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float, call: Callable[[], None]) -> None:
        self._due = self._clock.seconds() + seconds
        self._timer = self._clock.call_later(seconds, call)

    def _send(self) -> None:
        self._is_answered = self._has_come = False
        self._wait_for_answer()
        self._send_probe(self._on_reply)

    def _wait_for_answer(self) -> None:
        self._reads = self._link.reads
        self._wait(PATIENCE, self._judge)

    def _on_reply(self, reply: object) -> None:
        self._is_answered = True
        self._nodes = reply

    def _judge(self) -> None:
        self._timer = None
        is_late = self._clock.seconds() - self._due > LATE_SECONDS
        problem = self._problem()
        if problem and (is_late or self._is_behind()):
            self._wait_for_answer()
        elif problem:
            self._link.fail(problem)
        else:
            self._wait(PROBE_SECONDS, self._send)

    def _is_behind(self) -> bool:
        """Return whether something has come over the connection that the probe is missing on."""
        commands, subscriptions = self._reads
        commands_now, subscriptions_now = self._link.reads
        if not self._is_answered:
            return commands_now > commands
        # What Redis has sent to nobody does not come later either.
        return self._nodes != 0 and subscriptions_now > subscriptions

    def _problem(self) -> str:
        if not self._is_answered:
            return f"no answer within {PATIENCE:g} s"
        if not isinstance(self._nodes, int):
            self.refused += 1
            return ""
        if self._nodes == 0:
            return "Redis does not know the subscriptions of this node any more"
        if not self._has_come and self._link.is_reading:
            return f"nothing has come over the connection for subscriptions for {PATIENCE:g} s"
        return ""
