"""Feeds the demo page: a price and a load that wander, pushed over ZeroMQ as any backend would.

Usage: demo_publisher.py [--push tcp://127.0.0.1:5555] [--rate 5]
"""

from __future__ import annotations

import argparse
import json
import random
import threading
from collections.abc import Iterator

import zmq


def prices(chance: random.Random) -> Iterator[dict[str, object]]:
    """Yield pushes for ``demo.price``: symbol, price and the change since the push before."""
    price = 100.0
    while True:
        change = round(chance.gauss(0, 0.4), 2)
        change = change if price + change >= 1 else -change
        price = round(price + change, 2)
        yield {"category": "demo.price", "symbol": "WMP", "price": price, "change": change}


def loads(chance: random.Random) -> Iterator[dict[str, object]]:
    """Yield pushes for ``demo.load``: a share from 0 to 1."""
    load = 0.4
    while True:
        load = min(1.0, max(0.02, load + chance.gauss(0, 0.05) + (0.4 - load) * 0.05))
        yield {"category": "demo.load", "value": round(load, 3)}


def publish(address: str, rate: float, stop: threading.Event) -> None:
    """Push one of each topic, ``rate`` times a second, until ``stop`` is set.

    :param address: ZeroMQ address on which the daemon pulls.
    :param rate: rounds per second.
    """
    chance = random.Random()  # noqa: S311 - a demo, nothing is guarded by it
    sources = prices(chance), loads(chance)
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(address)
        while not stop.wait(1 / rate):
            for source in sources:
                try:
                    socket.send_string(json.dumps(next(source)), zmq.DONTWAIT)
                except zmq.Again:
                    # The daemon is away and the queue is full: old values are of no use to it.
                    break


def main() -> None:
    """Parse the command line and push until interrupted."""
    parser = argparse.ArgumentParser(description="Feed the demo page with pushes over ZeroMQ.")
    parser.add_argument("--push", default="tcp://127.0.0.1:5555", help="address to connect to")
    parser.add_argument("--rate", type=float, default=5.0, help="pushes per second and topic")
    arguments = parser.parse_args()
    try:
        publish(arguments.push, arguments.rate, threading.Event())
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
