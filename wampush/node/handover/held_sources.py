"""The sources of a new node wait for the last pushes that the old one takes.

Owns: how long they wait. Must not import: ``node.service``.

A backend over ZeroMQ that has connected to the new node must not overtake what it has pushed to the
old one before, which arrives over the stream. Usually that is so, because ZeroMQ connects anew only
after 100 ms; a busy machine may keep the old node from reading for longer.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from wampush.broker.delivery.backpressure import Backpressure, Hold
from wampush.node.handover.draining import BACKEND_SECONDS

_log = Logger(namespace="wampush.handover")


class HeldSources:
    """Pauses the sources of a node.

    :param backpressure: pauses them.
    :param reactor: for the timer.
    """

    def __init__(self, backpressure: Backpressure, reactor: Any) -> None:
        self._backpressure = backpressure
        self._reactor = reactor
        self._timer: Any = None

    def hold(self) -> None:
        """Pause the sources until :meth:`release`, at most :data:`.BACKEND_SECONDS` long."""
        self._backpressure.hold(Hold.TAKING_OVER)
        self._timer = self._reactor.callLater(BACKEND_SECONDS, self._on_late)

    def release(self) -> None:
        """Let the sources go on; does nothing if they do."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            self._backpressure.release(Hold.TAKING_OVER)

    def _on_late(self) -> None:
        self._timer = None
        _log.warn(
            "the old process still has backends over ZeroMQ after {seconds:g} s; what they push "
            "here may come before what they have pushed there",
            seconds=BACKEND_SECONDS,
        )
        self._backpressure.release(Hold.TAKING_OVER)
