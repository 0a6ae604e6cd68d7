"""Webhooks: an application in any language decides, answers calls and hears of ends, over HTTP.

Owns: what is asked when, and what an answer or its lack means for a client.
Must not import: the edges, the Python apps. How it is asked is the business of ``webhooks.desk``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic, time
from typing import Any, Final

import orjson
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from wampush.apps.webhooks import answers
from wampush.apps.webhooks import requests as questions
from wampush.apps.webhooks.answers import CallAnswer, Decision, Push
from wampush.apps.webhooks.disconnects import Disconnects
from wampush.apps.webhooks.dispatcher import Dispatcher, Pending, Report
from wampush.apps.webhooks.requests import SIGNATURE_HEADER, Question, signature
from wampush.broker.identity import Identity
from wampush.broker.pending import PASS, Verdict
from wampush.broker.requests.application import Decide, Reply
from wampush.broker.requests.connect import ConnectAttempt
from wampush.broker.requests.procedures import ERROR_INVALID_ARGUMENT
from wampush.broker.subscriber import Subscriber
from wampush.config.tables.webhooks import WebhookSettings
from wampush.errors import (
    AuthenticationRefused,
    CloseReason,
    NotSerialisable,
    PushRefused,
    Refusal,
)
from wampush.net.http_post import Answer
from wampush.topics import is_reserved, matches
from wampush.wamp.messages import Call, Publish, Subscribe
from wampush.wamp.uris import ERROR_FORBIDDEN, ERROR_GENERIC, ERROR_UNAVAILABLE

_REWRITING: Final = partial(answers.decision, rewrites=True)
_UNDECIDED: Final = Verdict(Refusal.APPLICATION_FAILED)

Post = Callable[[bytes, bytes, Mapping[str, str]], Deferred[Answer]]
"""Sends a body, a Cookie header and further headers; cancelling it drops the connection."""

PublishPush = Callable[[Sequence[bytes], str], Deferred[int]]
"""Publishes the parts of a push; the string says where it came from. Fails with PushRefused."""


class Webhooks:
    """Asks the application of ``[webhooks]``; one implementation of ``Application``, and of the
    edge's ``Doorkeeper``.

    :param settings: the ``[webhooks]`` table.
    :param secret: signs each POST.
    :param post: how one is sent.
    :param publish: gets what answers ask to be published.
    :param clock: the reactor, for timers.
    :param now: seconds of a clock that only goes forward.
    :param wall: seconds since the epoch.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        secret: bytes,
        post: Post,
        publish: PublishPush,
        clock: Any,
        now: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._settings = settings
        #: A new one signs from the next POST on.
        self.secret = secret
        self._post = post
        self._push = publish
        self._wall = wall
        self._events = frozenset(settings.events)
        report = Report(settings.url, now)
        asked = [event for event in settings.events if event != "disconnect"]
        self._desk = Dispatcher(settings, self._send, clock.callLater, now, report, asked)
        self._departures = Disconnects(
            settings, self._send, clock, now, wall, report, self._publish
        )

    # What is asked at all.

    @property
    def judges_connecting(self) -> bool:
        """Whether :meth:`connecting` has to be asked."""
        return "connect" in self._events

    @property
    def judges_subscribing(self) -> bool:
        """Whether :meth:`subscribing` has to be asked."""
        return "subscribe" in self._events

    @property
    def judges_publishing(self) -> bool:
        """Whether :meth:`publishing` has to be asked."""
        return "publish" in self._events

    def has_procedure(self, uri: str) -> bool:
        """Whether calls of this URI are POSTed."""
        return not is_reserved(uri) and self._is_covered(uri, self._settings.procedures)

    def has_action(self, topic: str) -> bool:
        """There are none: an application that is asked over HTTP gets calls."""
        return False

    # Sessions.

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        """A client wants in, see ``edges/doorkeeper.py``."""
        if not self.judges_connecting:
            return succeed(None)
        question = questions.connecting(arrival, self._settings.cookies, self._wall())
        entry = _Entry(self._desk, self._settings, partial(self._entered, arrival))
        return entry.ask(question)

    def on_open(self, subscriber: Subscriber) -> None:
        """Nothing is told: who may connect has been asked before."""

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """Nothing is told: each question says who asks."""

    def on_lost(self, subscriber: Subscriber) -> None:
        """A session has ended: what was asked for it is given up, and its end will be told."""
        self._desk.cancel_all_of(subscriber)
        reason = None if subscriber.peer is None else subscriber.peer.ended
        self._tell_end(subscriber, reason or CloseReason.PEER_LOST)

    # Requests.

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """A client that may subscribe wants to."""
        if not self._is_covered(request.topic, self._settings.topics):
            decide(PASS)
            return
        question = questions.subscribing(subscriber, request, self._wall())
        self._ask(subscriber, question, answers.decision, partial(self._decided, decide))

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """A client that may publish wants to."""
        if not self._is_covered(request.topic, self._settings.topics):
            decide(PASS)
            return
        question = questions.publishing(subscriber, request, self._wall())
        self._ask(subscriber, question, _REWRITING, partial(self._decided, decide))

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """A client that may call a procedure does."""
        try:
            question = questions.calling(subscriber, call, self._wall())
        except NotSerialisable:
            words = "the arguments are nested too deeply"
            reply(subscriber.session.error(call.call_id, ERROR_INVALID_ARGUMENT, words))
            return
        # Not the call, whose arguments may take much more memory than the question.
        done = partial(self._called, subscriber, call.call_id, reply)
        self._ask(subscriber, question, answers.call_answer, done)

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """There are no actions, see :meth:`has_action`."""
        done()

    # The node.

    def status(self) -> Mapping[str, object]:
        """How it is, for a health check."""
        breakers = {event: each.state.value for event, each in self._desk.breakers.items()}
        if "disconnect" in self._events:
            breakers["disconnect"] = self._departures.breaker.state.value
        return {
            "breakers": breakers,
            "running": self._desk.running,
            "waiting": self._desk.waiting,
            "disconnects_waiting": self._departures.waiting,
            "disconnects_dropped": self._departures.dropped,
        }

    def stop(self, patience: float) -> Deferred[None]:
        """Give up all questions; tell which sessions have ended.

        :param patience: seconds for the latter.
        """
        self._desk.close()
        return self._departures.stop(patience)

    # Sending.

    @staticmethod
    def _is_covered(uri: str, patterns: Sequence[str]) -> bool:
        return any(matches(pattern, uri) for pattern in patterns)

    def _ask(
        self,
        subscriber: Subscriber,
        question: Question,
        read: Callable[[Answer], Any],
        done: Callable[[Any], None],
    ) -> None:
        self._desk.ask(question, read, done, self._settings.timeout, subscriber)

    def _send(self, question: Question) -> Deferred[Answer]:
        # Signed with the time of sending, so that waiting does not make it look old.
        signed = signature(self.secret, int(self._wall()), question.body)
        return self._post(question.body, question.cookie, {SIGNATURE_HEADER: signed})

    def _publish(self, pushes: Sequence[Push]) -> None:
        for push in pushes:
            # The ledger has counted and logged what is refused.
            self._push(push, self._settings.url).addErrback(_expected)

    # Answers.

    def _entered(
        self, arrival: ConnectAttempt, reason: CloseReason | None, decision: Decision | None
    ) -> None:
        """What became of a client that wanted in.

        :param reason: why it is not there although the application may think so.
        """
        if reason is not None and arrival.subscriber is not None:
            self._tell_end(arrival.subscriber, reason)
        self._publish(() if decision is None else decision.pushes)

    def _tell_end(self, subscriber: Subscriber, reason: CloseReason) -> None:
        if "disconnect" in self._events:
            entry = questions.departure(subscriber, reason, self._wall())
            self._departures.add(entry)

    def _decided(self, decide: Decide, decision: Decision | None) -> None:
        if decision is None:
            decide(PASS if self._settings.when_down == "allow" else _UNDECIDED)
            return
        if decision.allow:
            decide(Verdict(payload=decision.payload))
        else:
            decide(Verdict(Refusal.APPLICATION_REFUSED, decision.reason))
        self._publish(decision.pushes)

    def _called(
        self, subscriber: Subscriber, call_id: str, reply: Reply, answer: CallAnswer | None
    ) -> None:
        reply(_text_of(subscriber, call_id, answer))
        if answer is None:
            return
        self._publish(answer.pushes)
        if answer.end_session and subscriber.peer is not None:
            subscriber.peer.end(CloseReason.ENDED_BY_APPLICATION)


class _Entry:
    """One client that wants in, and the question about it.

    :param then: gets why the client is not let in although the application may think so (None where
        it is, or where the application has refused it itself), and the decision.
    """

    def __init__(
        self,
        desk: Dispatcher,
        settings: WebhookSettings,
        then: Callable[[CloseReason | None, Decision | None], None],
    ) -> None:
        self._desk = desk
        self._settings = settings
        self._then = then
        self._decided: Deferred[None] = Deferred(self._forget)
        self._pending: Pending[Decision] | None = None

    def ask(self, question: Question) -> Deferred[None]:
        """Ask about it; what is returned is as ``Doorkeeper.connecting`` wants it."""
        timeout = self._settings.connect_timeout
        self._pending = self._desk.ask(question, answers.decision, self._done, timeout)
        return self._decided

    def _forget(self, decided: Deferred[None]) -> None:
        decided.errback(CancelledError())
        if self._pending is not None:
            self._desk.cancel(self._pending)

    def _done(self, decision: Decision | None) -> None:
        decided = self._decided
        was_sent = self._pending is not None and self._pending.sent is not None
        reason: CloseReason | None = None
        if decided.called:
            reason = CloseReason.PEER_LOST
        elif decision is None and self._settings.when_down == "refuse":
            reason = CloseReason.CONNECT_UNDECIDED
            decided.errback(AuthenticationRefused(reason))
        elif decision is None or decision.allow:
            decided.callback(None)
        else:
            refused = AuthenticationRefused(CloseReason.CONNECT_REFUSED, decision.reason)
            decided.errback(refused)
        self._then(reason if was_sent else None, decision)


def _text_of(subscriber: Subscriber, call_id: str, answer: CallAnswer | None) -> bytes:
    """The CALLRESULT or CALLERROR for an answer."""
    session = subscriber.session
    if answer is None:
        words = "the application gave no usable answer; try again later"
        return session.error(call_id, ERROR_UNAVAILABLE, words)
    if answer.forbidden is not None:
        words = answer.forbidden or Refusal.APPLICATION_REFUSED.sentence
        return session.error(call_id, ERROR_FORBIDDEN, words)
    failure = answer.failure
    if failure is None:
        return session.result(call_id, orjson.Fragment(answer.result))
    details = None if failure.details is None else orjson.Fragment(failure.details)
    return session.error(call_id, failure.uri or ERROR_GENERIC, failure.description, details)


def _expected(failure: Failure) -> None:
    failure.trap(PushRefused)
