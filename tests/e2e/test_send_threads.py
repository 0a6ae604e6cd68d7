"""Several threads of a daemon share the sends of an event to many clients."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
import zmq

from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.broker.delivery.send_threads import SPLIT_SENDS
from wampush.speedups import ACTIVE, EXTENSION

THREADS = 3
#: All together are more than the kernel and the queue of a client that does not read take.
EVENTS, EVENT_BYTES = 120, 16_384
CONFIG = f"""
process.send_threads = {THREADS}
clients.queue_bytes = 131072
pushes.max_message_bytes = 32768
websocket.max_message_bytes = 32768
"""


def slow_clients(daemon: Daemon) -> int:
    """How many clients have been disconnected because they were too slow."""
    count = daemon.health()["ends"].get("slow-client", 0)
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("pure", ["0", "1"], ids=["extension", "pure"])
def test_a_crowd_gets_all_events_in_order_while_some_stop_reading_or_vanish(
    tmp_path: Path, pure: str
) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text(CONFIG)
    extra = ["--config", str(config)]
    environment = {**os.environ, "WAMPUSH_PURE_PYTHON": pure}
    has_threads = EXTENSION is not None and pure == "0"
    why = "Python: WAMPUSH_PURE_PYTHON=1" if pure == "1" else ACTIVE
    with (
        running_daemon(tmp_path, extra=extra, environment=environment) as daemon,
        zmq.Context() as zeromq,
        zeromq.socket(zmq.PUSH) as push,
        ExitStack() as stack,
    ):
        push.set(zmq.LINGER, 0)
        push.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
        push.connect(daemon.zmq_address)
        notice = f"process.send_threads = {THREADS} has no effect"
        assert (notice in daemon.log) == (not has_threads)
        clients = [
            stack.enter_context(RawClient(daemon.websocket_port)) for _ in range(SPLIT_SENDS + 5)
        ]
        for client in clients:
            client.subscribe("news")
        assert (daemon.health()["speedups"], daemon.health()["send_threads"]) == (why, 1)
        # The first two read nothing.
        reading = clients[2:]
        for number in range(EVENTS):
            push.send_multipart([b"news", orjson.dumps([number, "x" * EVENT_BYTES])])
            for client in reading:
                assert client.receive()[2][0] == number
            if number % 40 == 10:
                reading.pop().__exit__(None, None, None)
        assert daemon.health()["send_threads"] == (THREADS if has_threads else 1)
        eventually(lambda: slow_clients(daemon), lambda count: count == 2)
        assert daemon.counts()[0] == len(reading)
