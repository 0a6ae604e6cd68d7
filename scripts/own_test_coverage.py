"""A plugin of pytest that has coverage watch each module's own test, and nothing else.

Watching makes Python two to three times slower, and the check of own tests and the report need no
more. Each own test file is a context of its own in the record, named by its path.

Tests that draw their input run the same lines a hundred times over. Of a function with ``@given``,
the first examples are watched; state machines, whose examples are long, are not. What only a later
example reaches counts as missed, so the check of own tests never takes too much for covered.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from check_own_tests import PACKAGE, own_test
from coverage import Coverage

#: Examples of a test with ``@given`` that are watched.
EXAMPLES: Final = 20


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

    def pytest_configure(self, config: pytest.Config) -> None:
        """End a coverage that watches everything and saves nothing.

        Test processes get the options of the run, so pytest-cov starts there what measures a whole
        run, and later what measures a test process. Of these two, the first would watch whenever
        the second does not.
        """
        whole_run = Coverage.current()
        if whole_run is not None and hasattr(config, "workerinput"):
            whole_run.stop()

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
        """Watch while an own test runs, or its first examples."""
        test = getattr(item, "obj", None)
        is_machine = hasattr(test, "_hypothesis_state_machine_class")
        is_watched = item.path in self._own_tests and not is_machine
        self._watch(item.path if is_watched else None)
        with self._first_examples(test):
            return (yield)

    @contextmanager
    def _first_examples(self, test: object) -> Iterator[None]:
        """Watch no longer once a function with ``@given`` has run some examples."""
        given: Any = getattr(test, "hypothesis", None)
        if given is None or not self._is_watching:
            yield
            return
        inner = given.inner_test
        number = itertools.count()

        @functools.wraps(inner)
        def counted(*arguments: Any, **named: Any) -> Any:
            if next(number) == EXAMPLES:
                self._watch(None)
            return inner(*arguments, **named)

        # Hypothesis has this attribute for plugins, which put a function of theirs around the test.
        given.inner_test = counted
        try:
            yield
        finally:
            given.inner_test = inner

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
