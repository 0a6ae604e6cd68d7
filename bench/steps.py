"""``python -m bench.steps``: the cost of each step of a push, measured in this process.

The steps are the daemon's own functions, called with the arguments they get there. Their sum is
less than the cost of a delivery in the daemon, which also polls, wakes up and collects garbage.

Owns: the list of steps. Must not import: the scenarios.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from statistics import median

import orjson
import zmq

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Ledger
from wampush.broker.publication import Publication
from wampush.broker.subscriber import Subscriber
from wampush.choices import SlowClient
from wampush.edges.websocket.outboxes import SocketOutbox
from wampush.edges.websocket.wamp_v1_formats import PLAIN
from wampush.edges.zeromq.messages import receiver
from wampush.wamp.session import PrefixLimits, WampSession
from wampush.wamp.uris import DIALECTS

CLIENTS = 500
ROUNDS = 60
TOPIC = "MainCategory"


class _Transport:
    """The part of a Twisted transport that an outbox uses while it never blocks."""

    def __init__(self, handle: socket.socket) -> None:
        self._handle = handle

    def getHandle(self) -> socket.socket:  # noqa: N802 - Twisted's name
        return self._handle


class _NoTimer:
    def cancel(self) -> None:
        """Do nothing; there is no timer."""


def _each(action: Callable[[], object], times: int) -> float:
    """Return the microseconds of one call: the median of all rounds."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter_ns()
        for _ in range(times):
            action()
        rounds.append((time.perf_counter_ns() - begun) / times / 1e3)
    return median(rounds)


def _receive() -> float:
    """Return the microseconds to receive one queued message from a PULL socket."""
    context = zmq.Context()
    pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    port = pull.bind_to_random_port("tcp://127.0.0.1")
    push.connect(f"tcp://127.0.0.1:{port}")
    receive = receiver()
    rounds = []
    for _ in range(ROUNDS):
        for _ in range(200):
            push.send(b"x" * 200)
        time.sleep(0.005)
        begun = time.perf_counter_ns()
        messages = 0
        while messages < 200:
            messages += len(receive(pull, False, 16, 1 << 20)[0])
        rounds.append((time.perf_counter_ns() - begun) / 200 / 1e3)
    push.close()
    pull.close()
    context.term()
    return median(rounds)


class _Owner:
    """The owner of outboxes; no client is too slow here."""

    address_name = None

    def on_overflow(self) -> None:
        """Never called."""


class _Clients:
    """Outboxes on loopback connections; this process reads their other ends."""

    def __init__(self) -> None:
        self.flushes: list[Callable[[], None]] = []
        pressure = Backpressure(1 << 28, lambda _seconds, _call: _NoTimer())
        ledger = Ledger(time.time, lambda message, **fields: print(message.format(**fields)))
        self.fanout = Fanout(self.flushes.append, pressure, ledger)
        self.near: list[socket.socket] = []
        self.far: list[socket.socket] = []
        self.subscribers: set[Subscriber] = set()
        with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as listening:
            for _ in range(CLIENTS):
                self.far.append(socket.create_connection(listening.getsockname()))
                near, _ = listening.accept()
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                near.setblocking(False)
                self.near.append(near)
                outbox = SocketOutbox(_Transport(near), 1 << 20, pressure, _Owner())
                session = WampSession(DIALECTS["wamp1"], "wampush", PrefixLimits(100, 1024))
                self.subscribers.add(Subscriber(session, outbox))

    def empty(self) -> None:
        for far in self.far:
            far.recv(1 << 20)

    def close(self) -> None:
        for each in (*self.near, *self.far):
            each.close()

    def costs(self, payload: bytes) -> tuple[float, float, float]:
        """Return microseconds per receiver: to queue, to flush, and of that the bare send."""
        frame = PLAIN.event(TOPIC, payload, None)
        publication = Publication(TOPIC, payload)
        queued, flushed, bare = [], [], []
        for _ in range(ROUNDS):
            begun = time.perf_counter_ns()
            self.fanout.deliver(publication, self.subscribers, SlowClient.DISCONNECT)
            self.fanout.end_batch()
            between = time.perf_counter_ns()
            self.flushes.pop()()
            ended = time.perf_counter_ns()
            queued.append((between - begun) / CLIENTS / 1e3)
            flushed.append((ended - between) / CLIENTS / 1e3)
            self.empty()
            sends = [each.send for each in self.near]
            begun = time.perf_counter_ns()
            for send in sends:
                send(frame)
            bare.append((time.perf_counter_ns() - begun) / CLIENTS / 1e3)
            self.empty()
        return median(queued), median(flushed), median(bare)


def main() -> None:
    """Measure and print."""
    payload = orjson.dumps({"category": TOPIC, "n": 1, "t": 123456789, "p": "x" * 150})
    ingest = Ingest("category", 1 << 20, 1024)
    print(f"a push of {len(payload)} bytes; microseconds, medians of {ROUNDS} rounds\n")
    print("once per push")
    print(f"  receive it from ZeroMQ        {_receive():6.2f}")
    print(
        f"  check it, find its topic      {_each(lambda: ingest.publication([payload]), 500):6.2f}"
    )
    frame = _each(lambda: PLAIN.event(TOPIC, payload, None), 500)
    print(f"  make the frame of its EVENT   {frame:6.2f}")
    clients = _Clients()
    queued, flushed, bare = clients.costs(payload)
    clients.close()
    print(f"once per receiver ({CLIENTS} of them)")
    print(f"  queue it in the outbox        {queued:6.2f}")
    print(f"  flush                         {flushed:6.2f}")
    print(f"    of that, the bare send      {bare:6.2f}")


if __name__ == "__main__":
    main()
