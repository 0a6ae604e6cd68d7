"""A plugin of pytest that has coverage watch each module's own test, and nothing else.

Watching makes Python three to six times slower, pytest itself too, and the check of own tests and
the report need no more. So it begins with each fixture and each test function, and ends with it.
Each own test file is a context of its own in the record, named by its path.

Many cases of one test, and tests that draw their input, run the same lines over and over. Of a
parametrized function the first cases are watched, and of a function with ``@given`` the first
examples. State machines, whose examples are long, are not watched, nor are tests marked
``unwatched``, which do something ten thousand times. What only these or a later case reach counts
as missed, so the check of own tests never takes too much for covered.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil
from collections import Counter
from collections.abc import Generator, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from check_own_tests import PACKAGE, own_test
from coverage import Coverage

#: Cases of a parametrized test that are watched.
CASES: Final = 30
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
        self._test: Path | None = None
        self._cases: Counter[Hashable] = Counter()
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
        """Decide whether to watch a test and what it asks for."""
        self._test = item.path if self._is_to_be_watched(item) else None
        try:
            return (yield)
        finally:
            self._test = None

    def _is_to_be_watched(self, item: pytest.Item) -> bool:
        is_machine = hasattr(getattr(item, "obj", None), "_hypothesis_state_machine_class")
        is_unwatched = is_machine or item.get_closest_marker("unwatched") is not None
        if item.path not in self._own_tests or is_unwatched:
            return False
        function = item.path, item.parent, getattr(item, "originalname", item.name)
        self._cases[function] += 1
        return self._cases[function] <= CASES

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        """Watch what prepares for a test."""
        with self._watched():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Watch while a test function runs, or its first examples."""
        with self._watched(), self._first_examples(pyfuncitem.obj):
            return (yield)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        is_inside = self._is_watching
        self._watch(self._test)
        try:
            yield
        finally:
            # One fixture can ask for another while it is watched.
            if not is_inside:
                self._watch(None)

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
