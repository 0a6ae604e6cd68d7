"""A WAMP v1 client that stays connected, for the command line, tests and Python backends.

Owns: one connection to a server, which it reopens with backoff; subscriptions, which survive a
loss; pending calls, which do not. Must not import: wampush.broker, wampush.edges, wampush.node.

The messages of a session, in order (WAMP v1 specification)::

    WELCOME      the session is open; everything below waits for it
    PREFIX       each prefix again, because a new session knows none
    SUBSCRIBE    each topic that has a callback
    …            events, calls and their results
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

from wampush import finite_numbers
from wampush.client.errors import CallFailed, NotConnected, ServerRefused
from wampush.client.pending import PendingCalls, PendingConnects
from wampush.client.transport import Channel, Listener, reconnecting_service, without_secrets
from wampush.errors import MessageRefused, NotSerialisable
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
    """The states of a client, as ``on_state`` gets them."""

    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    CLOSED = "closed"


def default_retry_policy() -> Callable[[int], float]:
    """Return a policy of delays that grow from about 0.75 s to at most 10 s."""
    # Jitter keeps clients from reconnecting all at once; it needs no secrecy.
    return backoffPolicy(0.5, 10.0, jitter=lambda: random.random() / 2)  # noqa: S311


class WampClient:
    """One WAMP v1 client.

    :param url: ``ws://HOST:PORT/`` or ``wss://…``.
    :param reactor: Twisted's reactor.
    :param on_state: called on each change of state, with the state and a sentence for people.
    :param endpoint: where to connect instead of the URL's host and port.
    :param retry_policy: takes the number of failures in a row, from 1, and returns the seconds to
        wait. A WELCOME resets the number; an accepted TCP connection does not.
    :param dialect: how prefixes and the rest of a CURIE are joined.
    :param welcome_timeout: seconds to wait for WELCOME after the handshake.
    :param give_up_on: HTTP statuses of a refused handshake after which the client stops trying;
        ``on_state`` then gets CLOSED with the reason, as after :meth:`close`.
    :param ca_file: a PEM file with the certificates that are trusted instead of the system's; for
        ``wss://``.
    :raises OperatorError: when the URL is not a WebSocket URL, or ``ca_file`` cannot be used.
    """

    _log = Logger(namespace="wampush.client")

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
        ca_file: str | None = None,
    ) -> None:
        self.url = url
        #: The id of the open session; None while there is none.
        self.session_id: str | None = None
        self._reactor = reactor
        self._on_state = on_state
        self._policy = default_retry_policy() if retry_policy is None else retry_policy
        self._dialect = dialect
        self._welcome_timeout = welcome_timeout
        self._give_up_on = give_up_on
        self._prefixes: dict[str, str] = {}
        self._callbacks: dict[str, list[EventCallback]] = {}
        self._pending_calls = PendingCalls()
        self._pending_connects = PendingConnects()
        self._channel: Channel | None = None
        self._closers: list[Deferred[None]] = []
        self._welcome_timer: DelayedCall | None = None
        self._abort_reason = ""
        self._failures = 0
        self._delay = 0.0
        self._closing = False
        self._close_detail = "closed"
        listener = Listener(
            self._on_connecting,
            self._on_attempt_failed,
            self._on_open,
            self._on_message,
            self._on_closed,
        )
        self._service = reconnecting_service(
            url, reactor, listener, lambda: self._delay, endpoint, ca_file
        )

    # Connection

    def connect(self, attempts: int | None = None) -> Deferred[str]:
        """Open the connection and keep it open until :meth:`close`.

        :param attempts: how many failed attempts in a row make the result fail; None for no limit.
            The client goes on trying in either case.
        :returns: fires with the session id; fails with ConnectError after ``attempts``, with
            ServerRefused when the client gives up, with CancelledError on :meth:`close`.
        """
        if self._closers:
            return self.close().addCallback(lambda _: self.connect(attempts))
        self._closing = False
        if self.session_id is not None:
            return succeed(self.session_id)
        waiting = self._pending_connects.add(attempts)
        if not self._service.running:
            self._service.startService()
        return waiting

    def close(self) -> Deferred[None]:
        """Close the session (close code 1000) and stop reconnecting.

        :returns: fires when the connection is gone.
        """
        self._closing = True
        closed: Deferred[None] = Deferred()
        self._closers.append(closed)
        for waiting in self._pending_connects.take():
            waiting.errback(CancelledError())
        if len(self._closers) == 1:
            if self._channel is None:
                self._stop_soon()
            else:
                self._channel.close()
        return closed

    # Requests

    def prefix(self, prefix: str, uri: str) -> None:
        """Let ``prefix:rest`` mean ``uri`` + ``rest`` in this and all later sessions."""
        self._prefixes[prefix] = uri
        if self.session_id is not None:
            self._send(messages.Prefix(prefix, uri))

    def subscribe(self, topic: str, callback: EventCallback) -> None:
        """Call ``callback`` with each event of a topic, in this and all later sessions.

        :param topic: URI or CURIE.
        :param callback: gets the :class:`~wampush.wamp.messages.Event`; ``event.event`` is the JSON
            text as the server sent it. Exceptions are logged; other callbacks are still called.
        """
        callbacks = self._callbacks.setdefault(self._resolve(topic), [])
        callbacks.append(callback)
        if len(callbacks) == 1 and self.session_id is not None:
            self._send(messages.Subscribe(topic))

    def unsubscribe(self, topic: str, callback: EventCallback | None = None) -> None:
        """Remove one callback of a topic, or all of them; unknown ones are ignored."""
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
        """Publish an event. WAMP v1 has no reply, so the client cannot know if it was delivered.

        :param topic: URI or CURIE.
        :param event: any value that has a JSON form.
        :param exclude_me: False if this client should get the event too when it is subscribed.
        :param exclude: session ids that do not get the event; replaces ``exclude_me``.
        :param eligible: the only session ids that may get the event.
        :raises NotConnected: when no session is open.
        :raises NotSerialisable: when the event has no JSON form.
        """
        try:
            text = orjson.dumps(event)
        except orjson.JSONEncodeError as error:
            raise NotSerialisable(f"the event cannot be written as JSON: {error}") from error
        if finite_numbers.has_other_numbers(event, text):
            raise NotSerialisable(f"the event cannot be written as JSON: {finite_numbers.SENTENCE}")
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
        :returns: fires with the result; fails with :class:`CallFailed` on a CALLERROR, with
            ConnectionLost when the session ends first. Cancelling it discards the result.
        :raises NotConnected: when no session is open.
        :raises NotSerialisable: when an argument has no JSON form.
        """
        if finite_numbers.has_other_numbers(arguments, b"null"):
            raise NotSerialisable(
                f"the arguments cannot be written as JSON: {finite_numbers.SENTENCE}"
            )
        call_id = self._pending_calls.new_id()
        self._send(messages.Call(call_id, procedure, arguments))
        return self._pending_calls.add(call_id)

    # Notifications of the connection

    def _on_connecting(self) -> None:
        self._notify(ClientState.CONNECTING, f"connecting to {without_secrets(self.url)}")

    def _on_open(self, channel: Channel) -> None:
        self._channel = channel
        self._welcome_timer = self._reactor.callLater(
            self._welcome_timeout,
            self._drop,
            f"no WELCOME within {self._welcome_timeout:g} s; is this a WAMP v1 server?",
        )

    def _drop(self, reason: str) -> None:
        self._abort_reason = reason
        if self._channel is not None:
            self._channel.abort()

    def _on_closed(self, reason: str, status: int | None) -> None:
        self._stop_welcome_timer()
        self._channel = None
        self.session_id = None
        reason, self._abort_reason = self._abort_reason or reason, ""
        for answer in self._pending_calls.take_all():
            answer.errback(ConnectionLost(reason))
        if self._closers:
            self._stop_soon()
        elif status is not None and status in self._give_up_on:
            self._give_up(ServerRefused(status, reason))
        else:
            self._on_attempt_failed(reason)

    def _on_attempt_failed(self, reason: str) -> None:
        """Schedule the next attempt and fail the requests whose attempts are used up."""
        if self._closing:
            return
        self._failures += 1
        self._delay = self._policy(self._failures)
        failed = self._pending_connects.on_attempt_failed()
        self._notify(ClientState.WAITING, f"{reason}; next try in {self._delay:.1f} s")
        for waiting in failed:
            waiting.errback(ConnectError(string=reason))

    def _give_up(self, error: ServerRefused) -> None:
        self._close_detail = error.reason
        waiting = self._pending_connects.take()
        self.close()
        for each in waiting:
            each.errback(error)

    def _on_message(self, payload: bytes, binary: bool) -> None:
        if binary:
            self._log.warn("ignored a binary frame from the server; WAMP v1 uses text frames only")
            return
        try:
            message = codec.decode_server(payload)
        except MessageRefused as error:
            self._log.warn("ignored a server message that is not WAMP v1: {error}", error=error)
            return
        if isinstance(message, messages.Welcome):
            self._on_welcome(message)
        elif self.session_id is not None:
            self._handle(message)

    def _on_welcome(self, welcome: messages.Welcome) -> None:
        if self.session_id is not None:
            self._log.warn("ignored a second WELCOME from the server")
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
        waiting = self._pending_connects.take()
        self._notify(
            ClientState.OPEN, f"connected to {without_secrets(self.url)} ({welcome.server})"
        )
        for each in waiting:
            each.callback(welcome.session_id)

    def _handle(self, message: messages.ServerMessage) -> None:
        if isinstance(message, Event):
            for callback in self._callbacks.get(message.topic, ()):
                maybeDeferred(callback, message).addErrback(self._on_callback_failed, message.topic)
        elif isinstance(message, messages.CallResult | messages.CallError):
            answer = self._pending_calls.take(message.call_id)
            if answer is None:
                return
            if isinstance(message, messages.CallResult):
                answer.callback(message.result)
            else:
                uri = self._resolve(message.uri)
                answer.errback(CallFailed(uri, message.description, message.details))

    def _on_callback_failed(self, failure: Failure, topic: str) -> None:
        self._log.failure(
            "a callback for topic {topic} raised an exception", failure=failure, topic=topic
        )

    def _stop_soon(self) -> None:
        # Later, because the service is not reentrant and may be in the middle of a state change.
        self._reactor.callLater(0, self._stop)

    def _stop(self) -> None:
        maybeDeferred(self._service.stopService).addCallback(self._on_stopped)

    def _on_stopped(self, _: object) -> None:
        closers, self._closers = self._closers, []
        detail, self._close_detail = self._close_detail, "closed"
        self._notify(ClientState.CLOSED, detail)
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

    def _notify(self, state: ClientState, detail: str) -> None:
        if self._on_state is not None:
            self._on_state(state, detail)
