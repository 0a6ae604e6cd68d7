"""A WAMP v1 client that stays connected: for the command line, for tests, for backends in Python.

Owns: one connection to a server, brought back with backoff; subscriptions, which survive it; calls
under way, which do not. Must not import: wampush.broker, wampush.edges, wampush.node.service.

What travels, in order (WAMP v1 specification)::

    WELCOME      the session is open; everything below waits for it
    PREFIX       each prefix again, because a new session knows none
    SUBSCRIBE    each topic that has a callback
    …            events, calls and their answers
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from enum import Enum, unique
from typing import TYPE_CHECKING, Any

import orjson
from twisted.application.internet import backoffPolicy
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.logger import Logger

from wampush.client.transport import Channel, Listener, reconnecting_service, without_secrets
from wampush.client.waiting import Calls, Waiters
from wampush.errors import MessageRefused, NotSerialisable, WampushError
from wampush.wamp import codec, messages
from wampush.wamp.messages import Event
from wampush.wamp.uris import WAMP1, Dialect

if TYPE_CHECKING:
    from twisted.internet.base import DelayedCall
    from twisted.internet.interfaces import IStreamClientEndpoint
    from twisted.python.failure import Failure

#: Seconds from the end of the WebSocket handshake to WELCOME; a WAMP v1 server sends it at once.
WELCOME_TIMEOUT = 10.0
EventCallback = Callable[[Event], object]


@unique
class ClientState(Enum):
    """What ``on_state`` is told."""

    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


class NotConnected(WampushError):
    """There is no open session at the moment; subscriptions are kept, other requests are not."""


class ServerRefused(WampushError):
    """The server refused the handshake, and trying again would not change that.

    :param status: the HTTP status of its answer.
    :param reason: why, in words.
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


class CallFailed(WampushError):
    """The server answered a call with CALLERROR.

    :param uri: which error; a CURIE is resolved with the client's own prefixes.
    :param description: for people.
    :param details: any JSON value, or None.
    """

    def __init__(self, uri: str, description: str, details: object = None) -> None:
        self.uri = uri
        self.description = description
        self.details = details
        super().__init__(f"{description} ({uri})")


def default_retry_policy() -> Callable[[int], float]:
    """Seconds to wait after the n-th failure in a row: about 0.75 at first, 10 at most."""
    # Jitter keeps clients from coming back all at once; it needs no secrecy.
    return backoffPolicy(0.5, 10.0, jitter=lambda: random.random() / 2)  # noqa: S311


class WampClient:
    """One WAMP v1 client.

    :param url: ``ws://HOST:PORT/`` or ``wss://…``.
    :param reactor: Twisted's reactor.
    :param on_state: told each change of state, with a sentence for people.
    :param endpoint: where to connect instead of the URL's host and port.
    :param retry_policy: seconds to wait after the n-th failure in a row (n from 1); a WELCOME
        starts the count again, an accepted TCP connection alone does not.
    :param dialect: how prefixes and the rest of a CURIE are joined.
    :param welcome_timeout: seconds to wait for WELCOME on an open WebSocket.
    :param give_up_on: HTTP statuses of a refused handshake after which it does not try again;
        ``on_state`` gets CLOSED with the reason then, as if :meth:`close` had been called.
    :raises OperatorError: the URL is no WebSocket URL.
    """

    _log = Logger()

    def __init__(
        self,
        url: str,
        reactor: Any,
        *,
        on_state: Callable[[ClientState, str], object] | None = None,
        endpoint: IStreamClientEndpoint | None = None,
        retry_policy: Callable[[int], float] | None = None,
        dialect: Dialect = WAMP1,
        welcome_timeout: float = WELCOME_TIMEOUT,
        give_up_on: Collection[int] = (),
    ) -> None:
        self.url = url
        #: Id of the open session, else None.
        self.session_id: str | None = None
        self._reactor = reactor
        self._on_state = on_state
        self._policy = default_retry_policy() if retry_policy is None else retry_policy
        self._dialect = dialect
        self._welcome_timeout = welcome_timeout
        self._give_up_on = give_up_on
        self._prefixes: dict[str, str] = {}
        self._callbacks: dict[str, list[EventCallback]] = {}
        self._calls = Calls()
        self._waiting = Waiters()
        self._channel: Channel | None = None
        self._closers: list[Deferred[None]] = []
        self._welcome_timer: DelayedCall | None = None
        self._refused = ""
        self._failures = 0
        self._delay = 0.0
        self._closing = False
        self._last_words = "closed"
        listener = Listener(
            self._connecting, self._lost, self._opened, self._received, self._closed
        )
        self._service = reconnecting_service(url, reactor, listener, lambda: self._delay, endpoint)

    # Connection

    def connect(self, attempts: int | None = None) -> Deferred[str]:
        """Open the connection and keep it open until :meth:`close`.

        :param attempts: how many failed attempts in a row fail the result; None: never. Attempts
            go on in either case.
        :returns: fires with the session id; fails with ConnectError after ``attempts``, with
            ServerRefused when it gives up, with CancelledError on :meth:`close`.
        """
        if self._closers:
            return self.close().addCallback(lambda _: self.connect(attempts))
        self._closing = False
        if self.session_id is not None:
            return succeed(self.session_id)
        waiting = self._waiting.add(attempts)
        if not self._service.running:
            self._service.startService()
        return waiting

    def close(self) -> Deferred[None]:
        """End the session with a WebSocket close (1000), and stop trying.

        :returns: fires when the connection is gone.
        """
        self._closing = True
        closed: Deferred[None] = Deferred()
        self._closers.append(closed)
        for waiting in self._waiting.take():
            waiting.errback(CancelledError())
        if len(self._closers) == 1:
            if self._channel is None:
                self._stop_soon()
            else:
                self._channel.close()
        return closed

    # Requests

    def prefix(self, prefix: str, uri: str) -> None:
        """Let ``prefix:rest`` stand for ``uri`` + ``rest``, in this and all later sessions."""
        self._prefixes[prefix] = uri
        if self.session_id is not None:
            self._send(messages.Prefix(prefix, uri))

    def subscribe(self, topic: str, callback: EventCallback) -> None:
        """Call ``callback`` with each event of a topic, in this and all later sessions.

        :param topic: URI or CURIE.
        :param callback: gets the :class:`~wampush.wamp.messages.Event`; ``event.event`` is the JSON
            text as the server sent it. What it raises is logged, others are not affected.
        """
        callbacks = self._callbacks.setdefault(self._resolve(topic), [])
        callbacks.append(callback)
        if len(callbacks) == 1 and self.session_id is not None:
            self._send(messages.Subscribe(topic))

    def unsubscribe(self, topic: str, callback: EventCallback | None = None) -> None:
        """Take back one callback of a topic, or all of them; unknown ones are ignored."""
        uri = self._resolve(topic)
        callbacks = self._callbacks.get(uri)
        if callbacks is None:
            return
        left = [] if callback is None else [each for each in callbacks if each != callback]
        if left:
            self._callbacks[uri] = left
            return
        del self._callbacks[uri]
        if self.session_id is not None:
            self._send(messages.Unsubscribe(topic))

    def publish(
        self,
        topic: str,
        event: object,
        *,
        exclude_me: bool | None = None,
        exclude: Iterable[str] | None = None,
        eligible: Iterable[str] | None = None,
    ) -> None:
        """Publish an event; WAMP v1 does not say whether the server carried it out.

        :param topic: URI or CURIE.
        :param event: any value that has a JSON form.
        :param exclude_me: False: this client gets the event too, if it subscribed.
        :param exclude: session ids that do not get it; replaces ``exclude_me``.
        :param eligible: the only session ids that may get it.
        :raises NotConnected: there is no session.
        :raises NotSerialisable: the event has no JSON form.
        """
        try:
            text = orjson.dumps(event)
        except orjson.JSONEncodeError as error:
            raise NotSerialisable(f"the event cannot be written as JSON: {error}") from error
        self._send(
            messages.Publish(
                topic,
                text,
                exclude_me=exclude_me,
                exclude=None if exclude is None else tuple(exclude),
                eligible=None if eligible is None else tuple(eligible),
            )
        )

    def call(self, procedure: str, *arguments: object) -> Deferred[object]:
        """Call a procedure.

        :param procedure: URI or CURIE.
        :returns: fires with the result; fails with :class:`CallFailed` when the server answers so,
            with ConnectionLost when the session ends before. Cancelling it drops the answer.
        :raises NotConnected: there is no session.
        :raises NotSerialisable: an argument has no JSON form.
        """
        call_id = self._calls.new_id()
        self._send(messages.Call(call_id, procedure, arguments))
        return self._calls.add(call_id)

    # What the connection reports

    def _connecting(self) -> None:
        self._tell(ClientState.CONNECTING, f"connecting to {without_secrets(self.url)}")

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        self._welcome_timer = self._reactor.callLater(
            self._welcome_timeout,
            self._drop,
            f"no WELCOME within {self._welcome_timeout:g} s; is this a WAMP v1 server?",
        )

    def _drop(self, reason: str) -> None:
        self._refused = reason
        if self._channel is not None:
            self._channel.abort()

    def _closed(self, reason: str, status: int | None) -> None:
        self._stop_welcome_timer()
        self._channel = None
        self.session_id = None
        reason, self._refused = self._refused or reason, ""
        for answer in self._calls.take_all():
            answer.errback(ConnectionLost(reason))
        if self._closers:
            self._stop_soon()
        elif status is not None and status in self._give_up_on:
            self._give_up(ServerRefused(status, reason))
        else:
            self._lost(reason)

    def _lost(self, reason: str) -> None:
        """An attempt failed or a session ended: decide on the wait, tell those who care."""
        if self._closing:
            return
        self._failures += 1
        self._delay = self._policy(self._failures)
        failed = self._waiting.failed_once()
        self._tell(ClientState.WAITING, f"{reason}; next try in {self._delay:.1f} s")
        for waiting in failed:
            waiting.errback(ConnectError(string=reason))

    def _give_up(self, error: ServerRefused) -> None:
        self._last_words = error.reason
        waiting = self._waiting.take()
        self.close()
        for each in waiting:
            each.errback(error)

    def _received(self, payload: bytes, binary: bool) -> None:
        if binary:
            self._log.warn("the server sent a binary frame, which WAMP v1 does not know; ignored")
            return
        try:
            message = codec.decode_server(payload)
        except MessageRefused as error:
            self._log.warn("the server sent what is no WAMP v1 message: {error}", error=error)
            return
        if isinstance(message, messages.Welcome):
            self._welcomed(message)
        elif self.session_id is not None:
            self._handle(message)

    def _welcomed(self, welcome: messages.Welcome) -> None:
        if self.session_id is not None:
            self._log.warn("the server sent a second WELCOME; ignored")
            return
        if welcome.protocol_version != messages.PROTOCOL_VERSION:
            self._drop(f"the server speaks WAMP v{welcome.protocol_version}, not v1")
            return
        self._stop_welcome_timer()
        self._failures = 0
        self.session_id = welcome.session_id
        for prefix, uri in self._prefixes.items():
            self._send(messages.Prefix(prefix, uri))
        for topic in self._callbacks:
            self._send(messages.Subscribe(topic))
        waiting = self._waiting.take()
        self._tell(ClientState.OPEN, f"connected to {without_secrets(self.url)} ({welcome.server})")
        for each in waiting:
            each.callback(welcome.session_id)

    def _handle(self, message: messages.ServerMessage) -> None:
        if isinstance(message, Event):
            for callback in self._callbacks.get(message.topic, ()):
                maybeDeferred(callback, message).addErrback(self._callback_failed, message.topic)
        elif isinstance(message, messages.CallResult | messages.CallError):
            answer = self._calls.take(message.call_id)
            if answer is None:
                return
            if isinstance(message, messages.CallResult):
                answer.callback(message.result)
            else:
                uri = self._resolve(message.uri)
                answer.errback(CallFailed(uri, message.description, message.details))

    # Small helpers

    def _callback_failed(self, failure: Failure, topic: str) -> None:
        self._log.failure("a callback of topic {topic} raised", failure=failure, topic=topic)

    def _stop_soon(self) -> None:
        # Not now: the service may be in the middle of a change of state, and it is not reentrant.
        self._reactor.callLater(0, self._stop)

    def _stop(self) -> None:
        maybeDeferred(self._service.stopService).addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        closers, self._closers = self._closers, []
        last_words, self._last_words = self._last_words, "closed"
        self._tell(ClientState.CLOSED, last_words)
        for closed in closers:
            closed.callback(None)

    def _resolve(self, text: str) -> str:
        return self._dialect.resolve(text, self._prefixes)

    def _stop_welcome_timer(self) -> None:
        timer, self._welcome_timer = self._welcome_timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _send(self, message: messages.ClientMessage) -> None:
        if self._channel is None or self.session_id is None or self._closing:
            raise NotConnected(f"not connected to {without_secrets(self.url)}")
        self._channel.send(codec.encode(message))

    def _tell(self, state: ClientState, detail: str) -> None:
        if self._on_state is not None:
            self._on_state(state, detail)
