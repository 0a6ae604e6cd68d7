"""Webhooks: an application in any language decides, answers calls and is notified, over HTTP.

Owns: when the application is asked, and what its response, or the lack of one, means for a client.
Must not import: the edges, the Python apps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic, time
from typing import Any, Final

import orjson
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.apps.webhooks import requests, responses
from wampush.apps.webhooks.connect_decision import ConnectDecision
from wampush.apps.webhooks.disconnects import EndedSessions
from wampush.apps.webhooks.dispatcher import Dispatcher
from wampush.apps.webhooks.notifications import Notifications
from wampush.apps.webhooks.requests import SIGNATURE_HEADER, WebhookRequest, signature
from wampush.apps.webhooks.responses import CallResponse, HookDecision, Push
from wampush.apps.webhooks.topic_occupancy import OccupancyChanges
from wampush.broker.identity import Identity
from wampush.broker.pending import PASS, Verdict
from wampush.broker.requests.application import Decide, Reply
from wampush.broker.requests.connect_request import ConnectAttempt
from wampush.broker.requests.procedures import ERROR_INVALID_ARGUMENT
from wampush.broker.subscriber import Subscriber
from wampush.config.tables.webhooks import WebhookSettings
from wampush.errors import CloseReason, NotSerialisable, PushRefused, Refusal
from wampush.net.addresses import counting_key
from wampush.net.failure_sources import FailureSource
from wampush.net.http_post import HttpResponse
from wampush.net.outgoing_request_log import RequestLog
from wampush.topics import is_reserved, matches
from wampush.wamp.messages import Call, Publish, Subscribe
from wampush.wamp.uris import ERROR_FORBIDDEN, ERROR_GENERIC, ERROR_UNAVAILABLE

_log = Logger(namespace="wampush.webhooks")

_OCCUPANCY: Final = ("occupied", "vacated")
#: Events for which nobody waits.
NOTIFICATIONS: Final = ("disconnect", *_OCCUPANCY)
_REWRITING: Final = partial(responses.decision, rewrites=True)
_UNDECIDED: Final = Verdict(Refusal.APPLICATION_FAILED)

Post = Callable[[bytes, bytes, Mapping[str, str]], Deferred[HttpResponse]]
"""Sends a body, a Cookie header and further headers; cancelling drops the connection."""

PublishPush = Callable[[Sequence[bytes], str], Deferred[Any]]
"""Publishes a push, given its parts and its origin. Fails with PushRefused."""


class Webhooks:
    """The application of ``[webhooks]``, as the broker and the connect hook see it.

    :param settings: the ``[webhooks]`` table.
    :param secret: signs each POST.
    :param post: sends one.
    :param publish: publishes what responses ask for.
    :param clock: ``IReactorTime``.
    :param now: seconds of a clock that never goes back.
    :param wall: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        settings: WebhookSettings,
        secret: bytes,
        post: Post,
        publish: PublishPush,
        clock: Any,
        now: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._post = post
        self._push = publish
        self._wall = wall
        self._events = frozenset(settings.events)
        log = RequestLog(_log, "webhooks", settings.url, now)
        self._dispatcher = Dispatcher(
            settings=settings,
            send=self._send,
            call_later=clock.callLater,
            now=now,
            log=log,
            events=[event for event in settings.events if event not in NOTIFICATIONS],
        )
        notifications = partial(
            Notifications,
            batch=settings.disconnect_batch,
            settings=settings,
            send=self._send,
            clock=clock,
            now=now,
            wall=wall,
            log=log,
            publish=self._publish,
        )
        self._ended = EndedSessions(settings.disconnect_waiting, settings.disconnect_batch)
        self._disconnects = notifications(event="disconnect", noun="disconnects", queue=self._ended)
        wanted = {event == "occupied" for event in _OCCUPANCY if event in self._events}
        self._topics = OccupancyChanges(wanted, settings.disconnect_batch)
        self._occupancy = notifications(event="occupied/vacated", noun="topics", queue=self._topics)

    def replace_secret(self, secret: bytes) -> None:
        """Sign with another secret from the next POST on."""
        self._secret = secret

    # What the application is asked.

    @property
    def judges_connecting(self) -> bool:
        """Whether :meth:`connecting` has to be called."""
        return "connect" in self._events

    @property
    def judges_subscribing(self) -> bool:
        """Whether :meth:`subscribing` has to be called."""
        return "subscribe" in self._events

    @property
    def judges_publishing(self) -> bool:
        """Whether :meth:`publishing` has to be called."""
        return "publish" in self._events

    def has_procedure(self, uri: str) -> bool:
        """Whether the application answers calls of this URI."""
        return not is_reserved(uri) and self._is_covered(uri, self._settings.procedures)

    def has_action(self, topic: str) -> bool:
        """Return False: webhooks have calls, but no actions."""
        return False

    # Sessions.

    def connecting(self, attempt: ConnectAttempt) -> Deferred[None]:
        """Ask whether a client may connect.

        :returns: fires when it may; fails with AuthenticationRefused when not. Cancelling it
            withdraws the request.
        """
        if not self.judges_connecting:
            return succeed(None)
        request = requests.connect(attempt, self._settings.cookies, self._wall())
        on_decided = partial(self._on_connect_decided, attempt)
        decision = ConnectDecision(self._dispatcher, self._settings.when_down, on_decided)
        return decision.ask(request, self._settings.connect_timeout, attempt.address)

    def on_open(self, subscriber: Subscriber) -> None:
        """Do nothing: the application has decided about the connection before."""

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """Do nothing: each request contains the identity."""

    def on_lost(self, subscriber: Subscriber) -> None:
        """Cancel the requests of a session that has ended, and notify the application."""
        self._dispatcher.cancel_all_of(subscriber)
        reason = None if subscriber.peer is None else subscriber.peer.ended
        self._add_disconnect(subscriber, reason or CloseReason.PEER_LOST)

    # Topics.

    @property
    def watches_topics(self) -> bool:
        """Whether :meth:`on_topic` has to be called."""
        return any(event in self._events for event in _OCCUPANCY)

    def on_topic(self, topic: str, is_occupied: bool) -> None:
        """Notify the application of a topic that is occupied or vacated."""
        self._topics.add(topic, is_occupied)
        self._occupancy.on_queued()

    # Requests of clients.

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """Ask whether a client may subscribe."""
        if not self._is_covered(request.topic, self._settings.topics):
            decide(PASS)
            return
        asked = requests.subscribe(subscriber, request, self._wall())
        self._ask(subscriber, asked, responses.decision, partial(self._on_decided, decide))

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """Ask whether a client may publish, and with which payload."""
        if not self._is_covered(request.topic, self._settings.topics):
            decide(PASS)
            return
        asked = requests.publish(subscriber, request, self._wall())
        self._ask(subscriber, asked, _REWRITING, partial(self._on_decided, decide))

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """Ask for the result of a call."""
        try:
            asked = requests.call(subscriber, call, self._wall())
        except NotSerialisable:
            description = "the arguments are nested too deeply"
            reply(subscriber.session.error(call.call_id, ERROR_INVALID_ARGUMENT, description))
            return
        # Keeps the id only: the arguments may take much more memory than the request.
        done = partial(self._on_called, subscriber, call.call_id, reply)
        self._ask(subscriber, asked, responses.call_response, done)

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """Do nothing: there are no actions, see :meth:`has_action`."""
        done()

    # The node.

    def status(self) -> Mapping[str, object]:
        """Return the state of the breakers and queues, for a health check."""
        breakers = {event: each.state.value for event, each in self._dispatcher.breakers.items()}
        if "disconnect" in self._events:
            breakers["disconnect"] = self._disconnects.breaker.state.value
        for event in _OCCUPANCY:
            if event in self._events:
                breakers[event] = self._occupancy.breaker.state.value
        return {
            "breakers": breakers,
            "held_clients": sum(each.held for each in self._dispatcher.breakers.values()),
            "running": self._dispatcher.running,
            "waiting": self._dispatcher.queued,
            "disconnects_waiting": self._disconnects.queued,
            "disconnects_dropped": self._disconnects.dropped,
            "topics_waiting": self._occupancy.queued,
            "topics_dropped": self._occupancy.dropped,
        }

    def stop(self, patience: float) -> Deferred[None]:
        """Cancel all requests, and send the notifications that are left.

        :param patience: seconds for the notifications.
        """
        self._dispatcher.close()
        stopped = [self._disconnects.stop(patience), self._occupancy.stop(patience)]
        return gatherResults(stopped).addCallback(lambda _: None)

    # Sending.

    @staticmethod
    def _is_covered(uri: str, patterns: Sequence[str]) -> bool:
        return any(matches(pattern, uri) for pattern in patterns)

    def _ask(
        self,
        subscriber: Subscriber,
        request: WebhookRequest,
        read: Callable[[HttpResponse], Any],
        done: Callable[[Any], None],
    ) -> None:
        address = "" if subscriber.peer is None else subscriber.peer.address
        self._dispatcher.dispatch(
            request,
            read,
            done,
            self._settings.timeout,
            owner=subscriber,
            source=FailureSource(subscriber.session_id, counting_key(address)),
        )

    def _send(self, request: WebhookRequest) -> Deferred[HttpResponse]:
        # Signed with the time of sending, so that time in the queue does not make it look old.
        signed = signature(self._secret, int(self._wall()), request.body)
        return self._post(request.body, request.cookie, {SIGNATURE_HEADER: signed})

    def _publish(self, pushes: Sequence[Push]) -> None:
        for push in pushes:
            # The ledger has counted and logged the refusal.
            self._push(push, self._settings.url).addErrback(_ignore_refusal)

    # Responses.

    def _on_connect_decided(
        self, attempt: ConnectAttempt, reason: CloseReason | None, decision: HookDecision | None
    ) -> None:
        """Notify the application of a client that is not connected although it may think so.

        :param reason: why it is not connected; None when there is nothing to notify of.
        """
        if reason is not None and attempt.subscriber is not None:
            self._add_disconnect(attempt.subscriber, reason)
        self._publish(() if decision is None else decision.pushes)

    def _add_disconnect(self, subscriber: Subscriber, reason: CloseReason) -> None:
        if "disconnect" in self._events:
            ended = requests.ended_session(subscriber, reason, self._wall())
            if not self._ended.add(ended):
                self._disconnects.on_full(self._settings.disconnect_waiting)
            self._disconnects.on_queued()

    def _on_decided(self, decide: Decide, decision: HookDecision | None) -> None:
        if decision is None:
            decide(PASS if self._settings.when_down == "allow" else _UNDECIDED)
            return
        if decision.allow:
            decide(Verdict(payload=decision.payload))
        else:
            decide(Verdict(Refusal.APPLICATION_REFUSED, decision.reason))
        self._publish(decision.pushes)

    def _on_called(
        self, subscriber: Subscriber, call_id: str, reply: Reply, response: CallResponse | None
    ) -> None:
        reply(_reply_text(subscriber, call_id, response))
        if response is None:
            return
        self._publish(response.pushes)
        if response.end_session and subscriber.peer is not None:
            subscriber.peer.end(CloseReason.ENDED_BY_APPLICATION)


def _reply_text(subscriber: Subscriber, call_id: str, response: CallResponse | None) -> bytes:
    """Return the CALLRESULT or CALLERROR for a response."""
    session = subscriber.session
    if response is None:
        description = "the application gave no usable response; try again later"
        return session.error(call_id, ERROR_UNAVAILABLE, description)
    if response.forbidden is not None:
        description = response.forbidden or Refusal.APPLICATION_REFUSED.sentence
        return session.error(call_id, ERROR_FORBIDDEN, description)
    failure = response.failure
    if failure is None:
        return session.result(call_id, orjson.Fragment(response.result))
    details = None if failure.details is None else orjson.Fragment(failure.details)
    return session.error(call_id, failure.uri or ERROR_GENERIC, failure.description, details)


def _ignore_refusal(failure: Failure) -> None:
    failure.trap(PushRefused)
