"""The record that twistd's process leaves to the parent."""

from __future__ import annotations

import os
import socket

from wampush.parent.inheritance import Inheritance


def test_the_record_and_its_descriptors_survive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        read_end, write_end = os.pipe()
        written = Inheritance(
            arguments=["python", "twistd"],
            folder="/srv",
            log_kind="stdout",
            ready=1.0,
            hang=2.0,
            drain=3.0,
            passed=["web"],
            status_pipe=write_end,
            workers=2,
            listening=[("websocket", "tcp:0", 1, 2, server.fileno())],
        )
        descriptor = written.written()
        assert os.get_inheritable(descriptor)
        assert os.get_inheritable(server.fileno())
        assert os.get_inheritable(write_end)
        assert Inheritance.read(descriptor) == written
        assert not os.get_inheritable(server.fileno())
        assert not os.get_inheritable(write_end)
        os.close(read_end)
        os.close(write_end)
