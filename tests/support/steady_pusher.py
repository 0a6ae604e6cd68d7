"""Backends that push numbers in a thread, while a test does something else."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Self

import zmq

from tests.support.waiting import PATIENCE


class _Pusher(ABC):
    """Pushes in a thread, from the begin of a block to its end.

    :param port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop pushing."""
        self._ending.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Push until the block ends."""


class SteadyPusher(_Pusher):
    """Pushes 0, 1, 2, … over ZeroMQ at a steady rate.

    :param port: of ZeroMQ.
    :param topics: in turn.
    :param per_second: how many pushes.
    """

    def __init__(self, port: int, topics: Sequence[str], per_second: float) -> None:
        super().__init__(port)
        self._topics = topics
        self._per_second = per_second
        #: Topic and number of each push.
        self.sent: list[tuple[str, int]] = []

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
            # Bounded, so that a test that fails ends also where nobody pulls any more.
            socket.set(zmq.LINGER, int(PATIENCE * 1000))
            socket.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
            socket.connect(f"tcp://127.0.0.1:{self._port}")
            begin = time.monotonic()
            for number in count():
                pause = begin + number / self._per_second - time.monotonic()
                if self._ending.wait(max(0.0, pause)):
                    return
                topic = self._topics[number % len(self._topics)]
                socket.send_multipart([topic.encode(), json.dumps(number).encode()])
                self.sent.append((topic, number))


class HttpPusher(_Pusher):
    """Pushes 0, 1, 2, … over HTTP, each soon after the last is answered.

    It sends again what is answered with 503, as the guide says.

    :param port: of HTTP.
    :param topic: of all pushes.
    :param reconnects: whether it opens a connection for each push; otherwise it uses one as long as
        the server keeps it.
    """

    def __init__(self, port: int, topic: str, *, reconnects: bool) -> None:
        super().__init__(port)
        self.topic = topic
        self._reconnects = reconnects
        self.sent = 0
        self.connections = 0
        self.problem = ""

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        with contextlib.closing(connection):
            while not self._ending.wait(0.01) and not self.problem:
                self.connections += connection.sock is None
                try:
                    connection.request("POST", f"/publish/{self.topic}", b"%d" % self.sent)
                    response = connection.getresponse()
                    text = response.read()
                except (OSError, http.client.HTTPException) as error:
                    self.problem = repr(error)
                    return
                if response.status == http.client.OK:
                    self.sent += 1
                elif response.status != http.client.SERVICE_UNAVAILABLE:
                    self.problem = f"{response.status} {text!r}"
                if self._reconnects:
                    connection.close()
