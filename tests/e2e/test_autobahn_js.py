"""AutobahnJS 0.7.9 itself: prefixes, every form of PUBLISH, calls, unsubscribe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Playwright

from tests.support.browser import Browser, chromium, running_chromium
from tests.support.daemon import Daemon
from tests.support.pages import PageServer

TOPIC = "http://example.com/news"


@pytest.fixture(scope="module")
def shared_chromium(driver: Playwright) -> Iterator[Chromium]:
    """All of Chromium, not only its headless shell."""
    with running_chromium(driver, chromium()) as running:
        yield running


@pytest.fixture
def page(browser: Browser, pages: PageServer) -> Page:
    """A page without any session; AutobahnJS is loaded."""
    return browser.open(f"{pages.url}/plain.html")


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    """One for all tests here; a start costs more than most of them."""
    return shared_daemon


class Clients:
    """Sessions of AutobahnJS in one page, by name."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._url = url
        self.ids: dict[str, str] = {}

    def open(self, *names: str) -> None:
        """Open a session for each name."""
        for name in names:
            self.ids[name] = self._page.evaluate(
                "([name, url]) => openSession(name, url)", [name, self._url]
            )

    def run(self, name: str, method: str, *arguments: Any) -> None:
        """Call a method of the session, and wait until the server has done what came of it."""
        self._page.evaluate(
            "([name, method, args]) => sessions[name][method](...args)",
            [name, method, list(arguments)],
        )
        self._page.evaluate("name => settled(name)", name)

    def subscribe(self, name: str, topic: str) -> None:
        """Subscribe with the session's own listener, which keeps what it gets."""
        self._page.evaluate(
            "([name, topic]) => sessions[name].subscribe(topic, sessions[name].listener)",
            [name, topic],
        )
        self._page.evaluate("name => settled(name)", name)

    def unsubscribe(self, name: str, topic: str) -> None:
        """Take the listener off again."""
        self._page.evaluate(
            "([name, topic]) => sessions[name].unsubscribe(topic, sessions[name].listener)",
            [name, topic],
        )
        self._page.evaluate("name => settled(name)", name)

    def taken(self, name: str) -> list[list[Any]]:
        """What the session received since the last time, once all that was on its way is there."""
        self._page.evaluate("name => settled(name)", name)
        events: list[list[Any]] = self._page.evaluate("name => taken(name)", name)
        return events

    def call_error(self, name: str, procedure: str) -> dict[str, Any]:
        """Call a procedure that must fail; return the error object."""
        error: dict[str, Any] = self._page.evaluate(
            "([name, procedure]) => callError(name, procedure)", [name, procedure]
        )
        return error


@pytest.fixture
def clients(page: Page, daemon: Daemon) -> Clients:
    """No session yet; the test opens what it needs."""
    return Clients(page, daemon.websocket_url)


def test_a_session_has_an_unguessable_id(clients: Clients) -> None:
    clients.open("A", "B")
    assert clients.ids["A"] != clients.ids["B"]
    assert all(len(identity) >= 16 for identity in clients.ids.values())


#: Arguments of publish() after topic and event, in which names stand for session ids; receivers.
PUBLISH_FORMS: list[tuple[list[Any], str]] = [
    ([], "BC"),
    ([True], "BC"),
    ([False], "ABC"),
    ([[]], "ABC"),
    ([["B"]], "AC"),
    ([["A", "B"]], "C"),
    ([["A", "B", "C"]], ""),
    ([["nobody"]], "ABC"),
    ([[], ["B"]], "B"),
    ([[], ["A", "C"]], "AC"),
    ([[], []], ""),
    ([["B"], ["A", "B"]], "A"),
    ([["A"], ["A"]], ""),
    ([[], ["nobody", "C"]], "C"),
    ([[], ["D"]], ""),
]


def test_publish_with_every_exclude_and_eligible_form(clients: Clients) -> None:
    clients.open("A", "B", "C", "D")
    for name in "ABC":
        clients.subscribe(name, TOPIC)
    for arguments, receivers in PUBLISH_FORMS:
        event = {"form": arguments}
        translated = [
            [clients.ids.get(name, name) for name in argument]
            if isinstance(argument, list)
            else argument
            for argument in arguments
        ]
        clients.run("A", "publish", TOPIC, event, *translated)
        got = {name: clients.taken(name) for name in "ABCD"}
        assert got == {name: [[TOPIC, event]] if name in receivers else [] for name in "ABCD"}, (
            arguments
        )


@pytest.mark.parametrize("topic", ["news:sport", "http://example.com/news#sport"])
def test_prefixes(clients: Clients, topic: str) -> None:
    clients.open("A", "B")
    clients.run("A", "prefix", "news", "http://example.com/news#")
    clients.subscribe("A", "news:sport")
    clients.run("B", "publish", "http://example.com/news#sport", "by URI")
    assert clients.taken("A") == [["http://example.com/news#sport", "by URI"]]
    clients.run("B", "prefix", "n", "http://example.com/news#")
    clients.run("B", "publish", "n:sport", "by another CURIE")
    assert clients.taken("A") == [["http://example.com/news#sport", "by another CURIE"]]
    clients.run("B", "publish", "news:sport", "not a prefix of B")
    assert clients.taken("A") == []
    clients.unsubscribe("A", topic)
    clients.run("B", "publish", "n:sport", "too late")
    assert clients.taken("A") == []


def test_unsubscribe_ends_the_events_of_that_topic_only(clients: Clients, daemon: Daemon) -> None:
    clients.open("A", "B")
    clients.subscribe("A", TOPIC)
    clients.subscribe("A", "other")
    clients.run("B", "publish", TOPIC, 1)
    clients.unsubscribe("A", TOPIC)
    assert daemon.counts() == (2, 1, 2)
    clients.run("B", "publish", TOPIC, 2)
    clients.run("B", "publish", "other", 3)
    assert clients.taken("A") == [[TOPIC, 1], ["other", 3]]


def test_any_json_value_is_an_event(clients: Clients) -> None:
    clients.open("A", "B")
    clients.subscribe("A", TOPIC)
    events: list[object] = [None, 0, "", [], {}, False, -1.5, "\u2028é", [[None]]]
    for event in events:
        clients.run("B", "publish", TOPIC, event)
    got = clients.taken("A")
    assert [topic for topic, _ in got] == [TOPIC] * len(events)
    # As text, because Python holds False and 0 for the same.
    assert json.dumps([event for _, event in got]) == json.dumps(events)


def test_a_call_of_an_unknown_procedure_is_answered(clients: Clients) -> None:
    clients.open("A")
    error = clients.call_error("A", "http://example.com/none")
    assert error["uri"] == "http://api.wamp.ws/error#NoSuchRPCEndpoint"
    assert error["desc"]
    clients.run("A", "prefix", "wamp", "http://api.wamp.ws/error#")
    assert clients.call_error("A", "http://example.com/none")["uri"] == "wamp:NoSuchRPCEndpoint"
