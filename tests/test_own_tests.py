"""The list of modules that their own tests do not cover."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import check_own_tests
import pytest
from coverage import CoverageData

from tests.support.waiting import PATIENCE

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
MODULE = '''\
"""A module."""

LIMIT = 3


def count(text):
    """Return how long a text is.

    :param text: any.
    """
    if text:
        return len(text)
    return 0
'''
CONFTEST = """\
from pathlib import Path

from own_test_coverage import OwnTestCoverage


def pytest_configure(config):
    config.pluginmanager.register(OwnTestCoverage(Path(__file__).parent))
"""
TEST = """\
from wampush.words import count


def test_count():
    assert count("abc") == 3
"""
UNWATCHED_TEST = """\
import sys


def test_no_tracer_is_at_work():
    assert sys.gettrace() is None
"""
EXAMPLES_TEST = """\
from hypothesis import given, strategies
from own_test_coverage import EXAMPLES
from wampush.words import count

calls = []


@given(strategies.integers())
def test_counts(number):
    calls.append(number)
    assert count("abc" if len(calls) <= EXAMPLES else "") in {0, 3}
    assert len(calls) > 1 or count("a") == 1


def test_more_examples_than_are_watched():
    assert len(calls) > EXAMPLES
"""
CASES_TEST = """\
import pytest
from own_test_coverage import CASES
from wampush.words import count


@pytest.mark.parametrize("text", ["abc"] * CASES + [""])
def test_counts(text):
    assert count(text) == len(text)
"""
UNWATCHED_CASE_TEST = """\
import pytest
from wampush.words import count


@pytest.mark.unwatched
def test_zero():
    assert count("") == 0


def test_count():
    assert count("abc") == 3
"""
FIXTURES_TEST = """\
import sys

import pytest
from wampush.words import count


@pytest.fixture
def inner():
    yield count("")
    assert sys.gettrace() is None


@pytest.fixture
def outer(request):
    assert count("abc") == 3
    return request.getfixturevalue("inner") + count("abc")


def test_sum(outer):
    assert outer == 3
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small project with one module and no test."""
    (tmp_path / "wampush").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "wampush" / "__init__.py").touch()
    (tmp_path / "wampush" / "words.py").write_text(MODULE, "utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")
    return tmp_path


def measured(checkout: Path, *arguments: str) -> CoverageData:
    """Run tests of the project and return what coverage has recorded."""
    data = checkout / "data"
    # Without the plugins that these runs do not need, which take longer to load than the runs.
    plugins = ["-p", "no:cacheprovider", "-p", "pytest_cov.plugin", "-p", "xdist.plugin"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "--cov=wampush"]
    path = os.pathsep.join((str(checkout), str(SCRIPTS)))
    done = subprocess.run(
        [*command, "--cov-report=", "--rootdir=.", *arguments],
        cwd=checkout,
        env={
            "COVERAGE_FILE": str(data),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": path,
            "PATH": "",
        },
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = CoverageData(str(data))
    found.read()
    return found


def listed(checkout: Path, data: CoverageData, least: int) -> list[str]:
    """Return the lines that the script would print."""
    return [str(each) for each in check_own_tests.findings(checkout, data, least)]


def test_a_module_without_a_test_is_listed(checkout: Path) -> None:
    other = checkout / "tests" / "test_other.py"
    other.write_text(TEST, "utf-8")
    data = measured(checkout, "tests/test_other.py")
    assert listed(checkout, data, 10) == ["wampush/words.py: tests/test_words.py does not exist"]


def test_what_other_tests_run_does_not_count(checkout: Path) -> None:
    (checkout / "tests" / "test_other.py").write_text(TEST, "utf-8")
    (checkout / "tests" / "test_words.py").write_text("def test_nothing():\n    pass\n", "utf-8")
    data = measured(checkout, "tests")
    assert listed(checkout, data, 10) == [
        "wampush/words.py: tests/test_words.py covers 0 %; lines 11-13"
    ]


def test_lines_inside_functions_count_and_docstrings_do_not(checkout: Path) -> None:
    (checkout / "tests" / "test_words.py").write_text(TEST, "utf-8")
    data = measured(checkout, "tests")
    assert check_own_tests.function_lines(MODULE) == {11, 12, 13}
    overloads = "@overload\ndef count(text: str) -> int: ...\n\n\ndef named():\n    ...\n"
    assert check_own_tests.function_lines(overloads) == set()
    assert listed(checkout, data, 66) == []
    assert listed(checkout, data, 67) == [
        "wampush/words.py: tests/test_words.py covers 67 %; lines 13"
    ]


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_own_tests_are_watched_and_lines_that_run_on_import(
    checkout: Path, processes: tuple[str, ...]
) -> None:
    for name in ("test_other.py", "test_words.py"):
        (checkout / "tests" / name).write_text(TEST, "utf-8")
    data = measured(checkout, "tests", *processes)
    (module,) = (name for name in data.measured_files() if name.endswith("words.py"))
    contexts = data.contexts_by_lineno(module)
    assert {number: contexts[number] for number in (3, 11, 12)} == {
        3: [""],
        11: ["tests/test_words.py"],
        12: ["tests/test_words.py"],
    }
    assert data.measured_contexts() == {"", "tests/test_words.py"}


@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["one process", "test processes"])
def test_other_tests_are_not_watched(checkout: Path, processes: tuple[str, ...]) -> None:
    (checkout / "tests" / "test_words.py").write_text(TEST, "utf-8")
    (checkout / "tests" / "test_zoo.py").write_text(UNWATCHED_TEST, "utf-8")
    measured(checkout, "tests", *processes)


def test_the_first_examples_are_watched_and_what_follows(checkout: Path) -> None:
    path = checkout / "tests" / "test_words.py"
    path.write_text(EXAMPLES_TEST, "utf-8")
    nothing_else = "wampush/words.py: tests/test_words.py covers 67 %; lines 13"
    assert listed(checkout, measured(checkout, "tests"), 67) == [nothing_else]
    path.write_text(f"{EXAMPLES_TEST}\n\ndef test_zero():\n    assert count('') == 0\n", "utf-8")
    assert listed(checkout, measured(checkout, "tests"), 100) == []


@pytest.mark.parametrize(
    "text", [CASES_TEST, UNWATCHED_CASE_TEST], ids=["later cases", "tests with the mark"]
)
def test_what_is_not_watched_counts_as_missed(checkout: Path, text: str) -> None:
    (checkout / "tests" / "test_words.py").write_text(text, "utf-8")
    nothing_else = "wampush/words.py: tests/test_words.py covers 67 %; lines 13"
    assert listed(checkout, measured(checkout, "tests"), 67) == [nothing_else]


def test_fixtures_are_watched_and_what_comes_between_is_not(checkout: Path) -> None:
    (checkout / "tests" / "test_words.py").write_text(FIXTURES_TEST, "utf-8")
    assert listed(checkout, measured(checkout, "tests"), 100) == []


@pytest.mark.parametrize(
    ("numbers", "text"), [((), ""), ((3,), "3"), ((3, 4, 5, 9), "3-5, 9"), ((1, 3), "1, 3")]
)
def test_ranges_of_lines(numbers: tuple[int, ...], text: str) -> None:
    assert check_own_tests.ranges(numbers) == text


def test_the_own_test_of_a_module() -> None:
    found = check_own_tests.own_test(Path("wampush/broker/subscription_index.py"))
    assert found == Path("tests/broker/test_subscription_index.py")
