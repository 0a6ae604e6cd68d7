"""Addresses of ZeroMQ, and the mode of socket files."""

from __future__ import annotations

import pytest

from tests.config.refusals import refusal
from wampush.config.load import load


@pytest.mark.parametrize(
    "address",
    [
        "tcp://127.0.0.1:5555",
        "tcp://*:5555",
        "tcp://127.0.0.1:*",
        "tcp://127.0.0.1:0",
        "tcp://[::1]:5555",
        "tcp://eth0:65535",
        "ipc:///run/push",
        "ipc://@abstract",
        "ipc://*",
        "connect:tcp://backend.example:5555",
        "connect:ipc:///run/push",
    ],
)
def test_pull_addresses(address):
    assert load(None, {}, {"zmq.pull": (address,)}).settings.zmq.pull == (address,)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "5555",
        "tcp:5555",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://:5555",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:http",
        "tcp://127.0.0.1:5555/",
        "tcp://::1:5555",
        " tcp://127.0.0.1:5555",
        "tcp://127.0.0.1:5555\n",
        "tcp://127.0.0.1:\u0665\u0665\u0665\u0665",
        "ipc://",
        f"ipc://{'a' * 108}",
        "ipc:///run/\udcff",
        "inproc://a",
        "udp://127.0.0.1:5555",
        "bind:tcp://127.0.0.1:5555",
        "connect:",
        "connect:tcp://*:5555",
        "connect:tcp://127.0.0.1:*",
        "connect:tcp://127.0.0.1:0",
        "connect:ipc://*",
        "connect:connect:tcp://127.0.0.1:5555",
    ],
)
def test_unusable_pull_addresses(address):
    error = refusal(overrides={"zmq.pull": [address]})
    assert (error.source, error.key, error.value) == ("command line", "zmq.pull", address)
    assert "tcp://HOST:PORT or ipc://PATH" in error.expected


def test_nothing_has_to_be_pulled():
    assert load(None, {}, {"zmq.pull": []}).settings.zmq.pull == ()
