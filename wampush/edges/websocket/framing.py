"""WebSocket frames of a server (RFC 6455 section 5).

Owns: the bytes of unmasked, unfragmented frames, plain and compressed; taking a client's mask off.
Must not import: Twisted, the broker.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

PING: Final = b"\x89\x00"

_TEXT: Final = 0x81
_BINARY: Final = 0x82
#: RSV1, which marks a compressed message (RFC 7692 section 6).
_COMPRESSED: Final = 0x40
_CLOSE: Final = 0x88
_EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def unmask(key: bytes, data: bytes) -> bytes:
    """The payload under a mask (RFC 6455 section 5.3).

    :param key: the four bytes of the mask.
    """
    size = len(data)
    stream = (key * (size // 4 + 1))[:size]
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
    return mixed.to_bytes(size, "little")


def text_frame(text: bytes) -> bytes:
    """The frame of a text.

    :param text: UTF-8.
    """
    return _frame(_TEXT, text)


def binary_frame(data: bytes) -> bytes:
    """Return the frame of binary data."""
    return _frame(_BINARY, data)


def close_frame(code: int, reason: str) -> bytes:
    """A Close frame.

    :param code: RFC 6455 section 7.4.
    :param reason: cut to the 123 bytes that a control frame leaves for it.
    """
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return _frame(_CLOSE, struct.pack("!H", code) + text)


@dataclass(frozen=True, slots=True)
class Deflate:
    """The permessage-deflate parameters (RFC 7692) of the server's direction.

    There is no context takeover, so a compressed frame depends on these parameters only and can be
    shared by all clients that negotiated the same.

    :param window_bits: size of the window, 9 to 15.
    :param min_bytes: texts shorter than this go out plain: compressing them gains nothing.
    """

    window_bits: int
    min_bytes: int

    def text_frame(self, text: bytes) -> bytes:
        """The frame of a text, compressed if it is long enough."""
        return self._frame(_TEXT, text)

    def binary_frame(self, data: bytes) -> bytes:
        """The frame of binary data, compressed if it is long enough."""
        return self._frame(_BINARY, data)

    def _frame(self, first: int, payload: bytes) -> bytes:
        if len(payload) < self.min_bytes:
            return _frame(first, payload)
        return _frame(first | _COMPRESSED, _deflated(payload, self.window_bits))


@lru_cache(maxsize=1)
def _deflated(payload: bytes, window_bits: int) -> bytes:
    """Deflated for one message; kept for the next, because components send the same to many."""
    deflate = zlib.compressobj(wbits=-window_bits)
    data = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(_EMPTY_BLOCK)
