"""The request to the web application: what is asked, how often, and which answers count."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from tests.support.php import php_server
from tests.support.waiting import PATIENCE
from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.config.tables.identity import CallbackSettings
from wampush.edges.auth.callback import Callback
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.net.http_post import HttpResponse

ROOT = Path(__file__).resolve().parents[3]
URL = "http://127.0.0.1:1/who"


def request(
    cookie: str | None = "PHPSESSID=s1", target: str = "/", address: str = "192.0.2.1", **more: str
):
    headers = dict(more) if cookie is None else {"cookie": cookie, **more}
    return ConnectRequest(target, headers, address)


class Application:
    """A web application that answers when a test says so, and the Callback that asks it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.asked: list[tuple[bytes, bytes]] = []
        self.pending: list[Deferred[HttpResponse]] = []
        self.cancelled = 0
        self.callback = Callback(
            CallbackSettings(url=URL, **settings),
            self._post,
            self.clock.callLater,
            self.clock.seconds,
        )

    def _post(self, body: bytes, cookie: bytes) -> Deferred[HttpResponse]:
        self.asked.append((body, cookie))
        pending: Deferred[HttpResponse] = Deferred(self._cancel)
        self.pending.append(pending)
        return pending

    def _cancel(self, _: object) -> None:
        self.cancelled += 1

    def ask(self, *arguments: Any, **more: Any) -> list[Any]:
        """Ask; the list holds the outcome once there is one."""
        outcome: list[Any] = []
        asked = self.callback.identify(request(*arguments, **more))
        asked.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
        return outcome

    def answer(self, status: int = 200, document: object = None, body: bytes | None = None) -> None:
        """Answer the oldest request."""
        text = json.dumps({} if document is None else document).encode() if body is None else body
        self.pending.pop(0).callback(HttpResponse(status, text))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines that are written meanwhile."""
    lines: list[str] = []

    def observe(event: Any) -> None:
        if "problem" in event:
            lines.append(event["log_format"].format(**event))

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


def reason(outcome: list[Any]) -> CloseReason:
    (error,) = outcome
    assert isinstance(error, AuthenticationRefused)
    assert error.detail == ""
    found: CloseReason = error.reason
    return found


def test_the_request_contains_cookies_headers_origin_and_query():
    web = Application(headers=("X-Token", "x-none"))
    more = {"origin": "https://a", "x-token": "t", "authorization": "secret"}
    outcome = web.ask("PHPSESSID=s1; theme=dark", "/ws?a=1&b", **more)
    ((body, cookie),) = web.asked
    assert json.loads(body) == {
        "cookies": {"PHPSESSID": "s1", "theme": "dark"},
        "headers": {"x-token": "t"},
        "origin": "https://a",
        "query": "a=1&b",
        "scheme": "ws",
    }
    assert cookie == b"PHPSESSID=s1; theme=dark"
    assert outcome == []


def test_only_the_configured_cookies_are_passed_on():
    web = Application(cookies=("PHPSESSID",))
    web.ask("_ga=1; PHPSESSID=s1")
    ((body, cookie),) = web.asked
    assert json.loads(body)["cookies"] == {"PHPSESSID": "s1"}
    assert cookie == b"PHPSESSID=s1"
    web.ask("_ga=2; PHPSESSID=s1")
    assert len(web.asked) == 1


def test_without_credentials_no_request_is_sent():
    web = Application(cookies=("PHPSESSID",))
    assert web.ask(None) == [None]
    assert web.ask("_ga=1") == [None]
    assert web.asked == []


def test_an_answer_becomes_an_identity():
    web = Application()
    outcome = web.ask()
    document = {
        "user": 7,
        "groups": ["staff", 3],
        "language": "de",
        "data": {"a": [1]},
        "session": "s",
        "expires": 1e9,
    }
    web.answer(200, document)
    assert outcome == [
        Identity("7", frozenset({"staff", "3"}), "s", "de", {"a": [1]}, 1e9, "callback")
    ]


@pytest.mark.parametrize("document", [{}, {"user": None, "groups": None, "data": []}])
def test_a_visitor_who_is_not_logged_in(document):
    web = Application()
    outcome = web.ask()
    web.answer(200, document)
    assert outcome == [Identity(source="callback")]


def test_refusals():
    web = Application()
    unknown, forbidden = web.ask("a=1"), web.ask("a=2")
    web.answer(401)
    web.answer(403)
    assert unknown == [None]
    assert reason(forbidden) is CloseReason.AUTHENTICATION_FORBIDDEN


@pytest.mark.parametrize("status", [100, 201, 204, 301, 302, 400, 404, 500, 503])
def test_other_responses_refuse_the_client(log, status):
    web = Application()
    outcome = web.ask()
    web.answer(status, {"user": "7"})
    assert reason(outcome) is CloseReason.AUTHENTICATION_UNAVAILABLE
    assert log == [f"callback {URL}: unexpected status {status}; expected 200, 401 or 403"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>secret-7</html>",
        b"[" * 20_000,
        b"\xff",
        b'{"users": "secret-7"}',
        b'{"user": ["secret-7"]}',
        b'{"user": true}',
        b'{"user": ""}',
        b'{"user": "a\\u0000"}',
        b'{"user": 1.5}',
        b'{"user": 99999999999999999999999}',
        b'{"groups": "secret-7"}',
        b'{"groups": {"0": "secret-7"}}',
        b'{"language": 3}',
        b'{"data": "secret-7"}',
        b'{"expires": "secret-7"}',
        b'{"expires": NaN}',
        b'{"expires": true}',
        b'{"expires": 1790000000000}',
        b'{"expires": -1}',
    ],
)
def test_unusable_responses_refuse_the_client(log, body):
    web = Application()
    outcome = web.ask("PHPSESSID=secret-7")
    web.answer(200, body=body)
    assert reason(outcome) is CloseReason.AUTHENTICATION_UNAVAILABLE
    (line,) = log
    assert line.startswith(f"callback {URL}: ")
    assert "secret" not in line


def test_any_failure_refuses_the_client(log):
    web = Application()
    outcome = web.ask()
    web.pending.pop().errback(RuntimeError("secret-7"))
    assert reason(outcome) is CloseReason.AUTHENTICATION_UNAVAILABLE
    assert log == [f"callback {URL}: the request failed (RuntimeError)"]


def test_failures_are_logged_once_per_second(log):
    web = Application()
    for number in range(5):
        web.ask(f"a={number}")
        web.answer(500)
    web.clock.advance(1.0)
    web.ask()
    web.answer(500)
    assert len(log) == 2
    assert log[1].endswith("(4 similar messages suppressed)")


def test_without_a_response_in_time_the_client_is_refused(log):
    web = Application(timeout=3.0, at_once=1)
    first = web.ask("a=1")
    web.clock.advance(1.0)
    waiting = web.ask("a=2")
    web.clock.advance(1.9)
    assert first == []
    web.clock.advance(0.1)
    assert reason(first) is CloseReason.AUTHENTICATION_UNAVAILABLE
    assert log == [f"callback {URL}: no response within 3 s"]
    # The place is free; waiting for it counts as time.
    assert len(web.asked) == 2
    web.clock.advance(0.9)
    assert waiting == []
    web.clock.advance(0.1)
    assert reason(waiting) is CloseReason.AUTHENTICATION_UNAVAILABLE
    assert web.cancelled == 2
    assert web.clock.getDelayedCalls() == []
    again = web.ask("a=3")
    web.pending.pop().callback(HttpResponse(200, b'{"user": "7"}'))
    assert again[0].user == "7"


def test_the_number_of_requests_at_a_time_is_limited(log):
    web = Application(at_once=2, waiting=2)
    outcomes = [web.ask(f"a={number}", address=f"192.0.2.{number}") for number in range(5)]
    assert len(web.asked) == 2
    assert reason(outcomes[4]) is CloseReason.AUTHENTICATION_UNAVAILABLE
    assert log == [f"callback {URL}: the queue is full (2 requests)"]
    for number in range(4):
        web.answer(200, {"user": number})
    assert [outcome[0].user for outcome in outcomes[:4]] == ["0", "1", "2", "3"]
    assert web.clock.getDelayedCalls() == []


def test_equal_handshakes_send_one_request():
    web = Application()
    outcomes = [web.ask(), web.ask(), web.ask("PHPSESSID=s2")]
    assert len(web.asked) == 2
    web.answer(200, {"user": 1})
    web.answer(200, {"user": 2})
    assert [outcome[0].user for outcome in outcomes] == ["1", "1", "2"]


@pytest.mark.parametrize("more", [{"target": "/?user=2"}, {"origin": "https://b"}])
def test_different_handshakes_are_asked_about_separately(more):
    web = Application()
    web.ask()
    web.answer(200, {"user": 1})
    web.ask(**more)
    assert len(web.asked) == 2


def test_identities_are_cached_for_a_while():
    web = Application(cache_seconds=10.0)
    web.ask()
    web.answer(200, {"user": 1})
    web.clock.advance(9.9)
    assert web.ask()[0].user == "1"
    web.clock.advance(0.1)
    assert web.ask() == []
    web.answer(200, {"user": 2})
    assert web.ask()[0].user == "2"
    assert len(web.asked) == 2


@pytest.mark.parametrize("status", [401, 403, 500])
def test_refusals_are_not_kept(status):
    web = Application()
    web.ask()
    web.answer(status)
    outcome = web.ask()
    web.answer(200, {"user": 1})
    assert outcome[0].user == "1"


def test_without_a_time_nothing_is_kept():
    web = Application(cache_seconds=0.0)
    web.ask()
    web.answer(200, {"user": 1})
    assert web.ask() == []


def test_the_cache_is_bounded():
    web = Application(cache_entries=3)
    for number in range(6):
        web.ask(f"a={number}")
        web.answer(200, {"user": number})
    assert len(web.callback._cache) == 3
    assert web.ask("a=5")[0].user == "5"
    assert web.ask("a=2") == []
    web.answer(200, {"user": 2})
    web.clock.advance(60)
    web.ask("a=9")
    web.answer(200, {"user": 9})
    assert len(web.callback._cache) == 1


def test_a_client_that_is_gone_does_not_affect_the_others():
    web = Application(at_once=1)
    gone = web.callback.identify(request())
    gone.addErrback(lambda failure: failure.trap(CancelledError))
    stays = web.ask()
    waiting = web.callback.identify(request("a=1"))
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    gone.cancel()
    waiting.cancel()
    web.answer(200, {"user": 1})
    assert stays[0].user == "1"
    # Nobody waits for the second one any more, so it is not asked.
    assert len(web.asked) == 1
    assert web.clock.getDelayedCalls() == []


def test_close_cancels_everything(log):
    web = Application(at_once=1)
    outcomes = [web.ask("a=1"), web.ask("a=2")]
    web.callback.close()
    assert [reason(outcome) for outcome in outcomes] == [CloseReason.AUTHENTICATION_UNAVAILABLE] * 2
    assert web.cancelled == 1
    assert web.clock.getDelayedCalls() == []
    assert log == []


def test_secrets_are_in_no_representation():
    web = Application()
    web.ask("PHPSESSID=s1")
    assert "s1" not in repr(list(web.callback._client._running))
    assert "s1" not in repr(HttpResponse(200, b"s1"))


# Over HTTP, with PHP as the web application.


def ask(url: str, *cookies: str, timeout: float = PATIENCE) -> tuple[list[Any], str]:
    """What comes of handshakes with these cookies, and what was logged."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.ask_callback", url, str(timeout), *cookies],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_php_session_is_who_logged_in(tmp_path):
    with php_server(tmp_path) as php:
        alice, guest = php.log_in("alice"), php.log_in("")
        outcomes, log = ask(php.url + "/who.php", alice, guest, "PHPSESSID=unknown", alice)
        assert outcomes == [
            {"user": "alice", "groups": ["staff"], "language": "de", "data": {"name": "alice"}},
            "authentication-forbidden",
            None,
            {"user": "alice", "groups": ["staff"], "language": "de", "data": {"name": "alice"}},
        ]
        assert "callback" not in log
        assert "Starting factory" not in log


@pytest.mark.parametrize(
    ("page", "words", "timeout"),
    [
        ("/broken.php", "status 500", PATIENCE),
        ("/redirect.php", "status 302", PATIENCE),
        ("/missing.php", "status 404", PATIENCE),
        ("/html.php", "not JSON", PATIENCE),
        ("/long.php", "longer than 65536 bytes", PATIENCE),
        ("/half.php", "the request failed", PATIENCE),
        ("/slow.php", "no response within 0.5 s", 0.5),
    ],
)
def test_a_php_page_that_does_not_answer_as_agreed(tmp_path, page, words, timeout):
    with php_server(tmp_path) as php:
        outcomes, log = ask(php.url + page, "PHPSESSID=secret7", timeout=timeout)
        assert outcomes == ["authentication-unavailable"]
        assert words in log
        assert "secret7" not in log
        assert "Traceback" not in log


def test_a_web_application_that_is_not_there():
    outcomes, log = ask("http://127.0.0.1:1/who.php", "PHPSESSID=secret7")
    assert outcomes == ["authentication-unavailable"]
    assert "the connection was refused" in log
    assert "secret7" not in log


def test_addresses_take_turns():
    web = Application(at_once=1, waiting=3)
    greedy = [web.ask(f"a={number}") for number in range(4)]
    other = web.ask("b=1", address="192.0.2.2")
    # The queue was full: the address with the most requests loses its newest.
    assert [bool(each) for each in greedy] == [False, False, False, True]
    for _ in range(4):
        web.answer()
    cookies = [cookie for _, cookie in web.asked]
    assert cookies == [b"a=0", b"a=1", b"b=1", b"a=2"]
    assert other[0].source == "callback"
