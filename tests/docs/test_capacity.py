"""The numbers of the capacity page follow from the measured ones and from the settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wampush.broker.history.memory_history import TOPIC_BYTES
from wampush.broker.history.stored_event import OVERHEAD_BYTES
from wampush.config.settings import Settings
from wampush.net.descriptor_limit import RESERVED_DESCRIPTORS, Shares, share_out

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "howto" / "plan-capacity.md").read_text(encoding="utf-8")
PERFORMANCE = (DOCS / "explanation" / "performance.md").read_text(encoding="utf-8")
#: KiB; what the kernel's slab caches grew by for each connection of 8,000.
KERNEL = 4.3
PROCESS = 75
SETTINGS = Settings()
OTHERS = RESERVED_DESCRIPTORS + SETTINGS.http.max_connections + SETTINGS.zmq.max_connections


def measured(figure: str) -> float:
    """A figure of wampush in the table of performance.md."""
    (found,) = re.findall(
        rf"^\| `\w+` \| {re.escape(figure)} \| ([\d.,]+) \|", PERFORMANCE, re.MULTILINE
    )
    return float(found.replace(",", ""))


DELIVERY = measured("CPU per delivery, µs")
CONNECT = measured("CPU per connection, µs; without the other servers")
CLIENT = 1024 * measured("KiB per idle client")


def test_the_costs_are_the_measured_ones() -> None:
    assert f"| {DELIVERY} µs of CPU time" in TEXT
    assert f"| {CONNECT:.0f} µs; with TLS in wampush 684 µs |" in TEXT
    assert f"| {CLIENT / 1024:.1f} KiB in wampush, about {KERNEL} KiB in the kernel" in TEXT
    assert "CPU per connection, µs; floor: without TLS | 684 |" in PERFORMANCE


@pytest.mark.parametrize("clients", [1_000, 10_000, 100_000])
def test_the_table(clients: int) -> None:
    (row,) = re.findall(rf"^\| {clients:,} \| (.*) \|$", TEXT, re.MULTILINE)
    ours, kernel, events, files, reconnect = (cell.split()[0] for cell in row.split(" | "))
    assert float(ours) == pytest.approx(clients * CLIENT / 2**20, rel=0.1)
    assert float(kernel) == pytest.approx(clients * KERNEL / 1024, rel=0.06)
    assert float(events) == pytest.approx(0.5e6 / DELIVERY / clients, rel=0.05)
    assert int(files.replace(",", "")) == clients + OTHERS
    assert float(reconnect) == pytest.approx(clients * CONNECT / 1e6, abs=0.05)


@pytest.mark.parametrize(
    ("deliveries", "percent"), [(5_000, 4), (20_500, 15), (25_000, 18)], ids=str
)
def test_the_examples(deliveries: int, percent: int) -> None:
    assert f"= {deliveries:,} deliveries/s: {percent} % of a core" in TEXT
    assert percent == pytest.approx(deliveries * DELIVERY / 1e4, abs=0.5)
    # 300 bytes each.
    assert f"| {deliveries * 300 * 8 / 1e6:.0f} Mbit/s" in TEXT


def test_with_1024_descriptors() -> None:
    wanted = Shares(
        SETTINGS.websocket.max_connections,
        SETTINGS.http.max_connections,
        SETTINGS.zmq.max_connections,
    )
    assert f"at most {share_out(1024, wanted).clients} clients connect" in TEXT


def test_the_line_of_the_log_fits_the_settings_above_it() -> None:
    (found,) = re.findall(r"the limit is (\d+), it was 1024; at most (\d+) clients", TEXT)
    allowed, clients = (int(number) for number in found)
    assert share_out(allowed, Shares(clients, 100, 1000)).clients == clients
    assert f"max_connections = {clients:_}" in TEXT


def test_memory_of_the_examples() -> None:
    subscriptions = 10_000 * 5 * (600 + 60) / 2**20
    assert subscriptions == pytest.approx(32, abs=1)
    for terms, total in re.findall(r"^\| memory \| (\d+ [^=|]+) = (\d+) MiB", TEXT, re.MULTILINE):
        numbers = [int(number) for number in re.findall(r"(?:^|\+ )(\d+)", terms)]
        assert numbers[0] == PROCESS
        assert sum(numbers) == int(total)


def test_what_topics_keep() -> None:
    assert f"about {OVERHEAD_BYTES} bytes and its payload" in TEXT
    assert "a topic that keeps something, about 2 KiB" in TEXT
    each = TOPIC_BYTES + OVERHEAD_BYTES
    assert each == pytest.approx(2048, rel=0.2)
