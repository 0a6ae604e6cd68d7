"""One event stream over a connection.

Owns: the session of a client that only listens, how its stream begins, what it is notified of.
Must not import: Twisted, Autobahn, the connection.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wampush.broker.requests.streams import StreamSubscribe
from wampush.edges.sse import formats
from wampush.edges.sse.formats import (
    CatchingUpFormat,
    EventStreamFormat,
    JoiningFormat,
    OwnFormat,
    notice,
    shared_format,
)
from wampush.edges.sse.stream_ids import UNKNOWN
from wampush.edges.websocket.conversation import ClientPeer
from wampush.errors import CloseReason
from wampush.wamp.session import new_session_id

if TYPE_CHECKING:
    from wampush.broker.publication import Position
    from wampush.broker.requests.handler import RequestHandler
    from wampush.edges.sse.stream_request import StreamRequest
    from wampush.edges.websocket.conversation import Line
    from wampush.errors import MessageRefused

#: Bytes that a client may send after its request; they are ignored.
_MOST_UNREAD: Final = 16_384
_NO_PREFIXES: Final[Mapping[str, str]] = MappingProxyType({})


class EventStreamSession:
    """The session of a client that only listens (``ClientSession``): it answers nothing.

    :param retry: seconds after which its browser is to reconnect, on average.
    """

    __slots__ = ("_retry", "session_id")

    prefixes = _NO_PREFIXES

    def __init__(self, retry: float) -> None:
        self._retry = retry
        self.session_id = new_session_id()

    def welcome(self) -> bytes:
        """Return the first block: when to reconnect, and the id of the session."""
        third = int(self._retry * 1000 / 3)
        retry = 2 * third + secrets.randbelow(2 * third + 1)
        return b"retry: %d\n%b" % (retry, notice("wampush.session", {"session": self.session_id}))

    def receive(self, text: bytes, keep: Callable[[str, str], None]) -> None:
        """Ignore a message; there is no way for the client to send one."""

    def call_arguments(self, text: bytes) -> tuple[object, ...]:
        """Return nothing; the client cannot call."""
        return ()

    def result(self, call_id: str, value: object) -> bytes:
        """Return nothing; the client cannot call."""
        return b""

    def error(
        self,
        call_id: str,
        uri: str,
        description: str,
        details: object = None,
    ) -> bytes:
        """Return nothing; the client cannot call."""
        return b""


class EventStreamConversation(ClientPeer):
    """What one client of an event stream gets; also what takes the bytes that it should not send.

    Until all topics are decided, a stream of several topics has a format of its own, because only
    this client is where it is. From then on it shares the format of all streams of these topics.

    :param handler: carries out its subscriptions.
    :param line: the connection.
    :param is_local: whether the client is on this machine, and not a page of another host.
    :param request: what it asked for.
    """

    __slots__ = ("_request", "_undecided", "_unread")

    ping = formats.PING

    def __init__(
        self,
        handler: RequestHandler,
        line: Line,
        *,
        is_local: bool,
        request: StreamRequest,
    ) -> None:
        super().__init__(handler, line, is_local)
        self._request = request
        self._undecided = len(request.topics)
        self._unread = 0

    # For the connection.

    @property
    def stage(self) -> EventStreamConversation:
        """What takes the bytes of the client."""
        return self

    def on_open(self) -> None:
        """The response has begun: subscribe to the topics, one after the other."""
        subscriber, (topics, since) = self.subscriber, self._request
        if subscriber is None:
            return
        if len(topics) == 1:
            subscriber.outbox.format = shared_format(topics)
        else:
            known = [None if each is UNKNOWN else each for each in since or ()]
            subscriber.outbox.format = OwnFormat(topics, known)
        # The URL says which topics there are.
        self._handler.on_open(subscriber, automatic=False)
        for number, topic in enumerate(topics):
            if self.subscriber is None or self.ended is not None:
                return
            position = None if since is None else since[number]
            self._handler.on_stream(subscriber, StreamSubscribe(topic, position, self))

    def on_text(self, text: bytes) -> None:
        """Ignore a message; a stream has none."""

    def on_binary(self, data: bytes) -> None:
        """Ignore a message; a stream has none."""

    def receive(self, data: bytes) -> None:
        """Ignore bytes of the client, as long as they are few."""
        self._unread += len(data)
        if self._unread > _MOST_UNREAD:
            detail = "It sent data after its request for an event stream."
            self._line.drop(CloseReason.FLOODING, detail)

    def cancel(self) -> None:
        """Do nothing: the connection ignores further bytes itself."""

    # For the broker.

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """Notify the page of the reason, then end the connection; the browser would reconnect."""
        if self.ended is None:
            self._send(notice("wampush.end", {"reason": reason.code, "text": detail}))
        super().end(reason, detail)

    # For the handler.

    def on_effect(self) -> None:
        """Write what a topic keeps in a format that clients at the same positions share."""
        if len(self._request.topics) > 1:
            self._change_format(JoiningFormat)

    def on_gap(self, topic: str) -> None:
        """Notify the page, before anything newer, that it may have missed events of a topic."""
        position = self._handler.broker.position(topic)
        known = (None, None) if position is None else (position.epoch, position.offset)
        self._send(notice("wampush.gap", {"topic": topic, "epoch": known[0], "offset": known[1]}))

    def on_outcome(self, topic: str, error: MessageRefused | None) -> None:
        """Note what became of one subscription."""
        if len(self._request.topics) > 1:
            changed = self._change_format(OwnFormat)
            if changed is not None and error is None:
                changed.know(topic, self._sent_up_to(topic))
        if error is not None:
            refusal = error.refusal
            details = {"topic": topic, "reason": refusal.code, "text": refusal.sentence}
            self._send(notice("wampush.refused", details))
        self._undecided -= 1
        if not self._undecided:
            self._share_format()

    def _change_format(self, kind: type[EventStreamFormat]) -> EventStreamFormat | None:
        """Go on in a format of its own that begins where the present one is."""
        subscriber = self.subscriber
        if subscriber is None:
            return None
        # What is published until here is written in the format until here.
        self._handler.broker.fanout.end_batch()
        present = subscriber.outbox.format
        positions = present.positions if isinstance(present, EventStreamFormat) else ()
        changed = kind(self._request.topics, positions)
        subscriber.outbox.format = changed
        return changed

    def _sent_up_to(self, topic: str) -> Position | None:
        """Return the position in a topic up to which the client has been sent everything."""
        subscriber, broker = self.subscriber, self._handler.broker
        return None if subscriber is None else broker.sent_up_to(subscriber, topic)

    def _share_format(self) -> None:
        """Go on with the shared format; the client learns where it is in all topics."""
        subscriber, broker, topics = self.subscriber, self._handler.broker, self._request.topics
        if subscriber is None:
            return
        broker.fanout.end_batch()
        outbox = subscriber.outbox
        if outbox.catch_up is None:
            outbox.format = shared = shared_format(topics)
            for topic in topics:
                shared.know(topic, broker.position(topic))
            self._send(shared.current_id())
            return
        # The client has not been sent all yet that its topics keep.
        own = CatchingUpFormat(topics, list(map(self._sent_up_to, topics)))
        if len(topics) > 1:
            outbox.format = own
        self._send(own.current_id())

    def _send(self, block: bytes) -> None:
        if self.subscriber is not None:
            self._handler.broker.fanout.send(self.subscriber.outbox, block)
