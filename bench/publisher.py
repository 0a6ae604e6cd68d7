"""A backend that pushes events with numbers and timestamps.

    python -m bench.publisher zmq|http|tcp|client PORT COUNT RATE SIZE [TOPIC [TOPICS]]

Prints "connected", waits for a line, then sends COUNT events of SIZE bytes, RATE per second or,
with 0, as fast as they are accepted. With COUNT 0 it goes on until standard input ends, and prints
how many there were. With more than one of TOPICS, these are TOPIC0, TOPIC1 and so on in turn, and
events are numbered for each of them. ``zmq`` is a PUSH socket with ZeroMQ's own high-water mark.
``http`` sends one request after the other over a connection that it keeps, each with an id, and
sends again what got 503 or no response. ``tcp`` feeds the floor program. ``client`` is a WebSocket
client that publishes; with RATE 0 it sends everything in one go.

Owns: the contents of an event. Must not import: wampush, scenarios.
"""

from __future__ import annotations

import http.client
import select
import socket
import sys
import time
from collections.abc import Callable
from itertools import count as endless

import zmq

from bench.peer import frame, open_session

#: Seconds for which a push over HTTP is sent again, and between two attempts.
_PATIENCE = 10.0
_RETRY_SECONDS = 0.01
#: Outcomes of a request after which it is sent again: none, and 503.
_AGAIN = (0, http.client.SERVICE_UNAVAILABLE)


def _over_zmq(port: int) -> tuple[Callable[[bytes], object], Callable[[], object]]:
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    # Not IMMEDIATE, with which libzmq drops what is queued for a connection that ends.
    monitor = push.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    push.connect(f"tcp://127.0.0.1:{port}")
    if not monitor.poll(10_000):
        raise SystemExit("no server")
    push.disable_monitor()

    def close() -> None:
        push.close()
        context.term()

    return push.send, close


def _over_http(port: int) -> tuple[Callable[[bytes], object], Callable[[], object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    connection.connect()
    numbers = endless()

    def send(event: bytes) -> None:
        path = f"/publish?id={next(numbers)}"
        begun = time.monotonic()
        while (status := _status(connection, path, event)) != http.client.OK:
            if status not in _AGAIN or time.monotonic() > begun + _PATIENCE:
                raise SystemExit(f"POST {path}: {status}")
            time.sleep(_RETRY_SECONDS)

    return send, connection.close


def _status(connection: http.client.HTTPConnection, path: str, body: bytes) -> int:
    """Send a request; return the status of the response, 0 for none."""
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
    return response.status


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


def _as_client(
    port: int, at_once: bool, topic: str
) -> tuple[Callable[[bytes], object], Callable[[], object]]:
    session = open_session(port)
    session.settimeout(None)
    front = f'[7,"{topic}",'.encode()
    waiting: list[bytes] = []

    def send(event: bytes) -> None:
        waiting.append(frame(front + event + b"]"))
        if at_once:
            flush()

    def flush() -> None:
        session.sendall(b"".join(waiting))
        waiting.clear()

    def close() -> None:
        flush()
        # The server would discard what it has not read of a connection that is reset.
        session.shutdown(socket.SHUT_WR)
        while session.recv(65_536):
            pass
        session.close()

    return send, close


def _sender(
    kind: str, port: int, rate: float, topic: str
) -> tuple[Callable[[bytes], object], Callable[[], object]]:
    if kind == "zmq":
        return _over_zmq(port)
    if kind == "http":
        return _over_http(port)
    if kind == "client":
        return _as_client(port, bool(rate), topic)
    return _over_tcp(port, bool(rate))


def main(
    kind: str,
    port: int,
    count: int,
    rate: float,
    size: int,
    topic: str = "bench",
    topics: int = 1,
) -> None:
    """Push; the arguments are described above."""
    send, close = _sender(kind, port, rate, topic)
    print("connected", flush=True)
    sys.stdin.readline()
    filler = b"x" * size
    names = (
        [topic.encode()] if topics == 1 else [b"%s%d" % (topic.encode(), n) for n in range(topics)]
    )
    clock = time.monotonic_ns
    begun = time.monotonic()
    number = 0
    for number in range(count) if count else endless():
        if not count and select.select([sys.stdin], [], [], 0)[0]:
            break
        if rate:
            due = begun + number / rate
            while (left := due - time.monotonic()) > 0:
                time.sleep(left)
        name, order = names[number % topics], number // topics
        front = b'{"category":"%s","n":%d,"t":%d,"p":"' % (name, order, clock())
        send(front + filler[: max(0, size - len(front) - 2)] + b'"}')
    close()
    if not count:
        print(number)


if __name__ == "__main__":
    main(
        sys.argv[1],
        int(sys.argv[2]),
        int(sys.argv[3]),
        float(sys.argv[4]),
        int(sys.argv[5]),
        topic=sys.argv[6] if len(sys.argv) > 6 else "bench",
        topics=int(sys.argv[7]) if len(sys.argv) > 7 else 1,
    )
