"""One App in the server.

Owns: which of its handlers runs when, and what its outcome is taken for.
Must not import: the edges; nor know how handlers are run (``runner``) or answered (``answers``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.apps.python import answers, json_values
from wampush.apps.python.app import AUTHENTICATION, DISCONNECTION, SYSTEM_ACTIONS, App
from wampush.apps.python.context import ConnectContext, Context
from wampush.apps.python.runner import End, Outcome
from wampush.apps.python.values import Refuse, WampError
from wampush.broker.pending import PASS, Verdict
from wampush.broker.requests.application import Decide, Reply
from wampush.broker.requests.procedures import ERROR_INVALID_ARGUMENT
from wampush.errors import AuthenticationRefused, CloseReason, Refusal
from wampush.topics import matches

if TYPE_CHECKING:
    from wampush.apps.python.answers import Answers
    from wampush.apps.python.context import Server, Session
    from wampush.apps.python.handlers import Handler
    from wampush.apps.python.runner import Runner
    from wampush.apps.python.sessions import Sessions
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect import ConnectAttempt
    from wampush.broker.subscriber import Subscriber
    from wampush.wamp.messages import Call, Publish, Subscribe

_log: Final = Logger(namespace="wampush")
_FAILED: Final = Verdict(Refusal.APPLICATION_FAILED)

Answering = Callable[["Subscriber", "Call", Reply], None]
"""Answers a call, now or later."""


class AppHost:
    """Asks one app; see ``Application`` for most of what it does.

    :param name: of the app, ``module:attribute``.
    :param app: what it has registered.
    :param server: does the work for its contexts.
    :param sessions: the clients, as apps know them.
    :param runner: runs its handlers.
    :param answers: makes answers of what came of them.
    :param connect_timeout: seconds for ``on_connect`` handlers without a limit of their own.
    """

    def __init__(
        self,
        name: str,
        app: App,
        server: Server,
        sessions: Sessions,
        runner: Runner,
        answers: Answers,
        connect_timeout: float,
    ) -> None:
        registered = app.registered
        self.name: Final = name
        self.registered: Final = registered
        self._server = server
        self._sessions = sessions
        self._runner = runner
        self._answers = answers
        self._connect_timeout = connect_timeout
        self._log = Logger(namespace=name.partition(":")[0])
        #: What it answers besides, by URI.
        self.other_calls: Mapping[str, Answering] = {}
        self.judges_connecting: Final = bool(registered.connect)
        self.judges_subscribing: Final = bool(registered.subscribe)
        self.judges_publishing: Final = bool(registered.publish)

    @property
    def reserved(self) -> Iterator[str]:
        """The topics that clients may not publish on: what comes there is the app's word."""
        for name in self.registered.actions:
            yield _error_topic(name)
            if name in SYSTEM_ACTIONS:
                yield name

    def has_procedure(self, uri: str) -> bool:
        """Whether it answers calls of this URI."""
        return uri in self.registered.procedures or uri in self.other_calls

    def has_action(self, topic: str) -> bool:
        """Whether what clients publish on this topic is an action of this app."""
        return topic in self.registered.actions and topic not in SYSTEM_ACTIONS

    # Sessions.

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        """A client wants in, see ``edges/doorkeeper.py``."""
        return Deferred.fromCoroutine(self._connecting(arrival))

    def on_open(self, subscriber: Subscriber) -> None:
        """A session has got its WELCOME."""
        if subscriber.identity.user is not None:
            self._authenticated(subscriber)

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """A session has become somebody else, or has a fresh proof of who it is."""
        identity = subscriber.identity
        # A fresh proof of the same tells nothing new.
        if identity.user is not None and replace(before, expires=identity.expires) != identity:
            self._authenticated(subscriber)

    def on_lost(self, subscriber: Subscriber) -> None:
        """A session has ended; the handlers that hear of it are not cancelled."""
        action = self.registered.actions.get(DISCONNECTION)
        if not self.registered.disconnect and action is None:
            return
        context = self._context(self._sessions.left(subscriber))
        peer = subscriber.peer
        reason = (peer and peer.ended) or CloseReason.PEER_LOST
        for handler in self.registered.disconnect:
            done = partial(self._noted, handler, context.session)
            self._runner.start(handler, (context, reason.code), done, convert=answers.as_nothing)
        if action is not None:
            done = partial(self._noted, action, context.session)
            self._runner.start(action, (context, None), done)

    # Requests.

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """A client that may subscribe wants to."""
        handlers = _about(request.topic, self.registered.subscribe)
        if handlers:
            self._decide(self._subscribing(subscriber, request.topic, handlers), decide)
        else:
            decide(PASS)

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """A client that may publish wants to."""
        handlers = _about(request.topic, self.registered.publish)
        if handlers:
            self._decide(self._publishing(subscriber, request, handlers), decide)
        else:
            decide(PASS)

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """A client that may call a procedure does."""
        other = self.other_calls.get(call.procedure)
        if other is not None:
            other(subscriber, call, reply)
            return
        handler = self.registered.procedures[call.procedure]
        misfit = handler.arguments.misfit(len(call.arguments))
        if misfit is not None:
            speaker = subscriber.session
            words = f"{call.procedure}: {misfit}"
            reply(speaker.error(call.call_id, ERROR_INVALID_ARGUMENT, words))
            return
        context = self._context(self._sessions.of(subscriber))
        done = partial(self._called, handler, context.session, subscriber, call, reply)
        arguments = (context, *call.arguments)
        self._runner.start(handler, arguments, done, owner=subscriber, convert=answers.as_result)

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """A client has sent an action."""
        details = json_values.parsed(request.event)
        self._act(subscriber, request.topic, details, done)

    # Who clients are.

    def cra_secret(self, subscriber: Subscriber, name: str) -> Deferred[Outcome]:
        """The outcome of the app's ``cra_key``: a CraSecret, or None for no such key."""
        context = self._context(self._sessions.of(subscriber))
        handler = self._cra_handler()
        return self._runner.ask(
            handler, (context, name), owner=subscriber, convert=answers.as_secret
        )

    def cra_incident(self, subscriber: Subscriber, failure: Failure) -> str:
        """Log what ``cra_key`` has raised; give the words about it that may go to clients."""
        session = self._sessions.of(subscriber)
        return self._answers.incident(self._cra_handler(), session, failure)

    def _cra_handler(self) -> Handler:
        keys = self.registered.cra_keys
        if keys is None:
            raise LookupError(f"{self.name} has no cra_key")
        return keys.handler

    # Their ways.

    def _context(self, session: Session) -> Context:
        return Context(self._server, session, self._log)

    async def _connecting(self, arrival: ConnectAttempt) -> None:
        session = self._sessions.arriving(arrival)
        context = ConnectContext(self._server, session, self._log, arrival.request)
        for handler in self.registered.connect:
            outcome = await self._runner.ask(
                handler, (context,), convert=answers.as_nothing, timeout=self._connect_timeout
            )
            if outcome.end is End.CANCELLED:
                raise CancelledError
            verdict = self._answers.verdict(handler, session, outcome)
            if verdict.refusal is Refusal.APPLICATION_REFUSED:
                raise AuthenticationRefused(CloseReason.CONNECT_REFUSED, verdict.detail)
            if verdict.refusal is not None:
                raise AuthenticationRefused(CloseReason.CONNECT_UNDECIDED)
            if session.ending is not None:
                raise AuthenticationRefused(CloseReason.CONNECT_REFUSED, session.ending)

    def _authenticated(self, subscriber: Subscriber) -> None:
        handlers = self.registered.authenticated
        if handlers:
            context = self._context(self._sessions.of(subscriber))
            for handler in handlers:
                done = partial(self._welcomed, handler, context.session)
                self._runner.start(
                    handler, (context,), done, owner=subscriber, convert=answers.as_nothing
                )
        if AUTHENTICATION in self.registered.actions:
            self._act(subscriber, AUTHENTICATION, None, _nothing)

    def _decide(self, verdict: Coroutine[Any, Any, Verdict], decide: Decide) -> None:
        decided = Deferred.fromCoroutine(verdict)
        decided.addErrback(_defect).addCallback(decide)

    async def _subscribing(
        self, subscriber: Subscriber, topic: str, handlers: Sequence[Handler]
    ) -> Verdict:
        for handler in handlers:
            verdict = await self._judge(subscriber, handler, (topic,), answers.as_nothing)
            if verdict.refusal is not None:
                return verdict
        return PASS

    async def _publishing(
        self, subscriber: Subscriber, request: Publish, handlers: Sequence[Handler]
    ) -> Verdict:
        rewritten: bytes | None = None
        for handler in handlers:
            arguments = (request.topic, json_values.parsed(rewritten or request.event))
            verdict = await self._judge(subscriber, handler, arguments, answers.as_rewrite)
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
        context = self._context(self._sessions.of(subscriber))
        outcome = await self._runner.ask(
            handler, (context, *arguments), owner=subscriber, convert=convert
        )
        verdict = self._answers.verdict(handler, context.session, outcome)
        _end_if_asked(context.session, outcome)
        return verdict

    def _called(
        self,
        handler: Handler,
        session: Session,
        subscriber: Subscriber,
        call: Call,
        reply: Reply,
        outcome: Outcome,
    ) -> None:
        reply(self._answers.of_call(handler, session, subscriber, call, outcome))
        _end_if_asked(session, outcome)

    def _act(
        self, subscriber: Subscriber, name: str, details: Any, done: Callable[[], None]
    ) -> None:
        handler = self.registered.actions[name]
        context = self._context(self._sessions.of(subscriber))
        acted = partial(self._acted, handler, context.session, subscriber, name, done)
        self._runner.start(
            handler, (context, details), acted, owner=subscriber, convert=answers.as_event
        )

    def _acted(
        self,
        handler: Handler,
        session: Session,
        subscriber: Subscriber,
        name: str,
        done: Callable[[], None],
        outcome: Outcome,
    ) -> None:
        topic, payload = name, outcome.value
        if outcome.end is not End.RETURNED:
            topic = _error_topic(name)
            payload = self._answers.of_action(handler, session, outcome)
        if payload is not None and session.is_open:
            self._server.broker.send(subscriber, topic, payload)
        done()
        _end_if_asked(session, outcome)

    def _welcomed(self, handler: Handler, session: Session, outcome: Outcome) -> None:
        self._noted(handler, session, outcome)
        error = outcome.failure and outcome.failure.value
        if isinstance(error, Refuse):
            session.end(error.reason)
        _end_if_asked(session, outcome)

    def _noted(self, handler: Handler, session: Session, outcome: Outcome) -> None:
        """Nobody waits for it: an error is logged, and that is all."""
        failure = outcome.failure
        if failure is not None and not isinstance(failure.value, Refuse | WampError):
            self._answers.incident(handler, session, failure)


def _about(topic: str, handlers: Sequence[Handler]) -> Sequence[Handler]:
    return [handler for handler in handlers if matches(handler.match, topic)]


def _error_topic(name: str) -> str:
    return f"{name}:error"


def _end_if_asked(session: Session, outcome: Outcome) -> None:
    error = outcome.failure and outcome.failure.value
    if isinstance(error, WampError) and error.end_session:
        session.end(error.desc)


def _defect(failure: Failure) -> Verdict:
    """A defect of ours: decided all the same."""
    _log.failure("application code could not be asked", failure)
    return _FAILED


def _nothing() -> None:
    """Nobody waits."""
