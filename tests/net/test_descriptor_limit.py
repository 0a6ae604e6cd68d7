"""The limit on open descriptors is raised as far as the system allows, and shared out."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
from typing import Any

import pytest

from tests.support.waiting import PATIENCE
from wampush.net import descriptor_limit
from wampush.net.descriptor_limit import RESERVED_DESCRIPTORS, Shares, needed_for_ipc, share_out

PROGRAM = """
import json, resource, sys
from wampush.net.descriptor_limit import raise_descriptor_limit
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(json.dumps([raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


TABLE = """
import os, resource, sys
from wampush.net.descriptor_limit import make_room
allowed = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
before = sorted(os.listdir("/proc/self/fd"))
make_room(allowed)
assert sorted(os.listdir("/proc/self/fd")) == before
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("FDSize:")))
"""


@pytest.mark.parametrize("allowed", [300, 4000])
def test_the_table_of_descriptors_does_not_grow_later(allowed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TABLE, str(allowed)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert int(done.stdout) >= allowed


def test_the_highest_descriptor_may_be_open_already() -> None:
    program = TABLE.replace("before =", "os.dup2(1, allowed - 1)\nbefore =")
    done = subprocess.run(
        [sys.executable, "-c", program, "300"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert int(done.stdout) >= 300


def test_what_keeps_the_table_from_growing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [errno.EMFILE, errno.ENOMEM]

    def duplicate(*_: object) -> int:
        raise OSError(numbers.pop(0), "no")

    monkeypatch.setattr(fcntl, "fcntl", duplicate)
    descriptor_limit.make_room(300)
    with pytest.raises(OSError, match="no"):
        descriptor_limit.make_room(300)


def test_the_table_of_descriptors_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def duplicate(file: Any, _: int, lowest: int) -> int:
        asked.append(lowest)
        return os.dup(file.fileno())

    monkeypatch.setattr(fcntl, "fcntl", duplicate)
    descriptor_limit.make_room(10**9)
    assert asked == [65_535]


@pytest.mark.parametrize(("soft", "hard"), [(100, 300), (300, 300)])
def test_the_limit_of_descriptors_is_raised_as_far_as_allowed(soft: int, hard: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(soft), str(hard)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(done.stdout) == [[soft, hard], [hard, hard]]


@pytest.mark.parametrize(("soft", "calls"), [(100, [(300, 300)]), (300, [])])
def test_a_limit_that_is_high_enough_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, soft: int, calls: list[object]
) -> None:
    limits = [(soft, 300)]
    made: list[object] = []

    def raise_limit(_: int, pair: tuple[int, int]) -> None:
        made.append(pair)
        limits.append(pair)

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", raise_limit)
    assert descriptor_limit.raise_descriptor_limit() == (soft, 300)
    assert made == calls


@pytest.mark.parametrize(
    ("allowed", "wanted", "shares"),
    [
        (65_536, Shares(100_000, 100, 1000), Shares(64_308, 100, 1000)),
        (65_536, Shares(50, 100, 1000), Shares(50, 100, 1000)),
        (256, Shares(100_000, 100, 1000), Shares(64, 32, 32)),
        (256, Shares(100_000, 0, 0), Shares(128, 0, 0)),
        (64, Shares(100_000, 100, 1000), Shares(1, 1, 1)),
    ],
)
def test_every_kind_of_connection_gets_a_share(
    allowed: int, wanted: Shares, shares: Shares
) -> None:
    assert share_out(allowed, wanted) == shares
    used = shares.clients + shares.http + shares.backends
    assert used <= max(3, allowed - RESERVED_DESCRIPTORS)


def test_host_names_can_be_handled_without_a_free_descriptor() -> None:
    program = (
        "import resource\n"
        "from wampush.net import descriptor_limit\n"
        "descriptor_limit.load_codecs()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "'example.org'.encode('idna')\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=PATIENCE, check=True)


@pytest.mark.parametrize(
    ("addresses", "mode", "needed"),
    [
        ((), 0o600, 0),
        (("tcp://127.0.0.1:5555", "connect:ipc:///run/a"), 0o666, 0),
        (("tcp://127.0.0.1:5555", "ipc:///run/a"), 0o600, 512),
        (("ipc:///run/a",), 0o660, 4096),
        (("ipc:///run/a", "ipc://@a"), 0o600, 4096),
    ],
)
def test_bound_ipc_addresses_need_room_for_a_burst(
    addresses: tuple[str, ...], mode: int, needed: int
) -> None:
    assert needed_for_ipc(addresses, mode) == needed
