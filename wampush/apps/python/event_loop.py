"""An asyncio event loop in a thread of its own, for handlers that use libraries made for asyncio.

Owns: the loop, its thread, and the calls that run in it.
Must not import: the edges, the broker.

The reactor stays Twisted's own: delivery is faster with it than with the reactor that runs on
asyncio. The thread is a daemon thread, so that a handler that blocks the loop cannot keep the
process from exiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Thread
from typing import Any

from twisted.internet.defer import CancelledError, Deferred


class LoopCall:
    """A call that runs in the loop.

    :param loop: where it runs.
    :param function: an async function.
    :param arguments: of the function.
    :param reactor: ``IReactorFromThreads``.
    :ivar deferred: fires in the reactor's thread with what it returns or raises, or with
        CancelledError when it was cancelled.
    """

    __slots__ = ("_abandoned", "_arguments", "_function", "_loop", "_reactor", "_task", "deferred")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., object],
        arguments: tuple[object, ...],
        reactor: Any,
    ) -> None:
        self._loop = loop
        self._function = function
        self._arguments = arguments
        self._reactor = reactor
        self._abandoned = False
        self._task: asyncio.Task[object] | None = None
        self.deferred: Deferred[object] = Deferred()

    def abandon(self) -> None:
        """Cancel the call: it gets ``asyncio.CancelledError`` where it waits."""
        self._abandoned = True
        self._loop.call_soon_threadsafe(self._cancel)

    def begin(self) -> None:
        """Run the call, in the thread of the loop."""
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._on_done)

    async def _run(self) -> object:
        if self._abandoned:
            raise asyncio.CancelledError
        try:
            result = self._function(*self._arguments)
            return await result if isinstance(result, Awaitable) else result
        except (SystemExit, KeyboardInterrupt) as error:
            # These would end the loop, and with it all other calls.
            raise RuntimeError(f"a handler raised {error!r}") from error

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _on_done(self, task: asyncio.Task[object]) -> None:
        """Hand the result to the reactor, from the thread of the loop."""
        if task.cancelled():
            self._reactor.callFromThread(self.deferred.errback, CancelledError())
        elif (error := task.exception()) is not None:
            self._reactor.callFromThread(self.deferred.errback, error)
        else:
            self._reactor.callFromThread(self.deferred.callback, task.result())


class EventLoop:
    """An event loop, started when the first handler needs it.

    :param reactor: ``IReactorFromThreads``.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = 0

    @property
    def running(self) -> int:
        """Number of calls that have not ended."""
        return self._running

    def start(self, function: Callable[..., object], arguments: tuple[object, ...]) -> LoopCall:
        """Run an async function."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            Thread(
                target=_run_loop, args=(self._loop,), name="wampush-asyncio", daemon=True
            ).start()
        call = LoopCall(self._loop, function, arguments, self._reactor)
        self._running += 1
        call.deferred.addBoth(self._on_end)
        self._loop.call_soon_threadsafe(call.begin)
        return call

    def _on_end(self, result: object) -> object:
        self._running -= 1
        return result

    def stop(self) -> None:
        """Stop the loop; its calls must have ended, or have been abandoned."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
