"""``wampush check`` finds addresses on which the server could not listen."""

from __future__ import annotations

import pytest

from wampush.cli.addresses import problems
from wampush.config.load import load
from wampush.config.settings import Settings


def settings(websocket: str, http: str = "off", pull: str = "ipc:///run/pushes") -> Settings:
    values = {"websocket.listen": [websocket], "http.listen": http, "zmq.pull": [pull]}
    return load(None, {}, values).settings


@pytest.mark.parametrize(
    ("websocket", "http"),
    [
        ("tcp:8080:interface=127.0.0.1", "tcp:8081:interface=127.0.0.1"),
        ("tcp:8080:interface=127.0.0.1", "tcp:8080:interface=127.0.0.2"),
        ("tcp:8080:interface=127.0.0.1", r"tcp6:8080:interface=\:\:1"),
        ("tcp:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1"),
        ("tcp:8080:interface=localhost", "tcp:8080:interface=127.0.0.1"),
        ("unix:/run/a", "unix:/run/b"),
        ("unix:/run/a", "off"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=1"),
    ],
)
def test_addresses_of_their_own(websocket: str, http: str) -> None:
    assert [*problems(settings(websocket, http))] == []


@pytest.mark.parametrize(
    ("websocket", "http"),
    [
        ("tcp:8080", "tcp:port=8080"),
        ("tcp:8080:interface=127.0.0.1", "tcp:8080:127.0.0.1"),
        ("tcp:8080:interface=127.0.0.1", "tcp:8080"),
        ("tcp:8080", "ssl:8080:interface=127.0.0.1"),
        ("haproxy:tcp:8080", "tcp:8080:interface=127.0.0.1"),
        ("tcp6:8080", "tcp:8080:interface=127.0.0.1"),
        (r"tcp6:8080:interface=\:\:1", r"tcp6:8080:interface=0\:0\:0\:0\:0\:0\:0\:1"),
    ],
)
def test_one_port_written_in_two_ways(websocket: str, http: str) -> None:
    (line,) = problems(settings(websocket, http))
    assert line == (
        f"http.listen {http!r} has the port 8080 of websocket.listen {websocket!r}; "
        "choose another port for one of them"
    )


def test_one_path_for_two_listeners() -> None:
    (line,) = problems(settings("unix:/run/a", "unix:address=/run/a:mode=660"))
    assert "has the path /run/a of" in line


@pytest.mark.parametrize("pull", ["tcp://127.0.0.1:8080", "tcp://*:8080"])
def test_a_port_of_zeromq(pull: str) -> None:
    (line,) = problems(settings("tcp:8080:interface=127.0.0.1", pull=pull))
    assert line.startswith(f"zmq.pull {pull!r} has the port 8080 of ")


def test_a_backend_that_wampush_connects_to_is_no_listener() -> None:
    assert [*problems(settings("tcp:8080", pull="connect:tcp://127.0.0.1:8080"))] == []


@pytest.mark.parametrize("address", ["192.0.2.1", r"2001\:db8\:\:1"])
def test_an_address_that_this_machine_does_not_have(address: str) -> None:
    kind = "tcp6" if "\\" in address else "tcp"
    endpoint = f"{kind}:8080:interface={address}"
    (line,) = problems(settings(endpoint))
    plain = address.replace("\\", "")
    assert line.startswith(
        f"websocket.listen {endpoint!r}: this machine has no address {plain} (Cannot assign "
    )
