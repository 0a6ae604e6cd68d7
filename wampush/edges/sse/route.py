"""The route of event streams: ``GET /events?topic=…`` on the port of WebSocket.

Owns: whether a stream begins, and the head of its response.
Must not import: Twisted, Autobahn, the connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from wampush.broker.identity import AWAITING
from wampush.broker.subscriber import Subscriber
from wampush.edges.sse.conversation import EventStreamConversation, EventStreamSession
from wampush.edges.sse.stream_request import read_stream_request
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import CloseReason, MessageRefused
from wampush.excerpts import shown
from wampush.net.origins import is_from_this_machine

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect_request import ConnectRequest
    from wampush.broker.requests.handler import RequestHandler
    from wampush.edges.websocket.conversation import Line

PATH: Final = "/events"


class EventStreamRoute:
    """Begins event streams.

    :param handler: carries out the subscriptions of clients.
    :param retry: seconds after which browsers are to reconnect, on average.
    """

    __slots__ = ("_handler", "_retry")

    #: The pages of ``[websocket]`` may connect.
    origins = None

    def __init__(self, handler: RequestHandler, retry: float) -> None:
        self._handler = handler
        self._retry = retry

    def subprotocol(self, offered: Sequence[str]) -> None:
        """Choose no subprotocol; an ordinary request has none."""

    def head(self, request: ConnectRequest, shared_with: str) -> bytes:
        """Return the head of the response; the stream ends with the connection.

        :param request: the request.
        :param shared_with: header lines that let the page read the response, or "".
        """
        return (
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: text/event-stream\r\n"
            "Cache-Control: no-store\r\n"
            # nginx would collect events before it passes them on.
            "X-Accel-Buffering: no\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            f"{shared_with}Connection: close\r\n\r\n"
        ).encode()

    def begin(
        self,
        line: Line,
        outbox: Outbox,
        request: ConnectRequest,
        identity: Identity,
        subprotocol: str | None,
    ) -> EventStreamConversation:
        """Make the conversation of a stream that has not begun yet.

        :raises HandshakeRefused: when the request is not one for a stream, or the client may not
            subscribe to one of the topics.
        """
        if identity.source == AWAITING:
            detail = "WAMP-CRA is available on WAMP connections only."
            raise HandshakeRefused(CloseReason.AUTHENTICATION_REQUIRED, detail)
        asked = read_stream_request(request)
        conversation = EventStreamConversation(
            self._handler,
            line,
            is_local=is_from_this_machine(line.peer, request.headers),
            request=asked,
        )
        subscriber = Subscriber(EventStreamSession(self._retry), outbox, identity, conversation)
        self._check(subscriber, asked.topics)
        conversation.subscriber = subscriber
        return conversation

    def _check(self, subscriber: Subscriber, topics: Sequence[str]) -> None:
        refused = []
        for topic in topics:
            try:
                self._handler.check_stream(subscriber, topic)
            except MessageRefused as error:
                refused.append(f"{shown(topic)}: {error.refusal.code}")
        if refused:
            raise HandshakeRefused(CloseReason.STREAM_REFUSED, f"{', '.join(refused)}.")
