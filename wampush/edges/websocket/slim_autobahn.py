"""Autobahn's server protocol without its state per connection.

Owns: the defaults that Autobahn would otherwise set on every instance.
Must not import: anything of wampush.

Autobahn's ``__init__`` and ``_connectionMade`` give each connection futures, an event table,
transport details, statistics, a send queue, a validator and a copy of thirty options, and format
those options for a debug message: about 8 KiB and half of the time of a connect. All of it is the
same for every connection or never read here, so it is set on the class, and the validator is made
when a message needs it. A test compares these attributes with what Autobahn sets, so that a new
release cannot change them unnoticed.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats
from autobahn.websocket.utf8validator import Utf8Validator


class _UnusedFuture:
    """Takes the place of the futures that Autobahn resolves when a connection opens and closes."""

    def callback(self, result: object) -> None:
        """Do nothing; no code waits for the result."""


class _ServerSide:
    """All that Autobahn reads from its factory once the handshake is done."""

    isServer = True


class SlimServerProtocol(WebSocketServerProtocol):
    """The base of our connections; a subclass calls neither inherited initialiser."""

    factory: Any = _ServerSide()

    # What Autobahn's _connectionMade and __init__ set on each instance.
    state = WebSocketServerProtocol.STATE_CONNECTING
    send_state = WebSocketServerProtocol.SEND_STATE_GROUND
    data = b""
    triggered = False
    current_frame: Any = None
    inside_message = False
    message_data: list[bytes]
    trackedTimings = None
    trafficStats = TrafficStats()
    wasMaxFramePayloadSizeExceeded = False
    wasMaxMessagePayloadSizeExceeded = False
    closedByMe = False
    failedByMe = False
    droppedByMe = False
    wasClean = False
    wasNotCleanReason = None
    wasServerConnectionDropTimeout = False
    wasOpenHandshakeTimeout = False
    wasCloseHandshakeTimeout = False
    wasServingFlashSocketPolicyFile = False
    localCloseCode = None
    localCloseReason = None
    remoteCloseCode = None
    remoteCloseReason = None
    openHandshakeTimeoutCall = None
    closeHandshakeTimeoutCall = None
    autoPingTimeoutCall = None
    autoPingPending = None
    autoPingPendingCall = None
    autoPingPendingSeq = 0
    autoPingPendingSent = None
    is_closed = _UnusedFuture()
    is_open = _UnusedFuture()
    _perMessageCompress: Any = None
    _transport_details = None
    websocket_version = 13

    # Autobahn's options; the timers are ours, and frames are limited by the message's size.
    logOctets = False
    logFrames = False
    trackTimings = False
    utf8validateIncoming = True
    requireMaskedClientFrames = True
    maskServerFrames = False
    applyMask = True
    maxFramePayloadSize = 0
    autoFragmentSize = 0
    failByDrop = True
    echoCloseCodeReason = False
    openHandshakeTimeout = 0
    closeHandshakeTimeout = 0
    autoPingInterval = 0
    autoPingTimeout = 0
    autoPingSize = 12
    autoPingRestartOnAnyTraffic = False

    @cached_property
    def utf8validator(self) -> Any:
        """Autobahn's incremental UTF-8 validator; few messages need it."""
        return Utf8Validator()
