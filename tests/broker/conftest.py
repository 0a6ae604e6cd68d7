"""Fixtures of several packages of these tests."""

from __future__ import annotations

import pytest

from tests.broker.mirrors.mirror_world import SharedWorld


@pytest.fixture
def shared() -> SharedWorld:
    """Nodes that share the topics of one store."""
    return SharedWorld()
