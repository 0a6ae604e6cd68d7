"""A wire in memory beneath Twisted's own buffering and producers."""

# ruff: noqa: N802, ARG002 (Twisted's names)

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure


class Selector:
    """Takes the place of the reactor of a file descriptor."""

    def __init__(self) -> None:
        self.writing = False

    def addWriter(self, descriptor: object) -> None:
        self.writing = True

    def removeWriter(self, descriptor: object) -> None:
        self.writing = False

    def addReader(self, descriptor: object) -> None:
        pass

    def removeReader(self, descriptor: object) -> None:
        pass


class Wire(FileDescriptor):
    """Twisted's own buffering and producers on top of a wire that takes what the test allows."""

    def __init__(self) -> None:
        self.selector = Selector()
        selector: Any = self.selector
        super().__init__(selector)
        self.connected = 1
        self.capacity = 0
        self.sent = bytearray()
        self.broken = False
        self.ended: list[Failure] = []
        self.aborted = False
        self.half_closed = False

    def getHandle(self) -> Wire:
        return self

    def send(self, data: bytes) -> int:
        """The system call of the direct way."""
        if self.broken:
            raise ConnectionResetError
        if not self.capacity:
            raise BlockingIOError
        return self._pass_on(data)

    def writeSomeData(self, data: bytes) -> int | Exception:
        return ConnectionLost() if self.broken else self._pass_on(data)

    def _pass_on(self, data: bytes) -> int:
        size = min(len(data), self.capacity)
        self.capacity -= size
        self.sent += data[:size]
        return size

    def _closeWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True

    def connectionLost(self, reason: Failure) -> None:
        self.ended.append(reason)
        super().connectionLost(reason)

    def turn(self, capacity: int) -> None:
        """The wire takes so many more bytes; the reactor sees that it is writable."""
        self.capacity += capacity
        while self.selector.writing and (self.capacity or self.broken):
            result = self.doWrite()
            if result is not None:
                self.connectionLost(Failure(result))
