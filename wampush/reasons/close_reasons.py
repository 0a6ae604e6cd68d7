"""The reasons why connections end, or are never opened.

Owns: this table; code, log lines, metrics and ``docs/reference/reasons.md`` use its codes.
Must not import: anything of wampush but ``fault``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique

from wampush.reasons.fault import Fault


@dataclass(frozen=True, slots=True)
class Ending:
    """One row of the table of connection ends.

    :param code: stable identifier for logs, metrics and documentation.
    :param fault: who can fix it; None for an ordinary end.
    :param sentence: what happened.
    :param http_status: the status of the response to a refused handshake, otherwise None.
    :param close_code: RFC 6455 section 7.4 code when a Close frame is sent; None means the TCP
        connection ends without one, so that clients that retry only unclean ends reconnect.
    :param is_logged: whether it is logged; ordinary ends are only counted.
    """

    code: str
    fault: Fault | None
    sentence: str
    http_status: int | None = None
    close_code: int | None = None
    is_logged: bool = True


@unique
class CloseReason(Enum):
    """Why a connection ended, or was never opened."""

    # Handshakes that were refused.
    SUBPROTOCOL_REQUIRED = Ending(
        "subprotocol-required",
        Fault.CLIENT,
        'The WebSocket subprotocol "wamp" was not offered; offer it, or set '
        "websocket.require_subprotocol = false.",
        http_status=400,
    )
    WAMP_V2 = Ending(
        "wamp-v2",
        Fault.CLIENT,
        "The client speaks WAMP v2, and wampush speaks WAMP v1, which is another protocol; use a "
        "client for WAMP v1, such as AutobahnJS 0.8.",
        http_status=400,
    )
    BAD_HANDSHAKE = Ending(
        "bad-handshake",
        Fault.CLIENT,
        "The request is not a valid WebSocket handshake (RFC 6455 section 4.2.1).",
        400,
    )
    WRONG_PROTOCOL = Ending(
        "wrong-protocol",
        Fault.CLIENT,
        "The client does not speak the protocol of this port.",
        400,
    )
    WRONG_PORT = Ending(
        "wrong-port",
        Fault.CLIENT,
        "A WebSocket was requested on the HTTP port; connect to an address of websocket.listen.",
        400,
    )
    HEADER_TOO_LARGE = Ending(
        "header-too-large",
        Fault.CLIENT,
        "The request header is longer than websocket.max_header_bytes.",
        431,
    )
    ORIGIN_FORBIDDEN = Ending(
        "origin-forbidden",
        Fault.OPERATOR,
        "Pages from this origin may not connect; list it in websocket.origins, or in the origins "
        "of the route.",
        403,
    )
    TOO_MANY_FROM_ADDRESS = Ending(
        "too-many-from-address",
        Fault.CLIENT,
        "This address already has limits.connections_per_address connections open.",
        429,
    )
    TOO_MANY_OF_USER = Ending(
        "too-many-of-user",
        Fault.CLIENT,
        "This user already has limits.connections_per_user connections open.",
        429,
    )
    TOO_MANY_CONNECTIONS = Ending(
        "too-many-connections",
        Fault.OPERATOR,
        "The server already has websocket.max_connections connections open.",
        503,
    )
    TOO_MANY_HTTP_CONNECTIONS = Ending(
        "too-many-http-connections",
        Fault.OPERATOR,
        "The HTTP port already has http.max_connections connections open, or "
        "http.connections_per_address from this address. The one that waited longest for its "
        "client without having shown the token was closed, or the new one unread.",
    )
    PLAIN_REQUEST = Ending(
        "plain-request",
        None,
        "An ordinary GET, answered with what a topic keeps or with a page that explains what this "
        "port is, or HEAD or OPTIONS, as health checks send them.",
        200,
        is_logged=False,
    )
    SHUTTING_DOWN = Ending("shutting-down", None, "The server is stopping; try again shortly.", 503)
    TOKEN_REFUSED = Ending("token-refused", Fault.CLIENT, "The token was not accepted.", 401)
    AUTHENTICATION_REQUIRED = Ending(
        "authentication-required",
        Fault.CLIENT,
        'The request carries no credentials, and auth.order does not include "anonymous".',
        401,
    )
    AUTHENTICATION_FORBIDDEN = Ending(
        "authentication-forbidden", Fault.CLIENT, "The web application refused this client.", 403
    )
    CONNECT_REFUSED = Ending(
        "connect-refused", Fault.CLIENT, "The application refused the connection.", 403
    )
    CONNECT_UNDECIDED = Ending(
        "connect-undecided",
        Fault.OPERATOR,
        "The application failed or took too long to decide about the connection; try again.",
        503,
    )
    AUTHENTICATION_UNAVAILABLE = Ending(
        "authentication-unavailable",
        Fault.BACKEND,
        "The identity of the client could not be determined; try again.",
        503,
    )
    HANDSHAKE_MEMORY = Ending(
        "handshake-memory",
        Fault.CLIENT,
        "The node would keep more than limits.kept_bytes_per_address or limits.kept_bytes allow, "
        "for handshakes that are not answered yet.",
        http_status=503,
    )
    HANDSHAKE_TIMEOUT = Ending(
        "handshake-timeout",
        Fault.CLIENT,
        "The handshake was not complete within websocket.handshake_timeout.",
    )

    # Requests for event streams that were refused.
    BAD_STREAM_REQUEST = Ending(
        "bad-stream-request",
        Fault.CLIENT,
        "The request for an event stream is not valid.",
        http_status=400,
    )
    STREAM_REFUSED = Ending(
        "stream-refused",
        Fault.CLIENT,
        "The client may not subscribe to all topics of the event stream.",
        http_status=403,
    )

    # Open connections.
    PEER_CLOSED = Ending("peer-closed", None, "The client closed the WebSocket.", is_logged=False)
    PEER_LOST = Ending(
        "peer-lost",
        None,
        "The TCP connection was lost without a WebSocket Close frame.",
        is_logged=False,
    )
    SILENT = Ending(
        "silent", Fault.CLIENT, "Nothing arrived for websocket.silence_timeout, not even a pong."
    )
    SLOW_CLIENT = Ending(
        "slow-client",
        Fault.CLIENT,
        "The client reads too slowly: more than clients.queue_bytes were queued for it, or more "
        "than limits.queued_bytes_per_address for the clients of its address, or its topic no "
        "longer keeps an event that it has not received.",
    )
    FLOODING = Ending(
        "flooding",
        Fault.CLIENT,
        "The client exceeded limits.messages_per_second for longer than "
        "limits.message_burst allows, or the clients of its address together exceeded "
        "limits.messages_per_second_per_address, or it sent more than limits.pending_per_session "
        "messages that a component had not handled yet.",
    )
    MEMORY_LIMIT = Ending(
        "memory-limit",
        Fault.CLIENT,
        "The node would keep more than limits.kept_bytes_per_session, "
        "limits.kept_bytes_per_address or limits.kept_bytes allow, for an unfinished message, "
        "messages that a component has not handled, or automatic subscriptions.",
    )
    IDENTITY_EXPIRED = Ending(
        "identity-expired",
        Fault.CLIENT,
        "The identity of the session expired. A session opened with a token can renew it "
        "in time with wampush.refresh; others have to connect again.",
        is_logged=False,
    )
    AUTHENTICATION_TIMEOUT = Ending(
        "authentication-timeout",
        Fault.CLIENT,
        "The session did not authenticate within cra.timeout.",
    )
    ENDED_BY_APPLICATION = Ending(
        "ended-by-application",
        None,
        "The application ended the session; pages do not reconnect by themselves after it.",
        close_code=3000,
    )
    ENDED_BY_OPERATOR = Ending(
        "ended-by-operator",
        None,
        "A request to the HTTP port ended the session; pages do not reconnect by themselves after"
        " it.",
        close_code=3000,
    )
    CLOSED_BY_COMPONENT = Ending(
        "closed-by-component",
        None,
        "A component closed the connection with a close code of its own.",
        is_logged=False,
    )
    COMPONENT_FAILED = Ending(
        "component-failed",
        Fault.OPERATOR,
        "A method of a component raised an exception; the log has the traceback under the"
        " incident number.",
        close_code=1011,
        is_logged=False,
    )
    MESSAGE_TOO_LARGE = Ending(
        "message-too-large",
        Fault.CLIENT,
        "A message was longer than websocket.max_message_bytes.",
        close_code=1009,
    )
    PROTOCOL_VIOLATION = Ending(
        "protocol-violation",
        Fault.CLIENT,
        "The client broke the WebSocket protocol (RFC 6455).",
        close_code=1002,
    )
    INVALID_PAYLOAD = Ending(
        "invalid-payload",
        Fault.CLIENT,
        "A text frame or close reason was not UTF-8.",
        close_code=1007,
    )
    INTERNAL_ERROR = Ending(
        "internal-error", Fault.WAMPUSH, "A defect in wampush itself; the log has the traceback."
    )
    NOT_MOVED = Ending(
        "not-moved",
        None,
        "An upgrade ended the connection, because it cannot go on in another process: TLS, event"
        " streams, components, and messages that were not complete in time.",
        is_logged=False,
    )
    MOVE_FAILED = Ending(
        "move-failed",
        Fault.OPERATOR,
        "The new process ended while it took the sessions over, and with it the connections that it"
        " had already; the log says why the upgrade failed.",
    )
    SERVER_STOPPED = Ending(
        "server-stopped",
        None,
        "The server stopped and dropped the connection so that clients reconnect.",
        is_logged=False,
    )

    @property
    def code(self) -> str:
        """The stable identifier of this reason."""
        return self.value.code

    @property
    def fault(self) -> Fault | None:
        """Who can fix it; None for an ordinary end."""
        return self.value.fault

    @property
    def refuses_handshake(self) -> bool:
        """Whether it is the refusal of a handshake, not the end of an open connection."""
        return (self.value.http_status or 0) >= 400

    @property
    def sentence(self) -> str:
        """What happened."""
        return self.value.sentence
