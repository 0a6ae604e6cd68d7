"""The handlers of an app about topics that are occupied and vacated.

Owns: when they run, and how many at once. Must not import: the edges, the broker; nor know how
handlers are run (``runner``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wampush.apps.python import conversions
from wampush.apps.python.runner import Outcome, RunState
from wampush.apps.topic_changes import TopicChanges
from wampush.topics import matches

if TYPE_CHECKING:
    from wampush.apps.incidents import Incidents
    from wampush.apps.python.app import Registered
    from wampush.apps.python.context_factory import Contexts
    from wampush.apps.python.runner import Runner

_log: Final = Logger(namespace="wampush.apps")

#: Topics whose handlers run at the same time; further topics wait.
AT_ONCE: Final = 10


class AppOccupancy:
    """Runs ``on_occupied`` and ``on_vacated`` handlers of one app.

    For one topic, a handler begins only after the one before has ended.

    :param registered: the handlers.
    :param contexts: creates their contexts.
    :param runner: runs them.
    :param incidents: logs their errors.
    :param call_later: ``IReactorTime.callLater``.
    """

    def __init__(
        self,
        *,
        registered: Registered,
        contexts: Contexts,
        runner: Runner,
        incidents: Incidents,
        call_later: Callable[..., object],
    ) -> None:
        self._handlers: Final = {True: registered.occupied, False: registered.vacated}
        self._contexts = contexts
        self._runner = runner
        self._incidents = incidents
        self._call_later = call_later
        self._changes = TopicChanges()
        self._running = 0
        self._is_scheduled = False
        self._is_stopping = False
        self._is_draining = False

    @property
    def patterns(self) -> list[str]:
        """The topics that its handlers are for."""
        return [each.match for handlers in self._handlers.values() for each in handlers]

    def on_change(self, topic: str, is_occupied: bool) -> None:
        """Handle a topic that is occupied or vacated."""
        self._changes.add(topic, is_occupied)
        self._schedule()

    def stop(self) -> None:
        """Start all handlers that wait: the runner waits only for those that have begun."""
        self._is_stopping = True
        if self._is_draining:
            return
        self._is_draining = True
        while self._changes.ready:
            self._start()
        self._is_draining = False

    def _schedule(self) -> None:
        # A turn of its own, so that a flood of topics does not delay clients.
        if self._changes.ready and not self._is_scheduled and self._running < AT_ONCE:
            self._is_scheduled = True
            self._call_later(0, self._on_turn)

    def _on_turn(self) -> None:
        self._is_scheduled = False
        for _ in range(AT_ONCE - self._running):
            if self._changes.ready:
                self._start()
        self._schedule()

    def _start(self) -> None:
        is_occupied, (topic,) = self._changes.take(1)
        self._running += 1
        Deferred.fromCoroutine(self._run(topic, is_occupied)).addErrback(
            lambda failure: _log.failure("could not run handlers of a topic", failure)
        )

    async def _run(self, topic: str, is_occupied: bool) -> None:
        outcome: Outcome | None = None
        for handler in self._handlers[is_occupied]:
            if matches(handler.match, topic):
                outcome = await self._runner.ask(
                    handler,
                    (self._contexts.of_server(), topic),
                    convert=conversions.as_nothing,
                )
                if outcome.failure is not None:
                    action = f"{handler.name} for topic {topic!r}"
                    self._incidents.report(action, outcome.failure, handler.name)
        self._running -= 1
        self._changes.done((topic,))
        if not self._is_stopping:
            self._schedule()
        elif outcome is None or outcome.state is not RunState.CANCELLED:
            # After the last moment, a handler that begins would only delay the end.
            self.stop()
