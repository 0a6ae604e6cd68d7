"""The negotiation of permessage-deflate (RFC 7692).

Owns: the choice among the offers of a client, and the parameters.
Must not import: the broker.

The server compresses without context takeover, whatever the client offers: only then can all
clients with the same parameters share one compressed frame. It asks the client to do the same
(section 7.1.1.2), so that an idle connection needs no decompressor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from autobahn.exception import PayloadExceededError
from autobahn.websocket.compress_deflate import PerMessageDeflate

from wampush.edges.websocket.wamp_v1_formats import WampV1Format, deflated

_NAME: Final = "permessage-deflate"
_MAX_WINDOW_BITS: Final = 15
# zlib cannot make raw streams with a window of 8 bits, so an offer that insists on it is declined.
_WINDOW_BITS: Final = frozenset(str(bits) for bits in range(9, _MAX_WINDOW_BITS + 1))
_FLAGS: Final = frozenset(("server_no_context_takeover", "client_no_context_takeover"))


class _Inflater(PerMessageDeflate):
    """Autobahn's decompressor, with a limit on its input and without state between messages.

    Autobahn limits the output. Bytes after the end of a deflate stream produce no output, so
    endless fragments of them would pile up in zlib.
    """

    _received = 0

    def start_decompress_message(self) -> None:
        """Begin with a message."""
        self._received = 0
        super().start_decompress_message()

    def decompress_message_data(self, data: bytes, max_output_len: int | None = None) -> bytes:
        """Decompress a part of a message.

        :param data: the compressed bytes.
        :param max_output_len: the longest output in bytes.
        :raises PayloadExceededError: when the message is too long, compressed or not.
        """
        self._received += len(data)
        if self._received > self.max_message_size:
            raise PayloadExceededError(f"over {self.max_message_size} bytes, compressed")
        inflated: bytes = super().decompress_message_data(data, max_output_len)
        return inflated

    def end_decompress_message(self) -> None:
        """End a message; the next one gets a new decompressor, of about 40 KiB."""
        super().end_decompress_message()
        self._decompressor = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The parameters agreed with one client.

    :param window_bits: base-2 logarithm of the server's window size; less than 15 when the client
        asked for it.
    """

    window_bits: int

    @property
    def header(self) -> str:
        """The value of Sec-WebSocket-Extensions in the response."""
        text = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"
        if self.window_bits < _MAX_WINDOW_BITS:
            text += f"; server_max_window_bits={self.window_bits}"
        return text

    def inflater(self, max_bytes: int) -> Any:
        """Return a decompressor for the client's messages.

        :param max_bytes: the longest message, compressed or not.
        """
        return _Inflater(
            is_server=True,
            server_no_context_takeover=True,
            client_no_context_takeover=True,
            server_max_window_bits=self.window_bits,
            client_max_window_bits=_MAX_WINDOW_BITS,
            mem_level=None,
            max_message_size=max_bytes,
        )

    def format(self, min_bytes: int) -> WampV1Format:
        """Return the format that all clients with these parameters share.

        :param min_bytes: messages shorter than this are sent uncompressed.
        """
        return deflated(self.window_bits, min_bytes)


def agreement_of(inflater: Any) -> Agreement | None:
    """Return what was agreed with a client.

    :param inflater: its decompressor; None for a client without compression.
    """
    return None if inflater is None else Agreement(inflater.server_max_window_bits)


def _window_bits(parameters: list[str]) -> int | None:
    """Return the window that an offer asks of the server; None to decline the offer."""
    window_bits = _MAX_WINDOW_BITS
    seen: set[str] = set()
    for parameter in parameters:
        name, equals, quoted = (part.strip() for part in parameter.partition("="))
        value = quoted.strip('"')
        known = (
            (name in _FLAGS and not equals)
            or (name == "server_max_window_bits" and value in _WINDOW_BITS)
            or (name == "client_max_window_bits" and (not equals or value in _WINDOW_BITS | {"8"}))
        )
        if not known or name in seen:
            return None
        seen.add(name)
        if name == "server_max_window_bits":
            window_bits = int(value)
    return window_bits


def agree(header: str) -> Agreement | None:
    """Accept the first possible offer (RFC 7692 section 5.1); return None to decline all.

    :param header: the client's Sec-WebSocket-Extensions.
    """
    for offer in header.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name.lower() == _NAME:
            window_bits = _window_bits(parameters)
            if window_bits is not None:
                return Agreement(window_bits)
    return None
