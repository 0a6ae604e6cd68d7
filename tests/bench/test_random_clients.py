"""Runs of random clients, what they watch, and attacks on memory."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from bench.stress_client import Watch
from tests.bench.scenarios import MAY_TAKE_LONG, run_bench

pytestmark = MAY_TAKE_LONG


def test_stress_run_finds_nothing_wrong():
    result = run_bench("bench.stress", "--seconds", "3", "--clients", "12")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 breaches" in result.stdout


def test_a_short_soak_finds_nothing_wrong():
    result = run_bench("bench.soak", "--minutes", "0.1", "--clients", "8", "--pause", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 breaches" in result.stdout
    assert re.search(r", upgrade \d", result.stdout)


class TestWatch:
    """The invariant of the stress run notices what it must."""

    def watch(self):
        self.breaches: list[str] = []
        self.sent: Counter[tuple[str, str]] = Counter()
        return Watch("it", self.sent, self.breaches.append)

    def on(self, topic="t"):
        watch = self.watch()
        watch.joining(topic)
        watch.confirmed(topic)
        return watch

    def test_events_in_order_are_fine(self):
        watch = self.on()
        for number in range(3):
            watch.event("t", {"from": "b", "n": number, "g": number})
        self.sent["t", "b"] = 3
        assert self.breaches == []
        assert watch.behind(set()) == []

    @pytest.mark.parametrize("number", [0, 2, 3])
    def test_gap_repetition_and_disorder(self, number):
        watch = self.on()
        watch.event("t", {"from": "b", "n": 0})
        watch.event("t", {"from": "b", "n": number if number != 3 else -1})
        assert len(self.breaches) == 1

    def test_first_event_missed(self):
        watch = self.watch()
        self.sent["t", "b"] = 4
        watch.joining("t")
        watch.confirmed("t")
        watch.event("t", {"from": "b", "n": 5})
        assert len(self.breaches) == 1

    def test_last_event_missed(self):
        watch = self.on()
        self.sent["t", "b"] = 1
        assert len(watch.behind(set())) == 1
        assert watch.behind({"b"}) == []

    def test_event_after_unsubscribing(self):
        watch = self.on()
        watch.leaving("t")
        watch.event("t", {"from": "b", "n": 0})
        assert self.breaches == []
        watch.confirmed("t")
        watch.event("t", {"from": "b", "n": 1})
        assert len(self.breaches) == 1

    def test_pushes_out_of_order_across_topics(self):
        watch = self.on("t")
        watch.joining("u")
        watch.confirmed("u")
        watch.event("t", {"from": "b", "n": 0, "g": 1})
        watch.event("u", {"from": "b", "n": 0, "g": 0})
        assert len(self.breaches) == 1


def test_an_attack_on_memory_prints_what_it_costs() -> None:
    ran = run_bench("bench.memory_attack", "unfinished", "--connections", "3")
    assert ran.returncode == 0, ran.stderr
    row = ran.stdout.splitlines()[-1]
    found = re.fullmatch(r"\| unfinished \| (\d+) \| (\d+) \| -?\d+ \|  \|", row)
    assert found, row
    assert int(found[1]) < 20, "three clients cost more than 20 MiB"
