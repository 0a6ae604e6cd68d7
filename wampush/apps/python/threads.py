"""Threads for handlers that block.

Owns: the pool, the calls that run in it, and calls from its threads into the reactor.
Must not import: the edges, the broker.

The threads are daemon threads: a handler that never ends must not keep the process from exiting.
Twisted's own pool would wait for it, and forever for a handler that itself waits for the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import iscoroutine
from threading import Thread, get_ident
from typing import Any, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.threads import blockingCallFromThread
from twisted.python.threadpool import ThreadPool

Value = TypeVar("Value")


class _DaemonThread(Thread):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named, daemon=True)


class _DaemonThreadPool(ThreadPool):
    threadFactory = _DaemonThread  # noqa: N815 - Twisted's name


class ThreadCall:
    """A call that runs in a thread, or waits for one.

    :ivar deferred: fires in the reactor's thread with what it returns or raises, or with
        CancelledError when it never began.
    """

    __slots__ = ("_abandoned", "_arguments", "_function", "deferred")

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._abandoned = False
        self.deferred: Deferred[object] = Deferred()

    def abandon(self) -> None:
        """Do not begin the call any more; once it runs, its thread cannot be interrupted."""
        self._abandoned = True

    def run(self) -> object:
        """Run the call, in its thread."""
        if self._abandoned:
            raise CancelledError
        result = self._function(*self._arguments)
        if iscoroutine(result):
            result.close()
        elif not isinstance(result, Deferred):
            return result
        raise TypeError(
            "a handler that runs in a thread must return its result, not a Deferred or a coroutine"
        )


class Threads:
    """A bounded number of threads, started when the first one is needed.

    :param limit: number of threads.
    :param reactor: ``IReactorFromThreads`` and ``IReactorTime``; this must be its thread.
    """

    def __init__(self, limit: int, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = _DaemonThreadPool(0, limit, "wampush-apps")
        self._ident = get_ident()
        self._running = 0
        self._idle: Deferred[None] | None = None

    @property
    def running(self) -> int:
        """Number of calls that run, or wait for a thread."""
        return self._running

    def start(self, function: Callable[..., object], arguments: tuple[object, ...]) -> ThreadCall:
        """Call a function in a thread as soon as one is free."""
        if not self._pool.started:
            self._pool.start()
        call = ThreadCall(function, arguments)
        self._running += 1
        self._pool.callInThreadWithCallback(partial(self._on_result_in_thread, call), call.run)
        return call

    def in_reactor(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Call a function in the reactor's thread, and wait for its result; see ``InReactor``."""
        if get_ident() == self._ident:
            return function(*arguments)
        return blockingCallFromThread(self._reactor, function, *arguments)

    def answered_in_reactor(self, ask: Callable[[Callable[[Value], object]], Value]) -> Value:
        """Call a function in the reactor's thread that answers later, and wait for its answer.

        In the reactor's thread nobody can wait; what is known at once is returned there.

        :param ask: gets a function that it calls with the answer, once; returns what is known when
            it has asked.
        """
        if get_ident() == self._ident:
            return ask(_ignore)

        def start() -> Any:
            answered: Deferred[Value] = Deferred()
            ask(answered.callback)
            return answered

        return cast("Value", blockingCallFromThread(self._reactor, start))

    def stop(self, patience: float) -> Deferred[None]:
        """Stop the threads.

        :param patience: seconds that running calls get to end.
        :returns: fires when they have ended, or the time is over.
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

    def _on_result_in_thread(self, call: ThreadCall, returned: bool, result: Any) -> None:
        """Hand the result to the reactor; runs in the thread."""
        self._reactor.callFromThread(self._on_result, call, returned, result)

    def _on_result(self, call: ThreadCall, returned: bool, result: Any) -> None:
        self._running -= 1
        if self._idle is not None and not self._running and not self._idle.called:
            self._idle.callback(None)
        if returned:
            call.deferred.callback(result)
        else:
            call.deferred.errback(result)


def _ignore(_: object) -> None:
    """Do nothing: nobody waits for the answer."""
