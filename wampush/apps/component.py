"""The API of plain WebSocket components.

Owns: Component, ComponentConnection, and the WebSocket connection as these use it.
Must not import: Twisted, the edges, the composition root.

A component serves one path (``[[routes]]`` in the configuration): one object for all connections,
which is created once when the server starts, by calling its class without arguments. Everything
runs in the reactor's thread; call from another thread through ``reactor.callFromThread``.
"""

from __future__ import annotations

from collections.abc import Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.errors import CloseReason

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

__all__ = ["Answer", "Component", "ComponentConnection", "ConnectRequest", "Identity", "Line"]

Answer: TypeAlias = "Coroutine[Any, Any, object] | Deferred[Any] | None"
"""What a method returns: nothing, or what has to be waited for (``async def``, a Deferred)."""

_NORMAL: Final = 1000


class Line(Protocol):
    """The WebSocket connection, as a component's connection uses it."""

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""

    @property
    def reason(self) -> CloseReason | None:
        """Why it has ended; None while it is open."""

    def write_text(self, text: bytes) -> None:
        """Queue a text in UTF-8; do nothing when the connection has ended."""

    def write_binary(self, data: bytes) -> None:
        """Queue a binary message; do nothing when the connection has ended."""

    def end(self, reason: CloseReason, detail: str = "", code: int | None = None) -> None:
        """End the connection with a Close frame, once what is queued is sent."""

    def drop(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection at once."""


class ComponentConnection:
    """One client of a component, from ``on_open`` to ``on_close``.

    :param number: counted from 1, over all components of the server.
    :param identity: of the client, as established by ``auth.order``.
    :param request: path, query, headers and address of the handshake.
    :param subprotocol: the one that was agreed; None for none.
    """

    __slots__ = ("_data", "_line", "id", "identity", "request", "subprotocol")

    def __init__(
        self,
        line: Line,
        number: int,
        identity: Identity,
        request: ConnectRequest,
        subprotocol: str | None = None,
    ) -> None:
        self._line: Final = line
        self._data: SimpleNamespace | None = None
        self.id: Final = number
        self.identity: Final = identity
        self.request: Final = request
        self.subprotocol: Final = subprotocol

    def __repr__(self) -> str:
        return f"<ComponentConnection {self.id} of {self.request.address}>"

    @property
    def data(self) -> SimpleNamespace:
        """A namespace for the component's own attributes: ``conn.data.name = "Ann"``."""
        if self._data is None:
            self._data = SimpleNamespace()
        return self._data

    @property
    def is_open(self) -> bool:
        """Whether the client can still receive messages."""
        return self._line.reason is None

    def send(self, data: str | bytes) -> None:
        """Send a message after those sent before; do nothing when the client is gone.

        It is queued, and written at the end of the reactor turn. A client that reads too slowly is
        disconnected when more than ``clients.queue_bytes`` are queued for it.

        :param data: ``str`` is sent as text, ``bytes`` as binary.
        :raises TypeError: for anything else.
        :raises UnicodeEncodeError: for text with surrogates, which UTF-8 cannot express.
        """
        if isinstance(data, str):
            self._line.write_text(data.encode())
        else:
            # bytes() alone would take a number as a size.
            self._line.write_binary(bytes(memoryview(data)))

    def close(self, code: int = _NORMAL, reason: str = "") -> None:
        """End the connection once what is queued is sent; do nothing when it is gone.

        ``on_close`` follows when the connection is closed. Messages of the client that the
        component has not seen yet are dropped.

        :param code: of the Close frame (RFC 6455 section 7.4): 1000 to 1003, 1007 to 1014, or of
            the component's own choice, 3000 to 4999.
        :param reason: for the client, truncated to 123 bytes.
        :raises ValueError: when this code must not be sent.
        """
        if not _may_be_sent(code):
            raise ValueError(
                f"code must be 1000 to 1003, 1007 to 1014, or 3000 to 4999, not {code!r}; 1000 is "
                "the usual one"
            )
        self._line.end(CloseReason.CLOSED_BY_COMPONENT, reason, code)


def _may_be_sent(code: int) -> bool:
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


class Component:
    """The handler of all connections of one path. Subclass it and define what you need.

    Each method may be plain, ``async def``, or return a Deferred. The messages of one connection
    come in order: the next one waits until the method has ended. Other connections do not wait.
    """

    def on_open(self, conn: ComponentConnection) -> Answer:
        """Handle a client that has connected."""

    def on_message(self, conn: ComponentConnection, data: str | bytes) -> Answer:
        """Handle a message of a client.

        :param data: ``str`` for a text message, ``bytes`` for a binary one.
        """

    def on_close(self, conn: ComponentConnection) -> Answer:
        """Handle the end of a connection, whatever its reason; called once per ``on_open``."""

    def on_error(
        self,
        conn: ComponentConnection,  # noqa: ARG002 - for subclasses
        exc: Exception,
    ) -> Answer:
        """Handle an exception of one of the other methods.

        An exception of this method is logged with its traceback under an incident number, and the
        connection is closed with code 1011. By default it raises ``exc``; override it to go on.
        """
        raise exc
