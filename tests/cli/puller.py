"""A server that pulls, as far as the command line can tell, and its standard error."""

from __future__ import annotations

from typing import Any

import pytest
import zmq


class Puller:
    """A PULL socket on a free port.

    :param limit: how many messages it accepts before they are read.
    :param address: where it listens.
    :param curve: its public and secret key, if it accepts encrypted connections only.
    """

    def __init__(
        self,
        limit: int = 1000,
        address: str = "tcp://127.0.0.1:*",
        curve: tuple[bytes, bytes] | None = None,
    ) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self.socket = self._context.socket(zmq.PULL)
        self.socket.set(zmq.RCVHWM, limit)
        self.socket.set(zmq.RCVTIMEO, 10_000)
        self.socket.set(zmq.IPV6, int("[" in address))
        if curve is not None:
            self.socket.set(zmq.CURVE_SERVER, 1)
            self.socket.set(zmq.CURVE_PUBLICKEY, curve[0])
            self.socket.set(zmq.CURVE_SECRETKEY, curve[1])
        self.socket.bind(address)
        endpoint = self.socket.get_string(zmq.LAST_ENDPOINT)
        self.address = endpoint.rstrip("\0")

    def next(self) -> list[bytes]:
        parts: list[bytes] = self.socket.recv_multipart()
        return parts

    def is_empty(self) -> bool:
        return self.socket.poll(50) == 0

    def close(self) -> None:
        self._context.destroy(0)


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err
