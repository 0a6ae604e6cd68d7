"""The Yii2 "Pusher" on Ratchet, the main job: PHP pushes, an unchanged AutobahnJS page shows it."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.pages import PageServer
from tests.support.php import php_command, php_push
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually

NASTY = "\"double\" 'single' \\back\\ </script><b>bold</b> & \u2028 \u0000 \t"

VALUES = {
    "unicode": "Zażółć gęślą jaźń, 你好, \U0001f600, e\u0301",
    "quotes": NASTY,
    "nested": {"a": [1, {"b": [None, True, {}, []]}], "c": {"d": "ü"}},
    "long": "0123456789abcdeé" * 4096,
    "empty": "",
    "numbers": [0, -1, 0.5, 1e300],
}


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    """One for all tests here; a start costs more than most of them."""
    return shared_daemon


def wait_for_topics(daemon: Daemon, count: int) -> None:
    """Wait until the subscriptions of the pages have arrived; WAMP v1 does not confirm them."""
    eventually(lambda: daemon.health()["topics"], lambda topics: topics == count)


def test_the_shortest_backend_reaches_the_page(
    daemon: Daemon, browser: Browser, seed_page: Callable[[str], str]
) -> None:
    page = browser.open(seed_page("MainCategory"))
    wait_for_topics(daemon, 1)
    subprocess.run(php_command("seed.php", daemon.zmq_address), check=True, timeout=PATIENCE)
    page.wait_for_function("document.getElementById('count').textContent === '1'")
    assert page.inner_text("#category") == "MainCategory"
    assert page.inner_text("#title") == "Grüße aus Köln"
    assert page.inner_text("#price") == "12.5"
    assert page.inner_text("#state") == "open"


def test_every_kind_of_value_arrives_as_it_was_sent(
    daemon: Daemon, browser: Browser, seed_page: Callable[[str], str]
) -> None:
    page = browser.open(seed_page("MainCategory"))
    wait_for_topics(daemon, 1)
    for number, (name, value) in enumerate(VALUES.items(), 1):
        php_push(
            daemon.zmq_address,
            {"category": "MainCategory", "title": name, "nested": value},
        )
        page.wait_for_function(
            "number => document.getElementById('count').textContent === String(number)", arg=number
        )
        shown = page.evaluate("document.getElementById('nested').textContent")
        assert page.inner_text("#title") == name
        assert (shown if isinstance(value, str) else json.loads(shown)) == value
    assert len(VALUES["long"]) == 65536


def test_pushes_arrive_in_order_and_none_is_missing(
    daemon: Daemon, browser: Browser, seed_page: Callable[[str], str]
) -> None:
    page = browser.open(seed_page("MainCategory"))
    wait_for_topics(daemon, 1)
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => seen.push(document.getElementById('number').textContent))
                .observe(document.getElementById('number'), {childList: true});
        }"""
    )
    messages = [{"category": "MainCategory", "number": number} for number in range(500)]
    php_push(daemon.zmq_address, *messages)
    page.wait_for_function("document.getElementById('count').textContent === '500'")
    seen = [int(text) for text in page.evaluate("seen")]
    assert seen == sorted(seen)
    assert seen[-1] == 499


def test_two_tabs_get_only_their_own_category(
    daemon: Daemon, browser: Browser, seed_page: Callable[[str], str]
) -> None:
    first = browser.open(seed_page("First"))
    second = browser.open(seed_page("Zweite Kategorie: größer"))
    wait_for_topics(daemon, 2)
    php_push(
        daemon.zmq_address,
        {"category": "First", "title": "for the first"},
        {"category": "Zweite Kategorie: größer", "title": "for the second"},
        {"category": "Third", "title": "for nobody"},
        {"category": "First", "title": "last", "number": 1},
        {"category": "Zweite Kategorie: größer", "title": "last", "number": 2},
    )
    for page, number in ((first, "1"), (second, "2")):
        page.wait_for_function(
            "number => document.getElementById('number').textContent === number", arg=number
        )
        assert page.inner_text("#count") == "2"
        assert page.inner_text("#title") == "last"


def test_a_category_may_be_any_string(
    daemon: Daemon, browser: Browser, seed_page: Callable[[str], str]
) -> None:
    categories = ["a b", 'quo"te', "<b>", "プッシュ", "http://example.com/a#b", "x" * 1000]
    tabs = [browser.open(seed_page(category)) for category in categories]
    wait_for_topics(daemon, len(categories))
    php_push(daemon.zmq_address, *({"category": name, "title": name} for name in categories))
    for page, category in zip(tabs, categories, strict=True):
        page.wait_for_function("document.getElementById('count').textContent === '1'")
        assert page.evaluate("document.getElementById('category').textContent") == category
        assert page.evaluate("document.getElementById('title').textContent") == category


def test_a_closed_tab_leaves_nothing(
    daemon: Daemon, browser: Browser, seed_page: Callable[[str], str]
) -> None:
    page = browser.open(seed_page("MainCategory"))
    eventually(daemon.counts, lambda counts: counts == (1, 1, 1))
    page.close()
    eventually(daemon.counts, lambda counts: counts == (0, 0, 0))


# The page asks once for what its widgets show; what has changed since comes as events.
FILL = """
    const answer = await (await fetch('/widgets.json')).json();
    for (const field in answer) {
        document.getElementById(field).textContent = answer[field];
    }
"""


def test_widgets_are_filled_by_one_request_and_then_by_events_without_polling(
    daemon: Daemon, browser: Browser, seed_page: Callable[[str], str], pages: PageServer
) -> None:
    pages.files["/widgets.json"] = b'{"title": "before", "price": 10}'
    page = browser.open(seed_page("MainCategory"))
    wait_for_topics(daemon, 1)
    page.evaluate(f"async () => {{{FILL}}}")
    assert (page.inner_text("#title"), page.inner_text("#price")) == ("before", "10")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for number in range(3):
        php_push(daemon.zmq_address, {"category": "MainCategory", "price": number})
        page.wait_for_function(
            "number => document.getElementById('price').textContent === String(number)", arg=number
        )
    # What was not pushed stays as it was.
    assert page.inner_text("#title") == "before"
    assert asked == []


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process open more than 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_more_than_1024_connections_stay_open(tmp_path: Path) -> None:
    # The first clients say nothing until the last have come.
    unhurried = ["--set=websocket.silence_timeout=3600"]
    # One address may have 1,000; all of 127.0.0.0/8 is this machine.
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, extra=unhurried))
        clients = [
            stack.enter_context(
                RawClient(daemon.websocket_port, source=f"127.0.0.{1 + number % 2}")
            )
            for number in range(1200)
        ]
        for client in clients:
            client.subscribe("MainCategory")
        php_push(daemon.zmq_address, {"category": "MainCategory", "title": "for all"})
        event = [8, "MainCategory", {"category": "MainCategory", "title": "for all"}]
        assert all(client.receive() == event for client in clients)
        assert daemon.health()["connections"] == 1200
