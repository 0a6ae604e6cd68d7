"""Fixtures for tests that need the daemon, a browser, PHP or AutobahnJS."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from autobahn_js import autobahn_js as fetch_autobahn_js
from hypothesis import settings
from own_test_coverage import OwnTestCoverage
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Playwright

from tests.support.browser import Browser, Playing, new_user
from tests.support.client_pages import ClientPages, client_pages
from tests.support.daemon import Daemon, running_daemon
from tests.support.pages import PageServer, page_server
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "tests" / "e2e" / "pages"
#: Files and folders whose tests wait for other processes, those that take longest first. Files of
#: the benchmark are apart from each other: their servers all want the same core.
SLOWEST_FIRST = (
    *("tests/bench/test_nodes.py", "tests/bench/test_pressure.py", "tests/e2e/test_apps.py"),
    *("tests/client_js", "tests/bench/test_history.py", "tests/e2e/test_daemon.py"),
    *("tests/seeds", "tests/bench/test_upgrades.py", "tests/simulation"),
    *("tests/e2e", "tests/bench", "tests/test_packaging.py", "tests/test_locks.py"),
    *("tests/edges/zeromq", "tests/edges/redis", "tests/edges/backplane"),
    *("tests/docs", "tests/cli", "tests/node", "tests/parent", "tests/net/test_tls.py"),
    *("tests/test_parent_service.py", "tests/test_twistd_service.py", "tests/test_own_tests.py"),
)
BROWSER_FIXTURES = frozenset(("driver", "shared_chromium"))
FILES_WITH_BROWSER = pytest.StashKey[set[Path]]()
# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Measure what each module's own test covers, when coverage is asked for."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what runs in the background so; programs that tests start would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(OwnTestCoverage(ROOT))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among the twelve thousand tests, neither meanwhile nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        # twisted.internet.testing imports it. Where it is loaded, pytest reads the metadata of
        # Twisted from its file before each test, to see whether its trial needs something.
        sys.modules.pop("twisted.trial.unittest", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that the test processes end at the same time.

    Among them, those with a browser follow each other, so that they can share it.
    """
    with_browser = {
        item.path
        for item in items
        if not BROWSER_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
    }
    config.stash[FILES_WITH_BROWSER] = with_browser

    @cache
    def rank(path: Path) -> tuple[int, bool]:
        ranks = (n for n, each in enumerate(SLOWEST_FIRST) if path.is_relative_to(ROOT / each))
        return next(ranks, len(SLOWEST_FIRST)), path not in with_browser

    items.sort(key=lambda item: rank(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Fail a test that leaves the collector off, for itself and not for those after it."""
    yield
    if not gc.isenabled():
        gc.enable()
        pytest.fail("the test has left the garbage collector off")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> Iterator[None]:
    """Show a failure at once; whoever ends a run that hangs would never see the summary."""
    yield
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext}\n")
        sys.stdout.flush()


@pytest.fixture(scope="session")
def autobahn_js() -> bytes:
    """The genuine AutobahnJS 0.7.9."""
    return fetch_autobahn_js(ROOT / ".cache" / "autobahn-js")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A running daemon on free ports."""
    with running_daemon(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon that the tests of a module use one after the other."""
    with running_daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture
def shared_daemon(lasting_daemon: Daemon) -> Daemon:
    """The daemon of the module, once nothing is left of the clients of the test before."""
    eventually(lasting_daemon.counts, lambda counts: counts == (0, 0, 0))
    return lasting_daemon


@pytest.fixture(scope="session")
def playing() -> Iterator[Playing]:
    """What drives browsers, and one browser; both start when a test first needs them."""
    running = Playing()
    yield running
    running.end()


@pytest.fixture(scope="module", autouse=True)
def _without_event_loop(request: pytest.FixtureRequest, playing: Playing) -> None:
    """End the browser before a file that needs none: nobody else could run an event loop."""
    if request.path not in request.config.stash[FILES_WITH_BROWSER]:
        playing.end()


@pytest.fixture(scope="module")
def driver(playing: Playing) -> Playwright:
    """What drives browsers."""
    return playing.driver()


@pytest.fixture(scope="module")
def shared_chromium(playing: Playing) -> Chromium:
    """A browser that tests use one after the other."""
    return playing.chromium()


@pytest.fixture
def browser(shared_chromium: Chromium) -> Iterator[Browser]:
    """A browser with empty storage; no page may leave an error uncaught."""
    with new_user(shared_chromium) as user:
        yield user
        assert user.errors == []


@pytest.fixture
def pages(autobahn_js: bytes) -> Iterator[PageServer]:
    """A web server with AutobahnJS and the page for scripted tests, ``/plain.html``."""
    files = {"/autobahn.min.js": autobahn_js}
    for name in ("plain.html", "harness.js"):
        files[f"/{name}"] = (PAGES / name).read_bytes()
    with page_server(files) as server:
        yield server


@pytest.fixture(scope="module")
def client_site() -> Iterator[ClientPages]:
    """A web server for pages that load the client of client-js/ under a strict policy."""
    with client_pages() as site:
        yield site


@pytest.fixture
def seed_page(pages: PageServer, daemon: Daemon) -> Callable[[str], str]:
    """Puts a page as in the README, for one category, on the web server; returns its address."""
    template = (PAGES / "seed.html").read_text(encoding="utf-8")

    def publish(category: str) -> str:
        text = template.replace("PORT", str(daemon.websocket_port)).replace("CATEGORY", category)
        path = f"/seed-{len(pages.files)}.html"
        pages.files[path] = text.encode()
        return pages.url + path

    return publish
