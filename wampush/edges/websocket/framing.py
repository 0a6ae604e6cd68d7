"""WebSocket frames of a server (RFC 6455 section 5).

Owns: the bytes of unmasked, unfragmented frames, plain and compressed; those of a client's frames
that are read again; the unmasking of payloads;
what the codes of Close frames mean; finding the client's answer to a Close frame.
Must not import: Twisted, the broker.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wampush.errors import CloseReason
from wampush.speedups import EXTENSION

PING: Final = b"\x89\x00"

_TEXT: Final = 0x81
_BINARY: Final = 0x82
#: RSV1, which marks a compressed message (RFC 7692 section 6).
_COMPRESSED: Final = 0x40
_CLOSE: Final = 0x88
_PING: Final = 0x89
_HEADER_16_BITS: Final = struct.Struct("!BBH").pack
_HEADER_64_BITS: Final = struct.Struct("!BBQ").pack
CLOSE_OPCODE: Final = 0x8
_OPCODES: Final = frozenset((0, 1, 2, 8, 9, 10))
_CONTROL: Final = 0x8
_MASKED: Final = 0x80
_MASK_BYTES: Final = 4
#: Bytes of the length for the values of the second byte that announce a longer one.
_LENGTH_BYTES: Final = {126: 2, 127: 8}
#: Frames of a client before its answer to a Close frame. Browsers send what they have queued first.
MOST_FRAMES: Final = 4_096
_EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"
_REASON_OF_CODE: Final = {
    1007: CloseReason.INVALID_PAYLOAD,
    1009: CloseReason.MESSAGE_TOO_LARGE,
}


def reason_of(code: int) -> CloseReason:
    """Return why a connection ends in which Autobahn found a violation.

    :param code: of the Close frame (RFC 6455 section 7.4.1).
    """
    return _REASON_OF_CODE.get(code, CloseReason.PROTOCOL_VIOLATION)


def ping_frame(payload: bytes) -> bytes:
    """Return a ping.

    :param payload: of at most 125 bytes; the client sends it back.
    """
    return PING if not payload else _frame(_PING, payload)


def _header(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return _HEADER_16_BITS(first, 126, size)
    return _HEADER_64_BITS(first, 127, size)


def _frame(first: int, payload: bytes) -> bytes:
    return _header(first, len(payload)) + payload


def unmask_in_python(key: bytes, data: bytes) -> bytes:
    """Return a client's payload without its mask (RFC 6455 section 5.3).

    :param key: the four bytes of the mask.
    :param data: the masked payload.
    """
    size = len(data)
    stream = (key * (size // 4 + 1))[:size]
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
    return mixed.to_bytes(size, "little")


#: The same, by the extension where it is active.
unmask: Final[Callable[[bytes, bytes], bytes]] = (
    unmask_in_python if EXTENSION is None else EXTENSION.unmask
)


def text_frame_in_python(head: bytes, body: bytes = b"", tail: bytes = b"") -> bytes:
    """Return the frame of a text message.

    :param head: together with body and tail, the text in UTF-8; all are copied once.
    """
    # Not any number of parts, because collecting and adding them up takes longer than joining them.
    size = len(head) + len(body) + len(tail)
    if 126 <= size < 65536:
        # As :func:`_header` has it; most events are of this size.
        return b"".join((_HEADER_16_BITS(_TEXT, 126, size), head, body, tail))
    return b"".join((_header(_TEXT, size), head, body, tail))


#: The same, by the extension where it is active.
text_frame: Final[Callable[..., bytes]] = (
    text_frame_in_python if EXTENSION is None else EXTENSION.text_frame
)


def binary_frame(data: bytes) -> bytes:
    """Return the frame of a binary message."""
    return _frame(_BINARY, data)


def client_frame(first: int, size: int, payload: bytes, key: bytes = bytes(_MASK_BYTES)) -> bytes:
    """Return a client's frame, or the begin of one.

    :param first: the first byte.
    :param size: of the whole payload in bytes.
    :param payload: as much of it as there is, without its mask.
    :param key: the four bytes of the mask; by default, it changes nothing.
    """
    head = _header(first, size)
    masked = unmask(key, payload)
    return b"".join((head[:1], bytes((head[1] | _MASKED,)), head[2:], key, masked))


def close_frame(code: int, reason: str) -> bytes:
    """Return a Close frame.

    :param code: RFC 6455 section 7.4.
    :param reason: for the client; cut to 123 bytes, the room in a control frame.
    """
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return _frame(_CLOSE, struct.pack("!H", code) + text)


@dataclass(frozen=True, slots=True)
class Deflate:
    """The permessage-deflate parameters (RFC 7692) of the server's direction.

    There is no context takeover, so a compressed frame depends on these parameters only, and all
    clients that agreed on the same ones can share it.

    :param window_bits: base-2 logarithm of the window size, 9 to 15.
    :param min_bytes: messages shorter than this are sent uncompressed; compression would not make
        them shorter.
    """

    window_bits: int
    min_bytes: int

    def text_frame(self, head: bytes, body: bytes = b"", tail: bytes = b"") -> bytes:
        """Return the frame of a text message, compressed if it is long enough.

        :param head: together with body and tail, the text in UTF-8.
        """
        return self._frame(_TEXT, b"".join((head, body, tail)))

    def binary_frame(self, data: bytes) -> bytes:
        """Return the frame of a binary message, compressed if it is long enough."""
        return self._frame(_BINARY, data)

    def _frame(self, first: int, payload: bytes) -> bytes:
        if len(payload) < self.min_bytes:
            return _frame(first, payload)
        return _frame(first | _COMPRESSED, _deflated(payload, self.window_bits))


@lru_cache(maxsize=1)
def _deflated(payload: bytes, window_bits: int) -> bytes:
    """Return the compressed payload of one message.

    The last one is kept, because components send the same message to many clients.
    """
    deflate = zlib.compressobj(wbits=-window_bits)
    data = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(_EMPTY_BLOCK)


class CloseAnswer:
    """Looks for the client's Close frame after the server's.

    Frames are skipped by their headers (RFC 6455 section 5.2); payloads are neither unmasked nor
    kept.

    :param rest: bytes of a payload to skip first, when the client is in the middle of a frame.
    :param is_close: whether that is a Close frame.
    """

    __slots__ = ("_frames", "_header", "_is_close", "_skip")

    def __init__(self, rest: int = 0, *, is_close: bool = False) -> None:
        self._skip = rest
        self._header = b""
        self._is_close = is_close
        self._frames = 0

    def feed(self, data: bytes) -> bool:
        """Read bytes of the client.

        :returns: whether waiting is over: the Close frame is complete, or what the client sends
            does not lead to one.
        """
        position, size = 0, len(data)
        while position < size:
            if self._skip:
                step = min(self._skip, size - position)
                self._skip -= step
                position += step
            else:
                end = position + self._missing()
                self._header += data[position:end]
                position = min(end, size)
                if not self._missing() and not self._begin_frame():
                    return True
            if self._is_close and not self._skip:
                return True
        return False

    def _missing(self) -> int:
        """Return how many bytes the header lacks, as far as that is known."""
        header = self._header
        if len(header) < 2:
            return 2 - len(header)
        return 2 + _LENGTH_BYTES.get(header[1] & 0x7F, 0) + _MASK_BYTES - len(header)

    def _begin_frame(self) -> bool:
        header, self._header = self._header, b""
        opcode, length = header[0] & 0x0F, header[1] & 0x7F
        self._frames += 1
        if opcode not in _OPCODES or not header[1] & _MASKED or self._frames > MOST_FRAMES:
            return False
        if opcode & _CONTROL and length in _LENGTH_BYTES:
            return False
        if length in _LENGTH_BYTES:
            length = int.from_bytes(header[2:-_MASK_BYTES], "big")
        self._skip = length
        self._is_close = opcode == CLOSE_OPCODE
        return True
