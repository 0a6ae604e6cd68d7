"""The tables of reasons: why an input was refused, why a connection ended, and whose fault it is.

Owns: these tables. Must not import: anything of wampush, Twisted or Autobahn. ``errors`` passes the
tables on, so that whoever raises an error finds its reason at the same place.

Reasons are a table because code, log lines, metrics and ``docs/reference/reasons.md`` must say the
same word for the same thing; a test compares the document with this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique


@unique
class Fault(Enum):
    """Who can mend what went wrong."""

    CLIENT = "client"
    BACKEND = "backend"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of a reason table.

    :param code: stable word for logs, metrics and documentation.
    :param fault: who can mend it.
    :param sentence: what happened and what would be right, for that person.
    """

    code: str
    fault: Fault
    sentence: str


@unique
class Refusal(Enum):
    """Why one input was not carried out. The sender's connection is not affected."""

    # A push of a backend.
    EMPTY = Reason("empty", Fault.BACKEND, "The message is empty; send a JSON object.")
    NOT_UTF8 = Reason("not-utf8", Fault.BACKEND, "The bytes are not UTF-8; encode text as UTF-8.")
    NOT_JSON = Reason("not-json", Fault.BACKEND, "The text is not JSON (RFC 8259).")
    NOT_AN_OBJECT = Reason(
        "not-an-object",
        Fault.BACKEND,
        "One part is a JSON object that holds its topic; other values need two parts.",
    )
    NO_TOPIC = Reason("no-topic", Fault.BACKEND, "The object lacks the key that names its topic.")
    TOPIC_NOT_STRING = Reason(
        "topic-not-string", Fault.BACKEND, "The topic is not a string; send it in quotes."
    )
    TOPIC_EMPTY = Reason("topic-empty", Fault.BACKEND, "The topic is an empty string.")
    TOPIC_TOO_LONG = Reason(
        "topic-too-long", Fault.BACKEND, "The topic is longer than limits.topic_bytes."
    )
    TOPIC_RESERVED = Reason(
        "topic-reserved",
        Fault.BACKEND,
        "Topics that begin with wampush. are the server's own; choose another name.",
    )
    WRONG_PART_COUNT = Reason(
        "wrong-part-count",
        Fault.BACKEND,
        "A push has one part (object), two (topic, JSON) or three (topic, JSON, options).",
    )
    TOO_LARGE = Reason(
        "too-large", Fault.BACKEND, "The message is longer than zmq.max_message_bytes."
    )
    BAD_OPTIONS = Reason(
        "bad-options",
        Fault.BACKEND,
        'The options are a JSON object with "to", "exclude" and "eligible"; no other key is known.',
    )

    # A push over HTTP.
    NO_ACCESS = Reason(
        "no-access",
        Fault.BACKEND,
        "Publishing needs the token of http.token_file as a bearer token; without that file, a "
        "request of this machine to 127.0.0.1 or localhost.",
    )
    FOREIGN_PAGE = Reason(
        "foreign-page",
        Fault.BACKEND,
        "A page of another site sent this; while http.token_file is not set, only programs may.",
    )
    CLIENTS_BEHIND = Reason(
        "clients-behind",
        Fault.BACKEND,
        "Pushes pause until clients have caught up, and this one waited too long; send it again.",
    )
    STOPPING = Reason("stopping", Fault.BACKEND, "The server is stopping; send it again shortly.")

    # The connection of a backend.
    BACKEND_ADDRESS = Reason(
        "backend-address", Fault.BACKEND, "The backend's address is not in zmq.allow."
    )
    BACKEND_KEY = Reason(
        "backend-key", Fault.BACKEND, "The backend's CURVE key is not in zmq.curve_client_keys."
    )

    # A message of a client.
    BINARY_FRAME = Reason(
        "binary-frame", Fault.CLIENT, "WAMP v1 speaks in text frames; this one was binary."
    )
    MESSAGE_NOT_JSON = Reason("message-not-json", Fault.CLIENT, "The text is not JSON (RFC 8259).")
    MESSAGE_NOT_LIST = Reason("message-not-list", Fault.CLIENT, "A WAMP v1 message is a JSON list.")
    MESSAGE_EMPTY = Reason(
        "message-empty", Fault.CLIENT, "The list is empty; it starts with a type."
    )
    UNKNOWN_TYPE = Reason(
        "unknown-type",
        Fault.CLIENT,
        "The message type is none that a client sends (1, 2, 5, 6, 7).",
    )
    WRONG_ARITY = Reason("wrong-arity", Fault.CLIENT, "The list has too few or too many elements.")
    WRONG_TYPE = Reason(
        "wrong-type", Fault.CLIENT, "An element of the list has the wrong JSON type."
    )
    CLIENT_TOPIC_EMPTY = Reason("client-topic-empty", Fault.CLIENT, "The topic is an empty string.")
    CLIENT_TOPIC_TOO_LONG = Reason(
        "client-topic-too-long", Fault.CLIENT, "The topic is longer than limits.topic_bytes."
    )
    TOO_MANY_SUBSCRIPTIONS = Reason(
        "too-many-subscriptions",
        Fault.CLIENT,
        "The session has limits.subscriptions_per_session already.",
    )
    TOO_MANY_TOPICS = Reason(
        "too-many-topics", Fault.CLIENT, "The node has limits.topics topics already."
    )
    TOO_MANY_PREFIXES = Reason(
        "too-many-prefixes", Fault.CLIENT, "The session has limits.prefixes_per_session already."
    )
    SUBSCRIBE_FORBIDDEN = Reason(
        "subscribe-forbidden",
        Fault.CLIENT,
        "This client may not subscribe here; see [[permissions]] and clients.subscribe.",
    )
    PRESENCE_OFF = Reason(
        "presence-off",
        Fault.CLIENT,
        "Who is on this topic is told to nobody; an entry of [[topics]] may say presence = true.",
    )
    NOT_AUTHENTICATED = Reason(
        "not-authenticated",
        Fault.CLIENT,
        "The session has to prove first whose it is (WAMP-CRA: authreq, then auth).",
    )
    CLIENT_TOPIC_RESERVED = Reason(
        "client-topic-reserved",
        Fault.CLIENT,
        "Topics that begin with wampush., and errors of actions, come from the server alone.",
    )
    TOO_MANY_PENDING = Reason(
        "too-many-pending",
        Fault.CLIENT,
        "limits.pending_per_session requests of the session wait for application code already, or "
        "limits.pending_bytes_per_session bytes of them.",
    )
    APPLICATION_REFUSED = Reason(
        "application-refused", Fault.CLIENT, "Application code does not allow this."
    )
    APPLICATION_FAILED = Reason(
        "application-failed",
        Fault.OPERATOR,
        "Application code that had to decide failed or took too long, so it is not done.",
    )
    SESSION_ENDED = Reason(
        "session-ended", Fault.CLIENT, "The session ended before application code had decided."
    )
    PREFIX_TOO_LONG = Reason(
        "prefix-too-long", Fault.CLIENT, "The prefix and its URI exceed limits.topic_bytes."
    )
    PUBLISH_FORBIDDEN = Reason(
        "publish-forbidden",
        Fault.CLIENT,
        "This client may not publish here; see [[permissions]] and clients.publish.",
    )
    CALL_FORBIDDEN = Reason(
        "call-forbidden",
        Fault.CLIENT,
        "This client may not call this procedure; see [[permissions]] and clients.call.",
    )
    PUBLISH_TOO_LARGE = Reason(
        "publish-too-large",
        Fault.CLIENT,
        "The event is longer than max_bytes of the entry of [[permissions]] that allows it.",
    )
    CALL_TOO_LARGE = Reason(
        "call-too-large",
        Fault.CLIENT,
        "The call is longer than max_bytes of the entry of [[permissions]] that allows it.",
    )
    RATE_EXCEEDED = Reason(
        "rate-exceeded",
        Fault.CLIENT,
        "The session does this more often than per_second of the entry of [[permissions]] allows.",
    )

    @property
    def code(self) -> str:
        """The stable word of this reason."""
        return self.value.code

    @property
    def fault(self) -> Fault:
        """Who can mend it."""
        return self.value.fault

    @property
    def sentence(self) -> str:
        """What happened, for that person."""
        return self.value.sentence


@dataclass(frozen=True, slots=True)
class Ending:
    """One row of the table of connection ends.

    :param code: stable word for logs, metrics and documentation.
    :param sentence: what happened.
    :param http_status: the answer to a handshake that is refused, else None.
    :param close_code: RFC 6455 section 7.4 code when a Close frame is sent; None means the TCP
        connection ends without one, so that clients that retry only unclean ends come back.
    :param worth_a_line: whether an operator wants to read of it in the log.
    """

    code: str
    sentence: str
    http_status: int | None = None
    close_code: int | None = None
    worth_a_line: bool = True


@unique
class CloseReason(Enum):
    """Why a connection ended, or was never opened."""

    # Handshakes that were refused.
    SUBPROTOCOL_REQUIRED = Ending(
        "subprotocol-required",
        'The WebSocket subprotocol "wamp" was not offered; offer it, or set '
        "websocket.require_subprotocol = false.",
        http_status=400,
    )
    BAD_HANDSHAKE = Ending(
        "bad-handshake", "The request is no WebSocket handshake (RFC 6455 section 4.2.1).", 400
    )
    HEADER_TOO_LARGE = Ending(
        "header-too-large", "The request header is longer than websocket.max_header_bytes.", 431
    )
    ORIGIN_FORBIDDEN = Ending(
        "origin-forbidden",
        "Pages of this origin may not connect; add it to websocket.origins, or to the origins of "
        "the route.",
        403,
    )
    TOO_MANY_FROM_ADDRESS = Ending(
        "too-many-from-address",
        "limits.connections_per_address are open from this address already.",
        429,
    )
    TOO_MANY_OF_USER = Ending(
        "too-many-of-user", "limits.connections_per_user are open of this user already.", 429
    )
    TOO_MANY_CONNECTIONS = Ending(
        "too-many-connections", "websocket.max_connections are open already.", 503
    )
    TOO_MANY_HTTP_CONNECTIONS = Ending(
        "too-many-http-connections",
        "http.max_connections are open already; this one was closed before it was read.",
    )
    PLAIN_REQUEST = Ending(
        "plain-request",
        "An ordinary GET, answered by a page that says what this port is.",
        200,
        worth_a_line=False,
    )
    SHUTTING_DOWN = Ending("shutting-down", "The server is stopping; try again shortly.", 503)
    TOKEN_REFUSED = Ending("token-refused", "The token does not tell who the client is.", 401)
    AUTHENTICATION_REQUIRED = Ending(
        "authentication-required",
        "Nothing in the request tells who the client is, and auth.order allows nobody unknown.",
        401,
    )
    AUTHENTICATION_FORBIDDEN = Ending(
        "authentication-forbidden", "The web application does not let this client in.", 403
    )
    CONNECT_REFUSED = Ending(
        "connect-refused", "Application code does not let this client in.", 403
    )
    CONNECT_UNDECIDED = Ending(
        "connect-undecided",
        "Application code that has to let clients in failed or took too long; try again.",
        503,
    )
    AUTHENTICATION_UNAVAILABLE = Ending(
        "authentication-unavailable", "Who the client is could not be found out; try again.", 503
    )
    HANDSHAKE_TIMEOUT = Ending(
        "handshake-timeout", "The handshake was not complete after websocket.handshake_timeout."
    )

    # Open connections.
    PEER_CLOSED = Ending("peer-closed", "The client closed the WebSocket.", worth_a_line=False)
    PEER_LOST = Ending(
        "peer-lost",
        "The TCP connection was lost without a WebSocket close.",
        worth_a_line=False,
    )
    SILENT = Ending("silent", "Nothing came for websocket.silence_timeout, not even a pong.")
    SLOW_CLIENT = Ending(
        "slow-client", "More than clients.queue_bytes waited for a client that reads too slowly."
    )
    FLOODING = Ending(
        "flooding",
        "The client sent more than limits.messages_per_second for longer than "
        "limits.message_burst covers, or more than limits.pending_per_session messages that a "
        "component has not dealt with.",
    )
    IDENTITY_EXPIRED = Ending(
        "identity-expired",
        "The identity of the session expired; wampush.refresh renews a token in time.",
        worth_a_line=False,
    )
    AUTHENTICATION_TIMEOUT = Ending(
        "authentication-timeout", "The session did not prove whose it is within cra.timeout."
    )
    ENDED_BY_APPLICATION = Ending(
        "ended-by-application",
        "Application code ended the session; a page does not come back by itself.",
        close_code=3000,
    )
    CLOSED_BY_COMPONENT = Ending(
        "closed-by-component",
        "A component closed the connection, with a close code of its choice.",
        worth_a_line=False,
    )
    COMPONENT_FAILED = Ending(
        "component-failed",
        "A method of a component raised; the log holds the incident with its traceback.",
        close_code=1011,
        worth_a_line=False,
    )
    MESSAGE_TOO_LARGE = Ending(
        "message-too-large",
        "A message was longer than websocket.max_message_bytes.",
        close_code=1009,
    )
    PROTOCOL_VIOLATION = Ending(
        "protocol-violation", "The client broke the WebSocket protocol (RFC 6455).", close_code=1002
    )
    INVALID_PAYLOAD = Ending(
        "invalid-payload", "A text frame or close reason was not UTF-8.", close_code=1007
    )
    INTERNAL_ERROR = Ending(
        "internal-error", "A defect of wampush itself; the log holds the traceback."
    )
    SERVER_STOPPED = Ending(
        "server-stopped",
        "The server stopped and dropped the connection so that clients retry.",
        worth_a_line=False,
    )

    @property
    def code(self) -> str:
        """The stable word of this reason."""
        return self.value.code

    @property
    def sentence(self) -> str:
        """What happened."""
        return self.value.sentence
