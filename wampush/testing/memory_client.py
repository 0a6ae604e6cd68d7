"""A client in memory, and what it receives.

Owns: its requests, replies and events. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wampush.apps.python import json_values
from wampush.broker.identity import Identity
from wampush.broker.subscriber import Subscriber
from wampush.client.errors import CallFailed
from wampush.errors import CloseReason
from wampush.testing.wire import MemoryPeer
from wampush.wamp import codec, messages


@dataclass(frozen=True, slots=True)
class Event:
    """An event that a client has received.

    :param topic: its topic.
    :param data: its payload, decoded.
    :param offset: of its position, if the topic has a history and the client has asked for
        positions.
    """

    topic: str
    data: Any
    offset: int | None = None


class NotAnswered(AssertionError):
    """Nothing is left to do, and a call has no reply, or a client that connects no decision."""


class Call:
    """A call that was sent; its reply may arrive later.

    :param procedure: for errors.
    :param settle: lets everything happen that is due.
    """

    def __init__(self, procedure: str, settle: Callable[[], None]) -> None:
        self._procedure = procedure
        self._settle = settle
        self._reply: messages.CallResult | messages.CallError | None = None

    def has_reply(self) -> bool:
        """Return whether the reply has arrived."""
        self._settle()
        return self._reply is not None

    def result(self) -> Any:
        """Return the result.

        :raises CallFailed: the reply is an error.
        :raises NotAnswered: there is no reply yet.
        """
        self._settle()
        if self._reply is None:
            raise NotAnswered(
                f"{self._procedure} has not replied; move the clock with advance() if it waits for "
                "time"
            )
        if isinstance(self._reply, messages.CallError):
            error = self._reply
            raise CallFailed(error.uri, error.description, error.details)
        return self._reply.result

    def on_reply(self, reply: messages.CallResult | messages.CallError) -> None:
        """Take the reply."""
        self._reply = reply


class Server(Protocol):
    """The server, as its clients in memory use it."""

    def settle(self) -> None:
        """Let everything happen that is due."""

    def on_text(self, subscriber: Subscriber, text: bytes) -> None:
        """Take a message of a client."""

    def become(self, subscriber: Subscriber, identity: Identity) -> None:
        """Give a session another identity."""

    def lose(self, client: InMemoryClient) -> None:
        """End the session of a client whose connection is gone."""

    def refusals_of(self, session_id: str) -> Sequence[tuple[str, str]]:
        """Return code and detail of what was refused to a session."""


class InMemoryClient:
    """A client with an open session; made by :meth:`InMemoryServer.connect`.

    Each request has taken effect when its method returns, unless a handler waits for the clock.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._calls: dict[str, Call] = {}
        self._events: list[Event] = []
        self._call_count = 0
        self._subscriber: Subscriber | None = None
        self._peer: MemoryPeer | None = None

    # For the server.

    def attach(self, subscriber: Subscriber, peer: MemoryPeer) -> None:
        """Take the session and the connection."""
        self._subscriber, self._peer = subscriber, peer

    @property
    def subscriber(self) -> Subscriber:
        """The client as the broker sees it."""
        if self._subscriber is None:
            raise AssertionError("the client is not connected")
        return self._subscriber

    def on_text(self, text: bytes) -> None:
        """Take a message of the server.

        :param text: UTF-8.
        """
        kind, *rest = json_values.parsed(text)
        if kind == messages.Event.TYPE:
            self._events.append(Event(*rest))
        elif kind == messages.CallResult.TYPE:
            self._calls.pop(rest[0]).on_reply(messages.CallResult(*rest))
        elif kind == messages.CallError.TYPE:
            self._calls.pop(rest[0]).on_reply(messages.CallError(*rest))

    # For tests.

    @property
    def session_id(self) -> str:
        """The id that WELCOME carries."""
        return self.subscriber.session_id

    @property
    def identity(self) -> Identity:
        """The current identity of the session."""
        return self.subscriber.identity

    def end_reason(self) -> str | None:
        """Return the code of the reason why the session has ended; None while it is open."""
        self._server.settle()
        ended = None if self._peer is None else self._peer.ended
        return None if ended is None else ended.code

    @property
    def events(self) -> list[Event]:
        """All events since the session opened, or since :meth:`take_events`, in their order."""
        self._server.settle()
        return list(self._events)

    def take_events(self) -> list[Event]:
        """Return the events, and forget them."""
        events = self.events
        self._events.clear()
        return events

    @property
    def refusals(self) -> Sequence[tuple[str, str]]:
        """Reason code and detail of each request that was refused, of the last 100 refusals.

        WAMP v1 has no reply to SUBSCRIBE and PUBLISH, so a page does not learn of these.
        """
        self._server.settle()
        return self._server.refusals_of(self.session_id)

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic."""
        self._send(messages.Subscribe(topic))

    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        self._send(messages.Unsubscribe(topic))

    def publish(
        self,
        topic: str,
        event: object,
        *,
        exclude_me: bool | None = None,
        exclude: Sequence[str] | None = None,
        eligible: Sequence[str] | None = None,
    ) -> None:
        """Publish an event.

        :param event: any value that has a JSON form.
        :param exclude_me: False: this client receives it, too.
        :param exclude: session ids that do not receive it.
        :param eligible: the only session ids that may receive it.
        """
        self._send(
            messages.Publish(
                topic,
                json_values.text_of(event),
                exclude_me,
                None if exclude is None else tuple(exclude),
                None if eligible is None else tuple(eligible),
            )
        )

    def call(self, procedure: str, *arguments: object) -> Any:
        """Call a procedure, and return its result.

        :raises CallFailed: the reply is an error.
        :raises NotAnswered: there is no reply yet; use :meth:`start_call` where a handler waits.
        """
        return self.start_call(procedure, *arguments).result()

    def start_call(self, procedure: str, *arguments: object) -> Call:
        """Call a procedure whose reply arrives later."""
        self._call_count += 1
        call_id = str(self._call_count)
        call = self._calls[call_id] = Call(procedure, self._server.settle)
        self._send(messages.Call(call_id, procedure, arguments))
        return call

    def become(self, identity: Identity) -> None:
        """Give the session another identity, as a login with WAMP-CRA or a fresh token does."""
        self._server.become(self.subscriber, identity)
        self._server.settle()

    def close(self) -> None:
        """Go away; on_disconnect gets ``peer-closed``."""
        if self._peer is not None and self._peer.ended is None:
            self._peer.ended = CloseReason.PEER_CLOSED
            self._server.lose(self)
            self._server.settle()

    def _send(self, message: messages.ClientMessage) -> None:
        self._server.on_text(self.subscriber, codec.encode(message))
        self._server.settle()
