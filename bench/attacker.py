"""Clients that ask for more than their share, until standard input ends.

    python -m bench.attacker KIND PORT [PROCEDURE]

Prints "ready" when all of them are at work, and at the end a JSON object with what they have done:
``answers``, ``rounds`` (bursts or messages) and ``ends`` (connections that the server ended). All
messages are made beforehand. KIND is one of :data:`KINDS`.

Owns: what hostile clients send. Must not import: wampush, scenarios.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from bench.native import BenchError
from bench.peer import connect, frame, open_session

#: Calls per second and client, and calls at once: just within the default limits.
CALLS_PER_SECOND = 95
BURST_CALLS = 1900
TIME = "wampush.time"
#: Just within the default of ``websocket.max_message_bytes``.
LARGE_BYTES = 65_500
REQUESTS = 200
_ANSWER = b'[3,"'
_RESPONSE = b"HTTP/1.1 200"
_READ_BYTES = 1 << 18


class Attackers:
    """Threads that each play one client.

    :param port: of the server.
    :param procedure: that the clients call.
    """

    def __init__(self, port: int, procedure: str) -> None:
        self._port = port
        self._procedure = procedure
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def run(self, count: int, play: Callable[[Attackers], None]) -> None:
        """Play that many clients until standard input ends, and print the counts."""
        threads = [
            threading.Thread(target=self._repeat, args=(play,), daemon=True) for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        sys.stdin.read()
        self._done.set()
        with self._lock:
            print(json.dumps(dict(self._counts)), flush=True)

    def steady_calls(self) -> None:
        """Call at a steady rate."""
        call = frame(f'[2,"1","{self._procedure}"]'.encode())
        self._steadily(call, CALLS_PER_SECOND)

    def large_events(self) -> None:
        """Publish the largest event that is allowed, at a steady rate."""
        front = b'[7,"large","'
        event = front + b"x" * (LARGE_BYTES - len(front) - 2) + b'"]'
        self._steadily(frame(event), CALLS_PER_SECOND)

    def bursts(self) -> None:
        """Connect, call as often as is allowed at once, read the answers and leave."""
        self._burst()

    def bursts_together(self) -> None:
        """The same, but begin every second together with all the others."""
        self._done.wait(1.0 - time.monotonic() % 1.0)
        self._burst()

    def pipelined_requests(self) -> None:
        """Send many HTTP requests at once, again and again."""
        requests = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * REQUESTS
        with connect(self._port) as connection:
            while not self._done.is_set():
                connection.sendall(requests)
                self._read(connection.recv, _RESPONSE, REQUESTS)

    def _steadily(self, message: bytes, rate: float) -> None:
        with open_session(self._port) as session:
            session.settimeout(10)
            reader = threading.Thread(target=self._read, args=(session.recv, _ANSWER), daemon=True)
            reader.start()
            due = time.monotonic() + random.random() / rate
            while not self._done.is_set():
                self._done.wait(due - time.monotonic())
                session.sendall(message)
                self._count("rounds")
                # A server that cannot keep up is not sent everything it has missed at once.
                due = max(due + 1 / rate, time.monotonic() - 0.1)

    def _burst(self) -> None:
        calls = frame(f'[2,"1","{self._procedure}"]'.encode()) * BURST_CALLS
        with open_session(self._port) as session:
            session.sendall(calls)
            self._read(session.recv, _ANSWER, BURST_CALLS)

    def _read(
        self, receive: Callable[[int], bytes], mark: bytes, most: float = float("inf")
    ) -> None:
        """Read until a mark has come so often; each counts as an answer."""
        rest = b""
        found = 0
        while found < most:
            data = rest + receive(_READ_BYTES)
            if data == rest:
                raise ConnectionError("the server has ended the connection")
            new = data.count(mark)
            found += new
            self._count("answers", new)
            rest = data[len(data) - len(mark) + 1 :]
        self._count("rounds")

    def _repeat(self, play: Callable[[Attackers], None]) -> None:
        while not self._done.is_set():
            try:
                play(self)
            except (OSError, BenchError):
                self._count("ends")
                self._done.wait(0.1)

    def _count(self, what: str, by: int = 1) -> None:
        with self._lock:
            self._counts[what] += by


#: The kinds of attackers: how many there are by default, and what each does.
KINDS: dict[str, tuple[int, Callable[[Attackers], None]]] = {
    "calls": (50, Attackers.steady_calls),
    "large": (4, Attackers.large_events),
    "reconnecting": (4, Attackers.bursts),
    "together": (20, Attackers.bursts_together),
    "sessions": (3, Attackers.bursts),
    "http": (4, Attackers.pipelined_requests),
}


def main(kind: str, port: int, procedure: str = TIME) -> None:
    """Attack; the arguments are described above."""
    count, play = KINDS[kind]
    Attackers(port, procedure).run(count, play)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
