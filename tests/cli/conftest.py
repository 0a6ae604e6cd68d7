"""What tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.puller import Puller


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAMPUSH_CONFIG", "WAMPUSH_HTTP_LISTEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def puller() -> Iterator[Puller]:
    made = Puller()
    yield made
    made.close()
