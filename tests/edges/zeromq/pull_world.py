"""A node that pulls from real ZeroMQ sockets, and backends that push to it."""

from __future__ import annotations

import contextlib
import socket
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
    """A node that pulls, with the publications it made.

    :param inherits: returns the socket that listens already, for an address.
    """

    def __init__(
        self,
        *addresses: str,
        max_message_bytes: int = 1_048_576,
        inherits: Callable[[str], socket.socket | None] = lambda _: None,
        **zmq_settings: Any,
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
        self.node.pull.inherit(inherits)
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

    def stop_listening(self) -> None:
        """Stop listening, and wait for the thread of libzmq, which does so a little later."""
        self.until(self.node.pull.stop_listening)
        self.until(lambda: all(map(is_free, self.addresses)))

    def turns(self, count: int) -> None:
        for _ in range(count):
            reactor.iterate(0.001)


def is_free(address: str) -> bool:
    """Whether nobody listens at an address."""
    scheme, _, name = address.partition("://")
    with socket.socket(socket.AF_UNIX if scheme == "ipc" else socket.AF_INET) as trial:
        if scheme == "ipc":
            return trial.connect_ex(name) != 0
        # As libzmq does; connections that are still open do not count.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, _, port = name.rpartition(":")
        try:
            trial.bind((host, int(port)))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def bridge(*addresses: str, **zmq_settings: Any) -> Iterator[Bridge]:
    running = Bridge(*(addresses or (ANY,)), **zmq_settings)
    try:
        yield running
    finally:
        running.node.pull.stop()


@contextlib.contextmanager
def push_socket(
    *addresses: str, bind: bool = False, reconnect_after: float = 0.1
) -> Iterator[zmq.Socket[bytes]]:
    """A backend's socket.

    :param bind: whether it listens, instead of connecting.
    :param reconnect_after: seconds between the end of a connection and the next one.
    """
    context = zmq.Context()
    pusher = context.socket(zmq.PUSH)
    pusher.set(zmq.LINGER, 0)
    pusher.set(zmq.RECONNECT_IVL, round(reconnect_after * 1000))
    pusher.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
    pusher.set(zmq.IPV6, int(any("[" in address for address in addresses)))
    try:
        for address in addresses:
            if bind:
                pusher.bind(address)
            else:
                pusher.connect(address)
        yield pusher
    finally:
        pusher.close()
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
