"""A node that pulls from real ZeroMQ sockets, and backends that push to it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import zmq
from twisted.internet import reactor as installed

from tests.support.log_lines import reporting_to
from tests.support.waiting import PATIENCE
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.settings import Settings
from wampush.config.tables.pushes import PushSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.errors import Refusal
from wampush.node.build import Node, build

reactor: Any = installed
ANY = "tcp://127.0.0.1:*"


class Bridge:
    """A node that pulls, with the publications it made."""

    def __init__(
        self, *addresses: str, max_message_bytes: int = 1_048_576, **zmq_settings: Any
    ) -> None:
        settings = Settings(
            pushes=PushSettings(max_message_bytes=max_message_bytes),
            zmq=ZmqSettings(pull=addresses, **zmq_settings),
        )
        self.node: Node = build(settings, reactor, 10)
        self.seen: list[Publication] = []
        self.node.broker._router.publish = self._publish  # type: ignore[method-assign]
        self.lines: list[str] = []
        self.node.broker.ledger._report = reporting_to(self.lines.append)
        self.addresses = self.node.pull.start()

    def _publish(self, publication: Publication) -> int:
        self.seen.append(publication)
        return 0

    @property
    def pressure(self) -> Any:
        return self.node.backpressure

    def refused(self) -> dict[Refusal, int]:
        return {
            refusal: count
            for (source, refusal), count in self.node.broker.ledger.refused.items()
            if source is Source.ZEROMQ
        }

    def until(self, condition: Callable[[], bool]) -> None:
        """Run the reactor until a condition holds, as long as publications keep coming."""
        count, deadline = len(self.seen), time.monotonic() + PATIENCE
        while not condition():
            if len(self.seen) > count:
                count, deadline = len(self.seen), time.monotonic() + PATIENCE
            assert time.monotonic() < deadline, f"{count} publications so far"
            reactor.iterate(0.001)

    def turns(self, count: int) -> None:
        for _ in range(count):
            reactor.iterate(0.001)


@contextlib.contextmanager
def bridge(*addresses: str, **zmq_settings: Any) -> Iterator[Bridge]:
    running = Bridge(*(addresses or (ANY,)), **zmq_settings)
    try:
        yield running
    finally:
        running.node.pull.stop()


@contextlib.contextmanager
def push_socket(*addresses: str, bind: bool = False) -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
    socket.set(zmq.IPV6, int(any("[" in address for address in addresses)))
    try:
        for address in addresses:
            if bind:
                socket.bind(address)
            else:
                socket.connect(address)
        yield socket
    finally:
        socket.close()
        context.term()


class Pusher(threading.Thread):
    """A backend that pushes numbered messages, and pauses where it is told to."""

    def __init__(
        self, address: str, numbers: range, pauses: Iterator[float], size: int = 0
    ) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._numbers = numbers
        self._pauses = pauses
        self._padding = b"x" * size
        self._pause = threading.Event()
        self.error: zmq.ZMQError | None = None
        self.close = threading.Event()
        self.stop = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with push_socket(self._address) as socket:
                # So that it sees in time that it has to stop.
                socket.set(zmq.SNDTIMEO, 3000)
                for number in self._numbers:
                    socket.send_multipart([b"t", b'"%d %s"' % (number, self._padding)])
                    if self.stop.is_set():
                        return
                    if number % 1000 == 999:
                        self._pause.wait(next(self._pauses))
                self.close.wait(PATIENCE)
        except zmq.ZMQError as error:
            self.error = error


def numbers(seen: list[Publication]) -> list[int]:
    return [int(each.payload.strip(b'"').split()[0]) for each in seen]
