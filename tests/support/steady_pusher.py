"""A backend that pushes numbers at a steady rate."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Self

import zmq

from tests.support.waiting import PATIENCE


class SteadyPusher:
    """Pushes 0, 1, 2, … in a thread, from the begin of a block to its end.

    :param port: of ZeroMQ.
    :param topics: in turn.
    :param per_second: how many pushes.
    """

    def __init__(self, port: int, topics: Sequence[str], per_second: float) -> None:
        self._port = port
        self._topics = topics
        self._per_second = per_second
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        #: Topic and number of each push.
        self.sent: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop pushing."""
        self._ending.set()
        self._thread.join()

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
