"""The host of one app: which of its handlers runs when, and what their outcomes mean.

Owns: the order of an app's handlers, and the effect of each outcome on the session.
Must not import: the edges; nor know how handlers are run (``runner``) or what clients see of
outcomes (``replies``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.apps.python import conversions, json_values
from wampush.apps.python.app import AUTHENTICATION, DISCONNECTION, SYSTEM_ACTIONS, App
from wampush.apps.python.runner import Outcome, RunState
from wampush.apps.python.values import Refuse, WampError
from wampush.broker.pending import PASS, Verdict
from wampush.broker.requests.application import Decide, Reply
from wampush.broker.requests.procedures import ERROR_INVALID_ARGUMENT
from wampush.errors import AuthenticationRefused, CloseReason, Refusal
from wampush.topics import matches

if TYPE_CHECKING:
    from wampush.apps.python.context_factory import Contexts
    from wampush.apps.python.cra_hook import CallHandler
    from wampush.apps.python.handlers import Handler
    from wampush.apps.python.replies import Replies
    from wampush.apps.python.runner import Runner
    from wampush.apps.python.server_api import Publisher
    from wampush.apps.python.session import Session
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect_request import ConnectAttempt
    from wampush.broker.subscriber import Subscriber
    from wampush.wamp.messages import Call, Publish, Subscribe

_log: Final = Logger(namespace="wampush.apps")
_FAILED: Final = Verdict(Refusal.APPLICATION_FAILED)
_NO_CALLS: Final[Mapping[str, CallHandler]] = MappingProxyType({})


class AppHost:
    """Runs the handlers of one app; see ``Application`` for most of its methods.

    :param app: the app.
    :param contexts: creates the contexts of its handlers.
    :param runner: runs its handlers.
    :param replies: makes replies from their outcomes.
    :param publisher: sends the events that reply to actions.
    :param connect_timeout: seconds for ``on_connect`` handlers without a limit of their own.
    :param other_calls: further procedures that it answers, by URI.
    """

    def __init__(
        self,
        *,
        app: App,
        contexts: Contexts,
        runner: Runner,
        replies: Replies,
        publisher: Publisher,
        connect_timeout: float,
        other_calls: Mapping[str, CallHandler] = _NO_CALLS,
    ) -> None:
        registered = app.registered
        self._registered = registered
        self._contexts = contexts
        self._runner = runner
        self._replies = replies
        self._publisher = publisher
        self._connect_timeout = connect_timeout
        self._other_calls = other_calls
        self.judges_connecting: Final = bool(registered.connect)
        self.judges_subscribing: Final = bool(registered.subscribe)
        self.judges_publishing: Final = bool(registered.publish)

    @property
    def reserved(self) -> Iterator[str]:
        """The topics on which only the app may publish."""
        for name in self._registered.actions:
            yield _error_topic(name)
            if name in SYSTEM_ACTIONS:
                yield name

    def has_procedure(self, uri: str) -> bool:
        """Whether the app answers calls of this URI."""
        return uri in self._registered.procedures or uri in self._other_calls

    def has_action(self, topic: str) -> bool:
        """Whether publications of clients on this topic are actions of the app."""
        return topic in self._registered.actions and topic not in SYSTEM_ACTIONS

    # Sessions.

    def connecting(self, attempt: ConnectAttempt) -> Deferred[None]:
        """Decide about a client that connects.

        :returns: fires when it may; fails with AuthenticationRefused when not.
        """
        return Deferred.fromCoroutine(self._connecting(attempt))

    def on_open(self, subscriber: Subscriber) -> None:
        """Run the handlers about a session that has got its WELCOME."""
        if subscriber.identity.user is not None:
            self._on_authenticated(subscriber)

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """Run the handlers about a session that has another identity, or a renewed one."""
        identity = subscriber.identity
        # An identity that only lasts longer is the same to the app.
        if identity.user is not None and replace(before, expires=identity.expires) != identity:
            self._on_authenticated(subscriber)

    def on_lost(self, subscriber: Subscriber) -> None:
        """Run the handlers about a session that has ended; these are not cancelled with it."""
        action = self._registered.actions.get(DISCONNECTION)
        if not self._registered.disconnect and action is None:
            return
        context = self._contexts.ended(subscriber)
        peer = subscriber.peer
        reason = (peer and peer.ended) or CloseReason.PEER_LOST
        for handler in self._registered.disconnect:
            done = partial(self._log_failure, handler, context.session)
            arguments = (context, reason.code)
            self._runner.start(handler, arguments, done, convert=conversions.as_nothing)
        if action is not None:
            done = partial(self._log_failure, action, context.session)
            self._runner.start(action, (context, None), done)

    # Requests of clients.

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """Decide about a subscription."""
        handlers = _matching(request.topic, self._registered.subscribe)
        if handlers:
            self._decide(self._subscribing(subscriber, request.topic, handlers), decide)
        else:
            decide(PASS)

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """Decide about a publication."""
        handlers = _matching(request.topic, self._registered.publish)
        if handlers:
            self._decide(self._publishing(subscriber, request, handlers), decide)
        else:
            decide(PASS)

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """Answer a call."""
        other = self._other_calls.get(call.procedure)
        if other is not None:
            other(subscriber, call, reply)
            return
        handler = self._registered.procedures[call.procedure]
        misfit = handler.arguments.misfit(len(call.arguments))
        if misfit is not None:
            description = f"{call.procedure}: {misfit}"
            reply(subscriber.session.error(call.call_id, ERROR_INVALID_ARGUMENT, description))
            return
        context = self._contexts.of(subscriber)
        done = partial(self._on_called, handler, context.session, subscriber, call, reply)
        arguments = (context, *call.arguments)
        self._runner.start(
            handler, arguments, done, owner=subscriber, convert=conversions.as_result
        )

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """Run an action of a client."""
        self._act(subscriber, request.topic, json_values.parsed(request.event), done)

    # Handlers.

    async def _connecting(self, attempt: ConnectAttempt) -> None:
        context = self._contexts.connecting(attempt)
        session = context.session
        for handler in self._registered.connect:
            outcome = await self._runner.ask(
                handler, (context,), convert=conversions.as_nothing, timeout=self._connect_timeout
            )
            if outcome.state is RunState.CANCELLED:
                raise CancelledError
            verdict = self._replies.verdict(handler, session, outcome)
            if verdict.refusal is Refusal.APPLICATION_REFUSED:
                raise AuthenticationRefused(CloseReason.CONNECT_REFUSED, verdict.detail)
            if verdict.refusal is not None:
                raise AuthenticationRefused(CloseReason.CONNECT_UNDECIDED)
            if session.end_reason is not None:
                raise AuthenticationRefused(CloseReason.CONNECT_REFUSED, session.end_reason)

    def _on_authenticated(self, subscriber: Subscriber) -> None:
        handlers = self._registered.authenticated
        if handlers:
            context = self._contexts.of(subscriber)
            for handler in handlers:
                done = partial(self._on_authenticated_done, handler, context.session)
                self._runner.start(
                    handler, (context,), done, owner=subscriber, convert=conversions.as_nothing
                )
        if AUTHENTICATION in self._registered.actions:
            self._act(subscriber, AUTHENTICATION, None, _do_nothing)

    def _on_authenticated_done(self, handler: Handler, session: Session, outcome: Outcome) -> None:
        self._log_failure(handler, session, outcome)
        error = outcome.failure and outcome.failure.value
        if isinstance(error, Refuse):
            session.end(error.reason)
        _end_if_asked(session, outcome)

    def _decide(self, verdict: Coroutine[Any, Any, Verdict], decide: Decide) -> None:
        decided = Deferred.fromCoroutine(verdict)
        decided.addErrback(_on_defect).addCallback(decide)

    async def _subscribing(
        self, subscriber: Subscriber, topic: str, handlers: Sequence[Handler]
    ) -> Verdict:
        for handler in handlers:
            verdict = await self._judge(subscriber, handler, (topic,), conversions.as_nothing)
            if verdict.refusal is not None:
                return verdict
        return PASS

    async def _publishing(
        self, subscriber: Subscriber, request: Publish, handlers: Sequence[Handler]
    ) -> Verdict:
        rewritten: bytes | None = None
        for handler in handlers:
            arguments = (request.topic, json_values.parsed(rewritten or request.event))
            verdict = await self._judge(subscriber, handler, arguments, conversions.as_rewrite)
            if verdict.refusal is not None:
                return verdict
            rewritten = verdict.payload or rewritten
        return Verdict(payload=rewritten)

    async def _judge(
        self,
        subscriber: Subscriber,
        handler: Handler,
        arguments: tuple[Any, ...],
        convert: Callable[[Any], object],
    ) -> Verdict:
        context = self._contexts.of(subscriber)
        outcome = await self._runner.ask(
            handler, (context, *arguments), owner=subscriber, convert=convert
        )
        verdict = self._replies.verdict(handler, context.session, outcome)
        _end_if_asked(context.session, outcome)
        return verdict

    def _on_called(
        self,
        handler: Handler,
        session: Session,
        subscriber: Subscriber,
        call: Call,
        reply: Reply,
        outcome: Outcome,
    ) -> None:
        reply(self._replies.to_call(handler, session, subscriber, call, outcome))
        _end_if_asked(session, outcome)

    def _act(
        self, subscriber: Subscriber, name: str, details: Any, done: Callable[[], None]
    ) -> None:
        handler = self._registered.actions[name]
        context = self._contexts.of(subscriber)
        acted = partial(self._on_acted, handler, context.session, subscriber, name, done)
        self._runner.start(
            handler, (context, details), acted, owner=subscriber, convert=conversions.as_event
        )

    def _on_acted(
        self,
        handler: Handler,
        session: Session,
        subscriber: Subscriber,
        name: str,
        done: Callable[[], None],
        outcome: Outcome,
    ) -> None:
        topic, payload = name, outcome.value
        if outcome.state is not RunState.RETURNED:
            topic = _error_topic(name)
            payload = self._replies.to_action(handler, session, outcome)
        if payload is not None and session.is_open:
            self._publisher.send(subscriber, topic, payload)
        done()
        _end_if_asked(session, outcome)

    def _log_failure(self, handler: Handler, session: Session, outcome: Outcome) -> None:
        failure = outcome.failure
        if failure is not None and not isinstance(failure.value, Refuse | WampError):
            self._replies.incident(handler, session, failure)


def _matching(topic: str, handlers: Sequence[Handler]) -> Sequence[Handler]:
    return [handler for handler in handlers if matches(handler.match, topic)]


def _error_topic(name: str) -> str:
    return f"{name}:error"


def _end_if_asked(session: Session, outcome: Outcome) -> None:
    error = outcome.failure and outcome.failure.value
    if isinstance(error, WampError) and error.end_session:
        session.end(error.desc)


def _on_defect(failure: Failure) -> Verdict:
    """Refuse the request: a defect of wampush must not leave it undecided."""
    _log.failure("could not ask application code", failure)
    return _FAILED


def _do_nothing() -> None:
    """Nobody waits for this action."""
