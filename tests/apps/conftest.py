"""What all tests of application code share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.apps.app_world import AppWorld


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """The threads of apps end with their test."""
    yield
    AppWorld.close_all()
