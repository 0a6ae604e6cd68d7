"""A client of a daemon that stops reading for a while, and then has everything."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import zmq

from tests.support.certificates import make_certificate
from tests.support.daemon import running_daemon
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE

#: Three times what its queue holds.
EVENTS, EVENT_BYTES = 1500, 8192


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_a_client_that_stopped_reading_catches_up(tmp_path: Path, tls: bool) -> None:
    certificate = make_certificate(tmp_path)
    config = tmp_path / "wampush.toml"
    keeps = f'[[topics]]\nmatch = "orders"\nhistory = {EVENTS}\n'
    config.write_text(keeps + (certificate.table() if tls else ""))
    context = certificate.context() if tls else None
    with (
        running_daemon(tmp_path, extra=["--config", str(config)], tls=tls) as daemon,
        zmq.Context() as zeromq,
        zeromq.socket(zmq.PUSH) as push,
        RawClient(daemon.websocket_port, tls=context) as reading,
        RawClient(daemon.websocket_port, tls=context) as slow,
    ):
        push.set(zmq.LINGER, 0)
        push.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
        push.connect(daemon.zmq_address)
        for client in (reading, slow):
            client.subscribe("orders")
        for number in range(EVENTS):
            payload = orjson.dumps([number, "x" * EVENT_BYTES])
            push.send_multipart([b"orders", payload])
            assert reading.receive()[2][0] == number
        assert daemon.health()["ends"].get("slow-client", 0) == 0
        assert [slow.receive()[2][0] for _ in range(EVENTS)] == list(range(EVENTS))
        push.send_multipart([b"orders", b'["end"]'])
        assert slow.receive() == [8, "orders", ["end"]]
