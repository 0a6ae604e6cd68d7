"""Threads for handlers that block.

Owns: the pool, how handlers get in and their results out, and the way back into the reactor.
Must not import: the edges, the broker.

The threads are daemons: a handler that never ends must not keep the process from ending. Twisted's
own pool would wait for it, and for one that waits for the reactor in turn it would wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import iscoroutine
from threading import Thread, get_ident
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.threads import blockingCallFromThread
from twisted.python.threadpool import ThreadPool

Value = TypeVar("Value")


class _Daemon(Thread):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named, daemon=True)


class _Daemons(ThreadPool):
    threadFactory = _Daemon  # noqa: N815 - Twisted's name


class Job:
    """One call that runs in a thread, or waits for one.

    :ivar deferred: fires in the reactor's thread with what it returns or raises, or with
        CancelledError when it was never begun.
    """

    __slots__ = ("_abandoned", "_arguments", "_function", "deferred")

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._abandoned = False
        self.deferred: Deferred[object] = Deferred()

    def abandon(self) -> None:
        """Nobody wants the result: it is not begun any more. A thread can not be interrupted."""
        self._abandoned = True

    def run(self) -> object:
        """Call it, in its thread."""
        if self._abandoned:
            raise CancelledError
        result = self._function(*self._arguments)
        if iscoroutine(result):
            result.close()
        elif not isinstance(result, Deferred):
            return result
        raise TypeError("what runs in a thread returns its result, no Deferred and no coroutine")


class Threads:
    """A bounded number of threads, started when the first one is needed.

    :param most: how many.
    :param reactor: ``IReactorFromThreads`` and ``IReactorTime``; this must be its thread.
    """

    def __init__(self, most: int, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = _Daemons(0, most, "wampush-apps")
        self._ident = get_ident()
        self._running = 0
        self._idle: Deferred[None] | None = None

    def start(self, function: Callable[..., object], arguments: tuple[object, ...]) -> Job:
        """Call a function in a thread, as soon as one is free."""
        if not self._pool.started:
            self._pool.start()
        job = Job(function, arguments)
        self._running += 1
        self._pool.callInThreadWithCallback(partial(self._left, job), job.run)
        return job

    def in_reactor(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Call a function in the reactor's thread and wait for its result; see ``InReactor``."""
        if get_ident() == self._ident:
            return function(*arguments)
        return blockingCallFromThread(self._reactor, function, *arguments)

    def stop(self, patience: float) -> Deferred[None]:
        """End the threads.

        :param patience: seconds that running functions get to end.
        :returns: fires when they have, or the time is over; then the process need not wait.
        """
        if not self._pool.started:
            return succeed(None)
        if self._running:
            self._idle = idle = Deferred[None]()
            timer = self._reactor.callLater(patience, idle.callback, None)
            return idle.addCallback(lambda _: self._end(timer))
        self._end()
        return succeed(None)

    def _end(self, timer: Any = None) -> None:
        self._idle = None
        if timer is not None and timer.active():
            timer.cancel()
        # Only idle threads are waited for.
        if not self._running:
            self._pool.stop()

    def _left(self, job: Job, returned: bool, result: Any) -> None:
        """In the thread: it is done."""
        self._reactor.callFromThread(self._done, job, returned, result)

    def _done(self, job: Job, returned: bool, result: Any) -> None:
        self._running -= 1
        if self._idle is not None and not self._running and not self._idle.called:
            self._idle.callback(None)
        if returned:
            job.deferred.callback(result)
        else:
            job.deferred.errback(result)
