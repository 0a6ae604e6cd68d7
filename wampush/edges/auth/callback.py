"""Asks the web application who a client is.

Owns: the question and what its answer may be, how many questions run side by side, the memory of
answers. Must not import: Autobahn, the composition root.

A login of the web application works so without code here: the question carries the cookies of the
handshake, also as its own Cookie header, and the application answers as for any other request of
that browser. Nothing of a question or an answer gets into a log or an error.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.broker.identity import Identity
from wampush.broker.requests.connect import ConnectRequest
from wampush.config.tables.identity import CallbackSettings
from wampush.edges.auth.claims import Unusable, attributes_of, groups_of, language_of, name_of
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.log_limit import LogLimiter
from wampush.net.http_post import Answer, not_json, problem_of

_log = Logger(namespace="wampush")

_KEYS: Final = frozenset(("user", "groups", "language", "data", "session", "expires"))

Post = Callable[[bytes, bytes], Deferred[Answer]]
"""Sends a body and a Cookie header; cancelling it drops the connection."""


@dataclass(eq=False, slots=True)
class _Question:
    """What is asked once for all who ask the same at a time."""

    key: bytes = field(repr=False)
    body: bytes = field(repr=False)
    cookie: bytes = field(repr=False)
    askers: list[Deferred[Identity | None]]
    timer: Any = None
    running: Deferred[None] | None = None


class Callback:
    """Asks, one question for equal handshakes, a bounded number at once.

    :param settings: the ``[callback]`` table.
    :param post: how a question is sent.
    :param call_later: the reactor's.
    :param now: seconds, for the age of answers; need not be the time of day.
    """

    def __init__(
        self,
        settings: CallbackSettings,
        post: Post,
        call_later: Callable[..., Any],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._post = post
        self._call_later = call_later
        self._now = now
        self._known: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()
        self._open: dict[bytes, _Question] = {}
        self._waiting: deque[_Question] = deque()
        self._running = 0
        self._log_limiter = LogLimiter(now)

    def ask(self, request: ConnectRequest) -> Deferred[Identity | None]:
        """Who a client is; None when the web application does not know it (401).

        It fails with AuthenticationRefused when the web application forbids it (403), or does not
        give an answer that can be used.
        """
        body, cookie = self._written(request)
        if not body:
            return succeed(None)
        key = hashlib.sha256(body).digest()
        known = self._remembered(key)
        if known is not None:
            return succeed(known)
        question = self._open.get(key)
        if question is None:
            if self._is_full():
                self._complain(f"{self._settings.waiting} questions wait already")
                return fail(AuthenticationRefused(CloseReason.AUTHENTICATION_UNAVAILABLE))
            question = _Question(key, body, cookie, [])
            self._open[key] = question
            question.timer = self._call_later(self._settings.timeout, self._too_late, question)
            self._waiting.append(question)
        answer: Deferred[Identity | None] = Deferred(question.askers.remove)
        question.askers.append(answer)
        self._start()
        return answer

    def close(self) -> None:
        """Give up all questions."""
        self._waiting.clear()
        for question in list(self._open.values()):
            self._give_up(question, None)

    # The question.

    def _written(self, request: ConnectRequest) -> tuple[bytes, bytes]:
        """The body and the Cookie header; both empty when there is nothing to judge by."""
        names = self._settings.cookies
        cookies = {
            name: value for name, value in request.cookies.items() if not names or name in names
        }
        wanted = [name.lower() for name in self._settings.headers]
        headers = {name: request.headers[name] for name in wanted if name in request.headers}
        if not (cookies or headers or request.query):
            return b"", b""
        body = {
            "cookies": cookies,
            "headers": headers,
            "origin": request.headers.get("origin"),
            "query": request.query,
            "scheme": request.scheme,
        }
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return json.dumps(body).encode(), cookie.encode("latin-1", "replace")

    def _is_full(self) -> bool:
        waiting = len(self._open) - self._running
        return self._running >= self._settings.at_once and waiting >= self._settings.waiting

    def _start(self) -> None:
        while self._waiting and self._running < self._settings.at_once:
            question = self._waiting.popleft()
            if self._open.get(question.key) is not question:
                continue
            if not question.askers:
                self._forget(question)
                continue
            self._running += 1
            judged = self._post(question.body, question.cookie).addCallback(_judged)
            done: Deferred[None] = judged.addBoth(self._answered, question)
            if not done.called:
                question.running = done

    def _too_late(self, question: _Question) -> None:
        question.timer = None
        self._give_up(question, f"no answer within {self._settings.timeout:g} s")

    def _give_up(self, question: _Question, problem: str | None) -> None:
        self._forget(question)
        running, question.running = question.running, None
        if running is not None:
            running.cancel()
        if problem is not None:
            self._complain(problem)
        self._tell(question, AuthenticationRefused(CloseReason.AUTHENTICATION_UNAVAILABLE))

    def _forget(self, question: _Question) -> None:
        if self._open.get(question.key) is question:
            del self._open[question.key]
        if question.timer is not None:
            question.timer.cancel()
            question.timer = None

    # The answer.

    def _answered(self, result: Identity | Failure | None, question: _Question) -> None:
        self._running -= 1
        question.running = None
        if self._open.get(question.key) is question:
            self._forget(question)
            self._tell(question, self._outcome(result, question))
        self._start()

    def _outcome(
        self, result: Identity | Failure | None, question: _Question
    ) -> Identity | AuthenticationRefused | None:
        if not isinstance(result, Failure):
            if result is not None:
                self._remember(question.key, result)
            return result
        if isinstance(result.value, AuthenticationRefused):
            return result.value
        # Whatever went wrong with the web application, the client must not be let in.
        self._complain(
            str(result.value) if isinstance(result.value, Unusable) else problem_of(result)
        )
        return AuthenticationRefused(CloseReason.AUTHENTICATION_UNAVAILABLE)

    def _tell(self, question: _Question, outcome: Identity | AuthenticationRefused | None) -> None:
        askers = list(question.askers)
        question.askers.clear()
        for asker in askers:
            if isinstance(outcome, AuthenticationRefused):
                asker.errback(AuthenticationRefused(outcome.reason, outcome.detail))
            else:
                asker.callback(outcome)

    def _complain(self, problem: str) -> None:
        """Write a line for the operator, at most one a second."""
        more = self._log_limiter.suffix()
        if more is not None:
            _log.warn(
                "callback {url}: {problem}{more}",
                url=self._settings.url,
                problem=problem,
                more=more,
            )

    # The memory.

    def _remembered(self, key: bytes) -> Identity | None:
        until, identity = self._known.get(key, (-inf, None))
        return identity if self._now() < until else None

    def _remember(self, key: bytes, identity: Identity) -> None:
        seconds = self._settings.cache_seconds
        if not seconds:
            return
        now = self._now()
        self._known.pop(key, None)
        # All are kept equally long, so the oldest are the first to lapse.
        while self._known:
            oldest = next(iter(self._known))
            if len(self._known) < self._settings.cache_entries and self._known[oldest][0] > now:
                break
            del self._known[oldest]
        self._known[key] = (now + seconds, identity)


def _judged(answer: Answer) -> Identity | None:
    """Who the answer speaks of; None for nobody it knows.

    :raises AuthenticationRefused: when it forbids.
    :raises Unusable: when it is none of the agreed answers.
    """
    if answer.status == 401:
        return None
    if answer.status == 403:
        raise AuthenticationRefused(CloseReason.AUTHENTICATION_FORBIDDEN)
    if answer.status != 200:
        raise Unusable(f"it answered with status {answer.status}; 200, 401 and 403 are agreed.")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Unusable(f"{not_json(answer.body)}.") from None
    if not isinstance(document, dict):
        raise Unusable("its answer is no JSON object.")
    if document.keys() - _KEYS:
        raise Unusable(f"its answer has a key besides {', '.join(sorted(_KEYS))}.")
    return Identity(
        user=name_of(document.get("user"), "user"),
        groups=groups_of(document.get("groups")),
        web_session=name_of(document.get("session"), "session"),
        language=language_of(document.get("language"), "language"),
        data=attributes_of(document.get("data")),
        expires=_seconds(document.get("expires")),
        source="callback",
    )


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise Unusable("expires is no number of seconds since the epoch.")
    return float(value)
