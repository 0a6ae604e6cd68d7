"""Whether a node is ready, and which part is not."""

from __future__ import annotations

import pytest

from wampush.node.monitoring.readiness import Readiness
from wampush.node.monitoring.serving import Serving


class Parts:
    """Parts whose problems a test sets."""

    def __init__(self) -> None:
        self.serving = Serving()
        self.redis = {"a": "", "b": ""}
        self.readiness = Readiness(
            self.serving,
            {"websocket": lambda: [("ws://a/", "")], "redis": self.redis.items},
            worker=2,
        )


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_each_member_is_shown_with_its_problem(parts: Parts) -> None:
    assert parts.readiness.report()["status"] == "ready"
    parts.redis["b"] = "connection refused"
    assert parts.readiness.report() == {
        "status": "not-ready",
        "worker": 2,
        "parts": [
            {"part": "websocket", "name": "ws://a/", "ready": True, "problem": None},
            {"part": "redis", "name": "a", "ready": True, "problem": None},
            {"part": "redis", "name": "b", "ready": False, "problem": "connection refused"},
        ],
    }
    assert parts.readiness.by_part() == {"websocket": True, "redis": False}


def test_a_part_that_is_left_out_need_not_be_ready(parts: Parts) -> None:
    parts.redis["a"] = "connection refused"
    report = parts.readiness.report(["redis"])
    assert report["status"] == "ready"
    assert report["parts"] == [
        {"part": "websocket", "name": "ws://a/", "ready": True, "problem": None}
    ]
    assert set(parts.readiness.parts) == {"websocket", "redis"}


def test_the_state_of_the_node_comes_first(parts: Parts) -> None:
    parts.redis["a"] = "connection refused"
    parts.serving.drain()
    assert parts.readiness.report()["status"] == "draining"
    parts.serving.resume()
    assert parts.readiness.report()["status"] == "not-ready"
    parts.serving.stop()
    report = parts.readiness.report()
    assert report["status"] == "stopping"
    # What is wrong is still shown.
    assert parts.readiness.by_part()["redis"] is False


def test_a_part_without_members_is_ready(parts: Parts) -> None:
    parts.redis.clear()
    assert parts.readiness.by_part() == {"websocket": True, "redis": True}
    assert parts.readiness.report()["status"] == "ready"
