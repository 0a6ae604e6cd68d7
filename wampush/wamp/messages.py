"""The nine messages of WAMP v1.

Owns: one dataclass per message; ``codec`` reads and writes their text, and ``session`` has replies
written. Must not import: anything of wampush.

Each message is one JSON list in one WebSocket text frame. Its first element is the type, an
integer. C is the client, S the server (WAMP v1 specification, "Messages")::

    type             way   list
    0 WELCOME        S→C   [0, sessionId, 1, serverIdent]
    1 PREFIX         C→S   [1, prefix, uri]
    2 CALL           C→S   [2, callId, procedure, argument…]
    3 CALLRESULT     S→C   [3, callId, result]
    4 CALLERROR      S→C   [4, callId, errorUri, description]
                           [4, callId, errorUri, description, details]
    5 SUBSCRIBE      C→S   [5, topic]
    6 UNSUBSCRIBE    C→S   [6, topic]
    7 PUBLISH        C→S   [7, topic, event]
                           [7, topic, event, excludeMe]
                           [7, topic, event, exclude]
                           [7, topic, event, exclude, eligible]
    8 EVENT          S→C   [8, topicUri, event]

Elements: ``excludeMe`` is a boolean. ``exclude`` and ``eligible`` are lists of session ids.
``argument``, ``result``, ``details`` and ``event`` are any JSON values, but ``details`` is never
null. All others are strings. ``procedure`` and ``topic`` are URIs or CURIEs.

Rules:

* WELCOME is the first message of a session, and it is sent once.
* A CURIE is ``prefix:rest`` with a prefix that the client has defined by PREFIX in this session; it
  stands for the prefix's URI followed by the rest. A later PREFIX replaces an earlier one.
* Every CALL is answered by one CALLRESULT or CALLERROR with its ``callId``.
* SUBSCRIBE, UNSUBSCRIBE and PUBLISH have no answer, even if they are refused.
* EVENT carries the resolved URI of its topic, never a CURIE.
* The publisher does not get its own event, unless ``excludeMe`` is false or a list takes its place.

Events stay the JSON text in which they arrived (``bytes``): 1.0 stays 1.0, {} stays {}, and
integers keep all their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

PROTOCOL_VERSION: Final = 1

# The messages are not frozen, because that makes construction four times as slow; the type checker
# keeps their fields.


@dataclass(slots=True)
class Welcome:
    """The session is open.

    :param session_id: unpredictable id of the session.
    :param server: name and version of the server.
    :param protocol_version: always 1.
    """

    TYPE: ClassVar[int] = 0

    session_id: Final[str]
    server: Final[str]
    protocol_version: Final[int] = PROTOCOL_VERSION


@dataclass(slots=True)
class Prefix:
    """A definition: from now on, ``prefix:rest`` means ``uri`` followed by ``rest``."""

    TYPE: ClassVar[int] = 1

    prefix: Final[str]
    uri: Final[str]


@dataclass(slots=True)
class Call:
    """A request to run a procedure.

    :param call_id: chosen by the caller; the answer carries it.
    :param procedure: URI or CURIE.
    :param arguments: JSON values.
    """

    TYPE: ClassVar[int] = 2

    call_id: Final[str]
    procedure: Final[str]
    arguments: Final[tuple[object, ...]] = ()


@dataclass(slots=True)
class CallResult:
    """The result of a procedure, any JSON value."""

    TYPE: ClassVar[int] = 3

    call_id: Final[str]
    result: Final[object] = None


@dataclass(slots=True)
class CallError:
    """The failure of a procedure.

    :param details: any JSON value except null; None leaves the element out.
    """

    TYPE: ClassVar[int] = 4

    call_id: Final[str]
    uri: Final[str]
    description: Final[str]
    details: Final[object] = None


@dataclass(slots=True)
class Subscribe:
    """A request for the events of a topic."""

    TYPE: ClassVar[int] = 5

    topic: Final[str]


@dataclass(slots=True)
class Unsubscribe:
    """A request for no more events of a topic."""

    TYPE: ClassVar[int] = 6

    topic: Final[str]


@dataclass(slots=True)
class Publish:
    """An event for the subscribers of a topic.

    :param event: the JSON text of the event.
    :param exclude_me: whether to leave out the publisher; None when the client did not say.
    :param exclude: session ids to leave out; replaces ``exclude_me`` when given.
    :param eligible: the only session ids that may get the event; None for all.
    """

    TYPE: ClassVar[int] = 7

    topic: Final[str]
    event: Final[bytes]
    exclude_me: Final[bool | None] = None
    exclude: Final[tuple[str, ...] | None] = None
    eligible: Final[tuple[str, ...] | None] = None


@dataclass(slots=True)
class Event:
    """An event of a topic.

    :param topic: the resolved URI, never a CURIE.
    :param event: the JSON text of the event.
    """

    TYPE: ClassVar[int] = 8

    topic: Final[str]
    event: Final[bytes]


ClientMessage = Prefix | Call | Subscribe | Unsubscribe | Publish
ServerMessage = Welcome | CallResult | CallError | Event
Message = ClientMessage | ServerMessage
