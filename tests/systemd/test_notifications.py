"""Notifications arrive at a datagram socket, and what cannot be sent is reported."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns
from uuid import uuid4

import pytest

from tests.support.service_manager import NotifySocket, notify_socket
from wampush.systemd.notifications import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    with notify_socket(tmp_path) as opened:
        yield opened


@pytest.fixture
def problems() -> list[str]:
    """What is reported."""
    return []


def test_every_notification(manager: NotifySocket, problems: list[str]) -> None:
    notifier = Notifier(manager.name, problems.append)
    notifier.ready("serving\n ws://127.0.0.1:8080/\n")
    notifier.ready()
    notifier.reloading()
    notifier.feed_watchdog()
    notifier.stopping("Grüße")
    notifier.stopping()
    assert [manager.receive() for _ in range(6)] == [
        ["READY=1", "STATUS=serving ws://127.0.0.1:8080/"],
        ["READY=1"],
        ["RELOADING=1", "MONOTONIC_USEC"],
        ["WATCHDOG=1"],
        ["STOPPING=1", "STATUS=Grüße"],
        ["STOPPING=1"],
    ]
    assert problems == []
    notifier.close()
    notifier.close()
    notifier.ready()
    assert not notifier.is_connected


def test_a_reload_has_the_time_of_the_monotonic_clock(tmp_path: Path, problems: list[str]) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        before = monotonic_ns() // 1000
        notifier = Notifier(str(path), problems.append)
        notifier.reloading()
        notifier.close()
        time = receiver.recv(1000).partition(b"MONOTONIC_USEC=")[2]
    assert before <= int(time) <= monotonic_ns() // 1000


def test_an_abstract_address(problems: list[str]) -> None:
    manager = NotifySocket(f"@wampush-test-{uuid4()}")
    notifier = Notifier(manager.name, problems.append)
    notifier.ready()
    assert manager.receive() == ["READY=1"]
    notifier.close()
    manager.close()
    assert problems == []


def test_the_address_is_taken_out_of_the_environment(
    manager: NotifySocket, problems: list[str]
) -> None:
    environment = {"NOTIFY_SOCKET": manager.name, "HOME": "/"}
    notifier = Notifier.of(environment, problems.append)
    assert environment == {"HOME": "/"}
    assert notifier.is_connected
    notifier.ready()
    assert manager.receive() == ["READY=1"]
    notifier.close()


def test_without_a_service_manager_nothing_is_sent(problems: list[str]) -> None:
    notifier = Notifier.of({}, problems.append)
    assert not notifier.is_connected
    notifier.ready("on")
    notifier.feed_watchdog()
    notifier.close()
    assert problems == []


@pytest.mark.parametrize("address", ["run/notify", "vsock:2:1234"])
def test_an_address_of_another_kind_is_reported(address: str, problems: list[str]) -> None:
    notifier = Notifier(address, problems.append)
    assert not notifier.is_connected
    assert problems == [
        f"NOTIFY_SOCKET is {address!r}; it must be an absolute path, or @ and a name"
    ]


def test_a_service_manager_that_is_gone_is_reported(tmp_path: Path, problems: list[str]) -> None:
    name = str(tmp_path / "none")
    notifier = Notifier(name, problems.append)
    notifier.ready("on")
    notifier.close()
    assert problems == [f"cannot send READY=1 to NOTIFY_SOCKET {name!r}: No such file or directory"]


def test_a_service_manager_that_does_not_read_holds_up_nothing(
    manager: NotifySocket, problems: list[str]
) -> None:
    notifier = Notifier(manager.name, problems.append)
    # The kernel queues a bounded number of datagrams.
    while not problems:
        notifier.feed_watchdog()
    notifier.close()
    (problem,) = problems
    assert problem.startswith(f"cannot send WATCHDOG=1 to NOTIFY_SOCKET {manager.name!r}: ")
    assert problem.endswith("Resource temporarily unavailable")
