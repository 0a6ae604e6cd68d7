"""Runs of stored events that sessions share."""

from __future__ import annotations

from tests.broker.world import RecordingFormat
from wampush.broker.history.shared_runs import Run, RunKey, SharedRuns

FORMAT = RecordingFormat("", [])


def key(revision: int, topic: str = "t") -> RunKey:
    return RunKey(topic, "epoch", revision, None, FORMAT)


def run(size: int = 10, *excluded: str) -> Run:
    return Run(b"x" * size, 1, 0, frozenset(excluded))


def test_a_run_is_found_again_until_the_log_changes() -> None:
    runs = SharedRuns()
    kept = run()
    runs.keep(key(1), kept)
    assert runs.get(key(1), "a") is kept
    assert runs.get(key(2), "a") is None
    assert runs.get(key(1)._replace(wire_format=RecordingFormat("z", [])), "a") is None
    assert runs.get(key(1)._replace(events=0), "a") is None


def test_a_session_that_may_not_see_all_of_it_gets_another() -> None:
    runs = SharedRuns()
    runs.keep(key(1), run(10, "a"))
    assert runs.get(key(1), "a") is None
    assert runs.get(key(1), "b") is not None


def test_the_run_that_was_used_longest_ago_goes() -> None:
    runs = SharedRuns(max_bytes=5000)
    runs.keep(key(1), run(1500))
    runs.keep(key(2), run(1500))
    assert runs.get(key(1), "a") is not None
    runs.keep(key(3), run(1500))
    assert runs.get(key(2), "a") is None
    assert runs.get(key(1), "a") is not None
    assert runs.size <= 5000


def test_what_says_who_gets_a_run_counts() -> None:
    runs = SharedRuns(max_bytes=50_000)
    for number in range(3):
        runs.keep(key(number)._replace(events=tuple(range(1000))), run(10))
    assert len(runs._runs) == 1
    for number in range(3):
        runs.keep(key(number), run(10, *[str(each) for each in range(200)]))
    assert len(runs._runs) == 1


def test_one_run_is_kept_however_long_it_is() -> None:
    runs = SharedRuns(max_bytes=5000)
    runs.keep(key(1), run(10))
    runs.keep(key(2), run(6000))
    assert runs.get(key(1), "a") is None
    assert runs.get(key(2), "a") is not None
    runs.keep(key(2), run(10))
    assert runs.size < 1000
