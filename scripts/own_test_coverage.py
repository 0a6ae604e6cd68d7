"""A plugin of pytest that has coverage watch each module's own test, and nothing else.

Watching makes Python two to three times slower, and the check of own tests and the report need no
more. Each own test file is a context of its own in the record, named by its path.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from check_own_tests import PACKAGE, own_test
from coverage import Coverage


class OwnTestCoverage:
    """Starts and stops the coverage that pytest-cov has prepared.

    :param root: the checkout.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own_tests = {
            root / own_test(module.relative_to(root)) for module in (root / PACKAGE).rglob("*.py")
        }
        self._is_watching = True
        self._context: Path | None = None
        self._coverage: Coverage | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Iterator[None]:
        """Import the whole package, so that lines outside functions count, then watch no more."""
        self._coverage = Coverage.current()
        is_worker = hasattr(session.config, "workerinput")
        if self._coverage is not None and not is_worker:
            self._import_package()
        self._watch(None)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watch while an own test runs."""
        self._watch(item.path if item.path in self._own_tests else None)
        return (yield)

    def _import_package(self) -> None:
        package = importlib.import_module(PACKAGE)
        for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)

    def _watch(self, test: Path | None) -> None:
        """Watch on behalf of a test file, or not at all."""
        if self._coverage is None:
            return
        if self._is_watching and test is None:
            self._coverage.stop()
        elif not self._is_watching and test is not None:
            self._coverage.start()
        self._is_watching = test is not None
        # Each switch writes what has been recorded, so not for each test.
        if test is not None and test != self._context:
            self._context = test
            self._coverage.switch_context(test.relative_to(self._root).as_posix())
