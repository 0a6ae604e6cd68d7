"""What the service manager is notified of, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from tests.support.service_manager import NotifySocket, notify_socket
from wampush.systemd.notifications import Notifier
from wampush.systemd.service_manager import ServiceManager, watchdog_interval


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[NotifySocket]:
    with notify_socket(tmp_path) as opened:
        yield opened


def made(
    name: str, clock: Clock, problems: list[str], **more: str
) -> tuple[ServiceManager, dict[str, str]]:
    """The service manager of process 7, and what is left of its environment."""
    environment = {"NOTIFY_SOCKET": name, "HOME": "/", **more}
    manager = ServiceManager.of(environment, 7, clock, problems.append)  # type: ignore[arg-type]
    return manager, environment


def test_the_life_of_a_service(systemd: NotifySocket) -> None:
    clock, problems = Clock(), list[str]()
    manager, environment = made(
        systemd.name, clock, problems, WATCHDOG_USEC="30000000", WATCHDOG_PID="7"
    )
    assert environment == {"HOME": "/"}
    # A start that takes long is not the business of the watchdog.
    assert clock.getDelayedCalls() == []
    manager.ready("on")
    assert systemd.receive() == ["READY=1", "STATUS=on"]
    assert systemd.receive() == ["WATCHDOG=1"]
    clock.advance(14.9)
    # Nothing yet, or the reload below would not come second.
    clock.advance(0.1)
    assert systemd.receive() == ["WATCHDOG=1"]
    with manager.reloading():
        assert systemd.receive()[0] == "RELOADING=1"
    assert systemd.receive() == ["READY=1"]
    manager.ready("again")
    assert systemd.receive() == ["READY=1", "STATUS=again"]
    manager.stopping("stopping")
    assert systemd.receive() == ["STOPPING=1", "STATUS=stopping"]
    # The stop may take long, too.
    clock.advance(15)
    assert systemd.receive() == ["WATCHDOG=1"]
    manager.close()
    manager.close()
    assert clock.getDelayedCalls() == []
    assert problems == []


def test_a_reload_that_fails_ends(systemd: NotifySocket) -> None:
    manager, _ = made(systemd.name, Clock(), [])
    with pytest.raises(RuntimeError), manager.reloading():
        raise RuntimeError
    assert systemd.receive()[0] == "RELOADING=1"
    assert systemd.receive() == ["READY=1"]
    manager.close()


@pytest.mark.parametrize("name", ["", "/run/exists-not"])
def test_no_watchdog_is_fed_where_there_is_none(name: str) -> None:
    clock, problems = Clock(), list[str]()
    manager, _ = made(name, clock, problems)
    manager.ready("on")
    assert clock.getDelayedCalls() == []
    assert len(problems) == bool(name)
    manager.close()


def test_a_watchdog_needs_a_socket() -> None:
    clock = Clock()
    manager = ServiceManager(Notifier("", print), clock, 30.0)  # type: ignore[arg-type]
    manager.ready("on")
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "7"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "8"}, None),
    ],
)
def test_the_interval(environment: dict[str, str], interval: float | None) -> None:
    problems: list[str] = []
    assert watchdog_interval(environment, 7, problems.append) == interval
    assert problems == []


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "soon", "²"])
def test_an_interval_that_is_none_is_reported(text: str) -> None:
    problems: list[str] = []
    assert watchdog_interval({"WATCHDOG_USEC": text}, 7, problems.append) is None
    assert problems == [
        f"WATCHDOG_USEC is {text!r}; it must be a number of microseconds, and counts as none"
    ]
