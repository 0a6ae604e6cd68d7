"""The benchmark runs and prints its tables; its figures are not judged here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench import closings, crowded, fairness
from bench.native import BenchError, build
from bench.run import Run
from bench.stress_client import Watch
from bench.table import Row, head, line
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = (
    "paced",
    "burst",
    "latency",
    "connects",
    "stalled",
    "pressure",
    "churn",
    "tls",
    "readers",
    "crowded",
    "push-path",
    "durable",
    "history",
    "recovery",
    "state",
)


def run_bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_prints_its_rows(scenario):
    result = run_bench("bench", scenario, "--scale", "0.002", "--rounds", "1")
    assert result.returncode == 0, result.stderr
    rows = [
        [cell.strip() for cell in text.strip("| ").split("|")]
        for text in result.stdout.splitlines()
        if text.startswith(f"| {scenario}")
    ]
    assert rows, result.stdout
    for row in rows:
        assert re.fullmatch(r"-?[\d,]+(\.\d+)?", row[2]), row
        assert "missing" not in " ".join(row)
        assert "traceback" not in " ".join(row)
    assert any(row[3] != "-" for row in rows), "no row stands beside a floor"


def test_churn_leaves_nothing_behind():
    result = run_bench("bench", "churn", "--scale", "0.002")
    left = re.findall(r"(descriptors|connections|timers) left +\| +(-?\d+) ", result.stdout)
    assert left == [("descriptors", "0"), ("connections", "0"), ("timers", "0")], result.stdout


def test_nobody_notices_upgrades():
    result = run_bench("bench", "upgrade", "--scale", "0.002", "--rounds", "1")
    assert result.returncode == 0, result.stderr
    figures = dict(re.findall(r"sessions: ([a-z ]+) +\| +(-?\d+) ", result.stdout))
    found = {name.strip(): count for name, count in figures.items()}
    assert found == {
        **dict.fromkeys(("disconnected", "events lost", "events repeated"), "0"),
        "descriptors left": found["descriptors left"],
    }


@pytest.mark.parametrize("name", ["50 clients", "4 peers", "1 MB/s"])
def test_fairness_puts_a_load_on_the_server(tmp_path, monkeypatch, name):
    weights = [each for each in fairness.WEIGHTS if each.name.startswith(name)]
    monkeypatch.setattr(fairness, "WEIGHTS", weights)
    rows = list(fairness.fairness(Run(build(), tmp_path, 0.01, 1)))
    assert [row.measured.rsplit(", ", 2)[1] for row in rows] == ["p50", "p99"]
    for row in rows:
        assert row.values[0] > 0
        assert row.floors[0] > 0
        assert re.match(r"[1-9][\d,]* answers/s|\d+ deliveries/s, 0 dropped", row.remark), row
        assert "missing" not in row.remark


def test_closing_counts_complete_clients(tmp_path):
    way = closings.Way(None, 0.0)
    with closings.server_for(tmp_path, way) as server:
        talkers = closings.talk(way, server.port, 3, sends=True)
        assert [(each.got_code, each.events) for each in talkers] == [(True, closings.EVENTS)] * 3
        assert closings.stop_seconds(server, way, 2, sends=True) < 10


def test_most_frequent_line_of_a_second(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "2026-11-28T22:52:11+0000 [a] port 1 refused\n"
        "2026-11-28T22:52:11+0000 [a] port 2 refused (3 similar messages suppressed)\n"
        "2026-11-28T22:52:11+0000 [a] another\n"
        "2026-11-28T22:52:12+0000 [a] port 1 refused\n"
    )
    assert crowded.most_per_second(log) == 2


def test_unknown_scenario_is_named():
    result = run_bench("bench", "brust")
    assert result.returncode == 2
    assert "'brust'" in result.stderr
    assert "burst" in result.stderr


def test_without_a_compiler_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="apt-get install gcc"):
        build(tmp_path / "built")


def test_programs_compile_without_warnings(tmp_path):
    programs = build(tmp_path / "built")
    assert programs.load.exists()
    assert programs.floor.exists()
    for options in ([], ["-x"], ["1", "2", "3", "4"]):
        result = subprocess.run(
            [programs.load, *options], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert result.returncode == 1


def test_table_shows_medians_and_the_ratio():
    row = Row("paced", "CPU", [1.0, 30.0, 3.0], [2.0])
    assert row.cells() == ("paced", "CPU", "3.00", "2.00", "1.50", "")
    assert Row("churn", "left", [0.0], [], digits=0).cells()[3:5] == ("-", "-")
    assert len(head().splitlines()) == 2
    assert line(row.cells()).count("|") == head().splitlines()[0].count("|")


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
