"""Negotiating permessage-deflate (RFC 7692).

Owns: which offer of a client is accepted, and with which parameters.
Must not import: the broker.

The server compresses without context takeover, whatever the client offers, because only then can
all clients with the same parameters share one compressed frame; and it asks the client for the
same (section 7.1.1.2), so that an idle connection holds no inflater.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from autobahn.exception import PayloadExceededError
from autobahn.websocket.compress_deflate import PerMessageDeflate

from wampush.edges.websocket.formats import DeflatedFormat, deflated

_NAME: Final = "permessage-deflate"
_MOST_WINDOW_BITS: Final = 15
# zlib cannot make raw streams with a window of 8 bits, so an offer that insists on it is declined.
_WINDOW_BITS: Final = frozenset(str(bits) for bits in range(9, _MOST_WINDOW_BITS + 1))
_FLAGS: Final = frozenset(("server_no_context_takeover", "client_no_context_takeover"))


class _Inflater(PerMessageDeflate):
    """Autobahn's processor, which also counts what goes in and keeps nothing between messages.

    Autobahn bounds what comes out. What follows the end of a deflate stream comes out as nothing,
    so endless fragments of it would pile up in zlib.
    """

    _received = 0

    def start_decompress_message(self) -> None:
        """A message begins."""
        self._received = 0
        super().start_decompress_message()

    def decompress_message_data(self, data: bytes, max_output_len: int | None = None) -> bytes:
        """Inflate a piece of a message.

        :raises PayloadExceededError: when it is too long, compressed or not.
        """
        self._received += len(data)
        if self._received > self.max_message_size:
            raise PayloadExceededError(f"over {self.max_message_size} bytes, compressed")
        inflated: bytes = super().decompress_message_data(data, max_output_len)
        return inflated

    def end_decompress_message(self) -> None:
        """A message is complete; the next one gets a new inflater, of about 40 KiB."""
        super().end_decompress_message()
        self._decompressor = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed with one client.

    :param window_bits: the server's window; less than 15 when the client asked for it.
    """

    window_bits: int

    @property
    def header(self) -> str:
        """The value of Sec-WebSocket-Extensions in the answer."""
        text = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"
        if self.window_bits < _MOST_WINDOW_BITS:
            text += f"; server_max_window_bits={self.window_bits}"
        return text

    def inflater(self, max_bytes: int) -> Any:
        """Autobahn's processor for what the client sends.

        :param max_bytes: the longest message after inflating.
        """
        return _Inflater(
            is_server=True,
            server_no_context_takeover=True,
            client_no_context_takeover=True,
            server_max_window_bits=self.window_bits,
            client_max_window_bits=_MOST_WINDOW_BITS,
            mem_level=None,
            max_message_size=max_bytes,
        )

    def format(self, min_bytes: int) -> DeflatedFormat:
        """Return the format that this client shares with all that have agreed on the same.

        :param min_bytes: messages shorter than this go out uncompressed.
        """
        return deflated(self.window_bits, min_bytes)


def _window_bits(parameters: list[str]) -> int | None:
    """The window that an offer asks of the server; None when the offer must be declined."""
    window_bits = _MOST_WINDOW_BITS
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
    """The first offer that can be accepted; None when there is none (section 5.1).

    :param header: the client's Sec-WebSocket-Extensions.
    """
    for offer in header.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name.lower() == _NAME:
            window_bits = _window_bits(parameters)
            if window_bits is not None:
                return Agreement(window_bits)
    return None
