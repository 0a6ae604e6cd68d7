"""A backend that pushes events with numbers and timestamps.

    python -m bench.publisher zmq|tcp PORT COUNT RATE SIZE

Prints "connected", waits for a line, then sends COUNT events of SIZE bytes, RATE per second or,
with 0, as fast as they are accepted. ``zmq`` is a PUSH socket with ZeroMQ's own high-water mark;
``tcp`` feeds the floor program.

Owns: the contents of an event. Must not import: anything of the benchmark.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable

import zmq


def _over_zmq(port: int) -> tuple[Callable[[bytes], object], Callable[[], object]]:
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    # Otherwise the socket would accept messages before it is connected.
    push.setsockopt(zmq.IMMEDIATE, 1)
    push.connect(f"tcp://127.0.0.1:{port}")
    if not push.poll(10_000, zmq.POLLOUT):
        raise SystemExit("no server")

    def close() -> None:
        push.close()
        context.term()

    return push.send, close


def _over_tcp(port: int, at_once: bool) -> tuple[Callable[[bytes], object], Callable[[], object]]:
    feed = socket.create_connection(("127.0.0.1", port), 10)
    feed.settimeout(None)
    feed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting: list[bytes] = []

    def send(event: bytes) -> None:
        waiting.append(len(event).to_bytes(4, "little"))
        waiting.append(event)
        if at_once or len(waiting) >= 256:
            flush()

    def flush() -> None:
        feed.sendall(b"".join(waiting))
        waiting.clear()

    def close() -> None:
        flush()
        feed.close()

    return send, close


def main(kind: str, port: int, count: int, rate: float, size: int) -> None:
    """Push; the arguments are described above."""
    send, close = _over_zmq(port) if kind == "zmq" else _over_tcp(port, bool(rate))
    print("connected", flush=True)
    sys.stdin.readline()
    filler = b"x" * size
    clock = time.monotonic_ns
    begun = time.monotonic()
    for number in range(count):
        if rate:
            due = begun + number / rate
            while (left := due - time.monotonic()) > 0:
                time.sleep(left)
        front = b'{"category":"bench","n":%d,"t":%d,"p":"' % (number, clock())
        send(front + filler[: max(0, size - len(front) - 2)] + b'"}')
    close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
