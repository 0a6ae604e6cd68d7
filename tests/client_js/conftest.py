"""Fixtures for tests of the client for pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.client_js import build_client


@pytest.fixture(scope="session")
def built_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with client-js/ built just now."""
    return build_client(tmp_path_factory.mktemp("client-js"))
