"""The nine messages of WAMP v1.

Owns: one frozen dataclass a message. Must not import: anything of wampush.

On the wire each message is one JSON list in one WebSocket text frame; its first element is the
type. C is the client, S the server (WAMP v1 specification, "Messages")::

    0 WELCOME      S→C  [0, sessionId, 1, serverIdent]        first, once
    1 PREFIX       C→S  [1, prefix, uri]
    2 CALL         C→S  [2, callId, procUriOrCurie, arg…]
    3 CALLRESULT   S→C  [3, callId, result]
    4 CALLERROR    S→C  [4, callId, errorUri, desc] or […, details]
    5 SUBSCRIBE    C→S  [5, topicUriOrCurie]
    6 UNSUBSCRIBE  C→S  [6, topicUriOrCurie]
    7 PUBLISH      C→S  [7, topic, event], […, excludeMe], […, exclude], […, exclude, eligible]
    8 EVENT        S→C  [8, topicUri, event]

Every CALL is answered by a CALLRESULT or a CALLERROR; SUBSCRIBE, UNSUBSCRIBE and PUBLISH have no
reply at all. Events are kept as the JSON text they came in (``bytes``): 1.0 stays 1.0, {} stays {}
and integers keep all their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PROTOCOL_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Welcome:
    """The session is open.

    :param session_id: unpredictable id of the session.
    :param server: name and version of the server.
    :param protocol_version: always 1.
    """

    session_id: str
    server: str
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class Prefix:
    """From now on ``prefix:rest`` means ``uri`` followed by ``rest``."""

    prefix: str
    uri: str


@dataclass(frozen=True, slots=True)
class Call:
    """Run a procedure.

    :param call_id: chosen by the caller; its answer carries it.
    :param procedure: URI or CURIE.
    :param arguments: JSON values.
    """

    call_id: str
    procedure: str
    arguments: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class CallResult:
    """A procedure's result, any JSON value."""

    call_id: str
    result: object = None


@dataclass(frozen=True, slots=True)
class CallError:
    """A procedure failed.

    :param details: any JSON value but null; None leaves the element out.
    """

    call_id: str
    uri: str
    description: str
    details: object = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send me the events of this topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Send me no more events of this topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Send an event to the subscribers of a topic.

    :param event: the JSON text of the event.
    :param exclude_me: whether the publisher itself is left out; None when the client did not say.
    :param exclude: session ids that do not get it; replaces ``exclude_me`` when given.
    :param eligible: the only session ids that may get it; None when the client did not say.
    """

    topic: str
    event: bytes
    exclude_me: bool | None = None
    exclude: tuple[str, ...] | None = None
    eligible: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a topic.

    :param topic: the resolved URI, never a CURIE.
    :param event: the JSON text of the event.
    """

    topic: str
    event: bytes


ClientMessage = Prefix | Call | Subscribe | Unsubscribe | Publish
ServerMessage = Welcome | CallResult | CallError | Event
Message = ClientMessage | ServerMessage
