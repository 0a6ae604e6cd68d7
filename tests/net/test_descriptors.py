"""The limit on open descriptors is raised as far as the system allows."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

from wampush.net import descriptors

PROGRAM = """
import json, resource, sys
from wampush.net.descriptors import raise_descriptor_limit
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(json.dumps([raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


@pytest.mark.parametrize(("soft", "hard"), [(100, 300), (300, 300)])
def test_the_limit_of_descriptors_is_raised_as_far_as_allowed(soft: int, hard: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(soft), str(hard)],
        capture_output=True,
        text=True,
        timeout=20,
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
    assert descriptors.raise_descriptor_limit() == (soft, 300)
    assert made == calls
