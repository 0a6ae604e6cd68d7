"""Bursts of clients against a daemon: everything is answered in order, and others are served."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from tests.edges.websocket.in_memory import masked
from tests.support.certificates import make_certificate
from tests.support.daemon import running_daemon
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE
from wampush.wamp.uris import PROCEDURE_SESSION

CALLS = 1900


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_bursts_of_calls_are_answered_in_order_while_pushes_arrive(
    tmp_path: Path, tls: bool
) -> None:
    certificate = make_certificate(tmp_path)
    config = tmp_path / "wampush.toml"
    config.write_text(certificate.table() if tls else "")
    context = certificate.context() if tls else None
    burst = b"".join(
        masked(f'[2,"{number}","{PROCEDURE_SESSION}"]'.encode()) for number in range(CALLS)
    )
    with (
        running_daemon(tmp_path, extra=["--config", str(config)], tls=tls) as daemon,
        zmq.Context() as zeromq,
        zeromq.socket(zmq.PUSH) as push,
        RawClient(daemon.websocket_port, tls=context) as quiet,
        ExitStack() as stack,
    ):
        push.set(zmq.LINGER, 0)
        push.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
        push.connect(daemon.zmq_address)
        quiet.subscribe("quiet")
        clients = [
            stack.enter_context(RawClient(daemon.websocket_port, tls=context)) for _ in range(5)
        ]
        for client in clients:
            client._socket.sendall(burst)
        for number in range(20):
            push.send_multipart([b"quiet", str(number).encode()])
            assert quiet.receive() == [8, "quiet", number]
        for client in clients:
            answers = [client.receive() for _ in range(CALLS)]
            assert [answer[:2] for answer in answers] == [[3, str(each)] for each in range(CALLS)]
            client.send(2, "after", PROCEDURE_SESSION)
            assert client.receive()[:2] == [3, "after"]
