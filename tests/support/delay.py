"""A TCP proxy that delays what it passes on, in both directions, and cuts connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.support.waiting import PATIENCE

_End = bytes | None


class DelayingProxy:
    """Passes connections on to a port of this machine; every byte and every end comes late.

    :param target: the port.
    :param seconds: the delay in each direction.
    """

    def __init__(self, target: int, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        #: How many connections there have been.
        self.connections = 0
        self._counted = threading.Condition()

    @contextlib.contextmanager
    def running(self) -> Iterator[DelayingProxy]:
        """Pass connections on in a thread of its own, until the block ends."""
        self._thread.start()
        starting = asyncio.start_server(self._pass_on, sock=self._listening)
        server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(PATIENCE)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(server), self._loop).result(PATIENCE)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            self._loop.close()

    def wait_for_connections(self, count: int) -> None:
        """Wait until there have been so many connections."""
        with self._counted:
            came = self._counted.wait_for(lambda: self.connections >= count, PATIENCE)
        assert came, f"{self.connections} connections of {count}"

    def cut(self) -> None:
        """Abort all connections; what is on its way is lost."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    @staticmethod
    async def _stop(server: asyncio.Server) -> None:
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        # The task is cancelled by _stop only, and asyncio's streams report that as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await self._pass_both_ways(reader, writer, far_reader, far_writer)

    async def _pass_both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        with self._counted:
            self.connections += 1
            self._counted.notify_all()
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(self._pipe(reader, far_writer), self._pipe(far_reader, writer))
        finally:
            self._open -= {writer, far_writer}
            for each in (writer, far_writer):
                each.close()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, _End]] = asyncio.Queue(1000)
        reading = asyncio.ensure_future(self._read(reader, queue))
        try:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if data is None:
                    writer.transport.abort()
                    return
                if not data:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            writer.transport.abort()
        finally:
            reading.cancel()

    async def _read(
        self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, _End]]
    ) -> None:
        while True:
            data: _End
            try:
                data = await reader.read(65536)
            except OSError:
                data = None
            await queue.put((self._loop.time() + self._seconds, data))
            if not data:
                return
