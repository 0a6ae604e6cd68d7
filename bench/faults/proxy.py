"""A TCP proxy between a node and Redis that does what networks do.

Owns: its connections. Must not import: the other modules of the run.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

_READ_BYTES: Final = 65_536


class FaultyProxy:
    """Passes connections on to a port of this machine, and hurts them when told to.

    :param target: the port.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._delay = 0.0
        self._is_refusing = False
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def links(self) -> int:
        """How many connections are open."""
        return len(self._links)

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for each in list(self._links):
            each.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Abort all connections, and refuse new ones."""
        self._is_refusing = True
        for each in list(self._links):
            each.abort()

    def mend(self) -> None:
        """Accept connections again, and pass everything on at once."""
        self._is_refusing = False
        self._delay = 0.0
        self._passing.set()

    def stall(self) -> None:
        """Keep connections open, and pass nothing on until it is mended."""
        self._passing.clear()

    def slow_down(self, seconds: float) -> None:
        """Delay everything in both directions.

        :param seconds: for each direction; within a connection, nothing overtakes anything.
        """
        self._delay = seconds

    def inject(self, data: bytes) -> None:
        """Send bytes to the node over all of its connections, as if Redis had."""
        for each in self._links:
            each.near.write(data)

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Cancelled by stop() only; the streams of asyncio report that as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await self._pass_on(reader, writer)
        self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, far)
        self._links.add(link)
        try:
            # The end of one direction ends both: Redis and its clients never end halves.
            ways = [
                asyncio.ensure_future(self._pipe(reader, far)),
                asyncio.ensure_future(self._pipe(far_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
        finally:
            self._links.discard(link)
            link.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop()
        parts: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)
        reading = asyncio.ensure_future(self._read(reader, parts))
        try:
            while True:
                due, data = await parts.get()
                if not data:
                    return
                await asyncio.sleep(max(0.0, due - clock.time()))
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            reading.cancel()

    async def _read(
        self, reader: asyncio.StreamReader, parts: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        clock = asyncio.get_running_loop()
        while True:
            try:
                data = await reader.read(_READ_BYTES)
            except OSError:
                data = b""
            await parts.put((clock.time() + self._delay, data))
            if not data:
                return


class _Link:
    """Both ends of a connection.

    :param near: towards the node.
    :param far: towards Redis.
    """

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self._far = far

    def abort(self) -> None:
        """End both ends at once; what is under way is lost."""
        self.near.transport.abort()
        self._far.transport.abort()
