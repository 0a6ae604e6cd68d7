"""The reasons why inputs are refused: pushes, messages of clients, backends that connect.

Owns: this table; code, log lines, metrics and ``docs/reference/reasons.md`` use its codes.
Must not import: anything of wampush but ``fault``.

Refused handshakes of clients are in ``close_reasons``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique

from wampush.reasons.fault import Fault


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table of refusals.

    :param code: stable identifier for logs, metrics and documentation.
    :param fault: who can fix it.
    :param sentence: what is wrong and what would be right, for whoever can fix it.
    """

    code: str
    fault: Fault
    sentence: str


@unique
class Refusal(Enum):
    """Why an input was refused. The connection of its sender is not affected."""

    # A push of a backend.
    EMPTY = Reason("empty", Fault.BACKEND, "The message is empty; send a JSON object.")
    NOT_UTF8 = Reason("not-utf8", Fault.BACKEND, "The bytes are not UTF-8; encode text as UTF-8.")
    NOT_JSON = Reason("not-json", Fault.BACKEND, "The text is not JSON (RFC 8259).")
    NOT_AN_OBJECT = Reason(
        "not-an-object",
        Fault.BACKEND,
        "A one-part push must be a JSON object that names its topic; send any other value"
        " as the second of two parts.",
    )
    NO_TOPIC = Reason("no-topic", Fault.BACKEND, "The object has no key that names its topic.")
    TOPIC_NOT_STRING = Reason(
        "topic-not-string", Fault.BACKEND, "The topic is not a JSON string; put it in quotes."
    )
    TOPIC_EMPTY = Reason(
        "topic-empty", Fault.BACKEND, "The topic is an empty string; name a topic."
    )
    TOPIC_TOO_LONG = Reason(
        "topic-too-long", Fault.BACKEND, "The topic is longer than limits.topic_bytes."
    )
    TOPIC_RESERVED = Reason(
        "topic-reserved",
        Fault.BACKEND,
        "Topics that begin with wampush. are reserved for the server; choose another name.",
    )
    WRONG_PART_COUNT = Reason(
        "wrong-part-count",
        Fault.BACKEND,
        "A push has one part (object), two (topic, JSON) or three (topic, JSON, options).",
    )
    TOO_LARGE = Reason(
        "too-large", Fault.BACKEND, "The message is longer than pushes.max_message_bytes."
    )
    BAD_OPTIONS = Reason(
        "bad-options",
        Fault.BACKEND,
        'The options must be a JSON object with no other keys than "to", "exclude", "eligible" and '
        '"topics".',
    )

    BAD_LIST = Reason(
        "bad-list",
        Fault.BACKEND,
        'A list of publications has objects with "topic" and "data", and if needed "id" and the'
        " options of a push.",
    )
    BAD_ID = Reason(
        "bad-id", Fault.BACKEND, "The id of a push must be a string of 1 to 200 characters."
    )
    ID_REUSED = Reason(
        "id-reused",
        Fault.BACKEND,
        "Another push had this id within the last 5 minutes; give each push an id of its own.",
    )

    # A publication, whoever sends it.
    STALE = Reason(
        "stale",
        Fault.BACKEND,
        "A newer version was published before; publish the versions of topics.version_by in order,"
        " or leave the older one out.",
    )

    NOT_STORED = Reason(
        "not-stored",
        Fault.OPERATOR,
        "The database of history.database did not store it, so that nobody got it; see the log, "
        "and send it again.",
    )

    BACKPLANE_AWAY = Reason(
        "backplane-away",
        Fault.OPERATOR,
        "Redis, which joins the nodes, did not take it, so that nobody got it; see backplane in"
        " /readyz, and send it again.",
    )

    # A message of another node.
    NODE_VERSION = Reason(
        "node-version",
        Fault.OPERATOR,
        "Another node sends messages of a version that this node does not know; run versions of "
        "wampush side by side that know each other's messages.",
    )
    NODE_FORM = Reason(
        "node-form",
        Fault.OPERATOR,
        "This is not a message of a node; something else publishes to the channels of the "
        "backplane. Give each installation a backplane.prefix of its own, and write access to "
        "nobody else.",
    )

    # A push over HTTP.
    NO_ACCESS = Reason(
        "no-access",
        Fault.BACKEND,
        "Changes over HTTP need the token in http.token_file as a bearer token; "
        "without that file, only requests from this machine to 127.0.0.1 or localhost are"
        " accepted.",
    )
    FOREIGN_PAGE = Reason(
        "foreign-page",
        Fault.BACKEND,
        "A page of another site sent this request; while http.token_file is not set, only"
        " programs may publish and end sessions.",
    )
    CLIENTS_BEHIND = Reason(
        "clients-behind",
        Fault.BACKEND,
        "Pushes are paused until clients have caught up, and this one waited too long; "
        "send it again.",
    )
    STOPPING = Reason("stopping", Fault.BACKEND, "The server is stopping; send it again shortly.")

    # The connection of a backend.
    BACKEND_ADDRESS = Reason(
        "backend-address", Fault.BACKEND, "The backend's address is not in zmq.allow."
    )
    BACKEND_KEY = Reason(
        "backend-key", Fault.BACKEND, "The backend's CURVE key is not in zmq.curve_client_keys."
    )
    BACKEND_HANDSHAKE = Reason(
        "backend-handshake",
        Fault.BACKEND,
        "The ZeroMQ handshake failed; only PUSH sockets of libzmq 4 or newer (ZMTP 3) may connect,"
        " with CURVE where a key is configured.",
    )
    BACKEND_LIMIT = Reason(
        "backend-limit",
        Fault.BACKEND,
        "The server already has zmq.max_connections backends, or no descriptors for more.",
    )

    # A message of a client.
    BINARY_FRAME = Reason(
        "binary-frame", Fault.CLIENT, "WAMP v1 uses text frames only; this frame was binary."
    )
    MESSAGE_NOT_JSON = Reason("message-not-json", Fault.CLIENT, "The text is not JSON (RFC 8259).")
    MESSAGE_NOT_LIST = Reason("message-not-list", Fault.CLIENT, "A WAMP v1 message is a JSON list.")
    MESSAGE_EMPTY = Reason(
        "message-empty", Fault.CLIENT, "The list is empty; it must start with a message type."
    )
    UNKNOWN_TYPE = Reason(
        "unknown-type",
        Fault.CLIENT,
        "The first element is not a message type that a client may send (1, 2, 5, 6 or 7).",
    )
    WRONG_ARITY = Reason("wrong-arity", Fault.CLIENT, "The list has too few or too many elements.")
    WRONG_TYPE = Reason(
        "wrong-type", Fault.CLIENT, "An element of the list has the wrong JSON type."
    )
    CLIENT_TOPIC_EMPTY = Reason(
        "client-topic-empty", Fault.CLIENT, "The topic is an empty string; name a topic."
    )
    CLIENT_TOPIC_TOO_LONG = Reason(
        "client-topic-too-long", Fault.CLIENT, "The topic is longer than limits.topic_bytes."
    )
    TOO_MANY_SUBSCRIPTIONS = Reason(
        "too-many-subscriptions",
        Fault.CLIENT,
        "The session already has limits.subscriptions_per_session subscriptions.",
    )
    TOO_MANY_TOPICS = Reason(
        "too-many-topics", Fault.CLIENT, "The node already has limits.topics topics."
    )
    TOO_MANY_PREFIXES = Reason(
        "too-many-prefixes",
        Fault.CLIENT,
        "The session already has limits.prefixes_per_session prefixes.",
    )
    SUBSCRIBE_FORBIDDEN = Reason(
        "subscribe-forbidden",
        Fault.CLIENT,
        "This client may not subscribe to this topic; see [[permissions]] and clients.subscribe.",
    )
    PRESENCE_OFF = Reason(
        "presence-off",
        Fault.CLIENT,
        "Presence is off for this topic; set presence = true in its [[topics]] entry.",
    )
    NOT_AUTHENTICATED = Reason(
        "not-authenticated",
        Fault.CLIENT,
        "The session must authenticate first (WAMP-CRA: call authreq, then auth).",
    )
    CLIENT_TOPIC_RESERVED = Reason(
        "client-topic-reserved",
        Fault.CLIENT,
        "Only the server publishes to topics that begin with wampush. and to the error "
        "topics of actions.",
    )
    TOO_MANY_PENDING = Reason(
        "too-many-pending",
        Fault.CLIENT,
        "The session already has limits.pending_per_session requests, or "
        "limits.pending_bytes_per_session bytes of requests, that wait for application code or "
        "for Redis.",
    )
    SESSION_MEMORY = Reason(
        "session-memory",
        Fault.CLIENT,
        "The node would keep more than limits.kept_bytes_per_session for this session: "
        "subscriptions, prefixes, and requests that wait for application code.",
    )
    ADDRESS_MEMORY = Reason(
        "address-memory",
        Fault.CLIENT,
        "The node would keep more than limits.kept_bytes_per_address for the clients of this "
        "address together.",
    )
    TOTAL_MEMORY = Reason(
        "total-memory",
        Fault.OPERATOR,
        "The node would keep more than limits.kept_bytes for all clients together; try again "
        "later.",
    )
    APPLICATION_REFUSED = Reason(
        "application-refused", Fault.CLIENT, "The application refused this request."
    )
    APPLICATION_FAILED = Reason(
        "application-failed",
        Fault.OPERATOR,
        "The application failed or took too long to decide, so the request was refused.",
    )
    SESSION_ENDED = Reason(
        "session-ended",
        Fault.CLIENT,
        "The session ended while the request waited for application code or for Redis.",
    )
    PREFIX_TOO_LONG = Reason(
        "prefix-too-long", Fault.CLIENT, "The prefix and its URI exceed limits.topic_bytes."
    )
    PUBLISH_FORBIDDEN = Reason(
        "publish-forbidden",
        Fault.CLIENT,
        "This client may not publish to this topic; see [[permissions]] and clients.publish.",
    )
    CALL_FORBIDDEN = Reason(
        "call-forbidden",
        Fault.CLIENT,
        "This client may not call this procedure; see [[permissions]] and clients.call.",
    )
    PUBLISH_TOO_LARGE = Reason(
        "publish-too-large",
        Fault.CLIENT,
        "The event is longer than max_bytes in the [[permissions]] entry that allows it.",
    )
    CALL_TOO_LARGE = Reason(
        "call-too-large",
        Fault.CLIENT,
        "The call is longer than max_bytes in the [[permissions]] entry that allows it.",
    )
    RATE_EXCEEDED = Reason(
        "rate-exceeded",
        Fault.CLIENT,
        "The session sends more of these per second than per_second in the "
        "[[permissions]] entry allows.",
    )

    @property
    def code(self) -> str:
        """The stable identifier of this reason."""
        return self.value.code

    @property
    def fault(self) -> Fault:
        """Who can fix it."""
        return self.value.fault

    @property
    def sentence(self) -> str:
        """What is wrong and what would be right, for whoever can fix it."""
        return self.value.sentence
