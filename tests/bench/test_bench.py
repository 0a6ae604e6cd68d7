"""The benchmark's programs, its table and its command line; loads on a server that serves on."""

from __future__ import annotations

import re
import subprocess

import pytest

from bench import closings, crowded, fairness
from bench.native import BenchError, build
from bench.run import Run
from bench.table import Row, head, line
from tests.bench.scenarios import run_bench
from tests.support.waiting import PATIENCE


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
        # It ends by itself.
        assert closings.stop_seconds(server, way, 2, sends=True) > 0


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


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("nodes-faults", "--fault", "earthquake"), "node-killed"),
        (("paced", "--fault", "node-killed"), "nodes-faults"),
    ],
)
def test_a_fault_that_cannot_be_inflicted(arguments, problem):
    result = run_bench("bench", *arguments)
    assert result.returncode == 2
    assert problem in result.stderr


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
