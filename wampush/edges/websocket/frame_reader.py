"""From the bytes of a client to its messages.

Owns: which frames are read here and which by Autobahn, and what Autobahn would keep of them.
Must not import: the connection, any conversation.

The base is Autobahn's server protocol: it reads frames, joins fragments, checks UTF-8, inflates,
answers pings and closes. Complete text frames and empty pongs, which are nearly all that clients
send, are unmasked at once when nothing else is pending; whatever else comes, and all that follows
it in the same read, goes to Autobahn. Autobahn's options, statistics and futures are shared, see
``slim_autobahn``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from wampush.edges.websocket.framing import unmask
from wampush.edges.websocket.slim_autobahn import SlimServerProtocol

_COMPLETE_TEXT: Final = 0x81
_EMPTY_PONG: Final = b"\x8a\x80"
_HEADER_BYTES: Final = 6
_LONG_HEADER_BYTES: Final = 8
#: Text and binary are counted as messages; a Close frame is the last of its connection.
_COUNTED_LATER: Final = frozenset((1, 2, 8))


class FrameReader(SlimServerProtocol, ABC):
    """Reads frames; a subclass says what becomes of messages.

    It sets ``maxMessagePayloadSize``, the longest message in bytes.
    """

    @abstractmethod
    def text_received(self, text: bytes) -> None:
        """The client sent a text, of UTF-8."""

    @abstractmethod
    def binary_received(self, data: bytes) -> None:
        """The client sent a binary message."""

    @abstractmethod
    def within_rate(self) -> bool:
        """Whether the client may send one more frame; if not, its connection has ended by now."""

    def read_frames(self, data: bytes) -> None:
        """Take complete text frames and empty pongs; leave the rest to Autobahn.

        :param data: what was read, while nothing of what was read before is left.
        """
        position = 0
        size = len(data)
        most = self.maxMessagePayloadSize
        while size - position >= _HEADER_BYTES:
            first, second = data[position], data[position + 1]
            if first != _COMPLETE_TEXT:
                if data[position : position + 2] != _EMPTY_PONG:
                    break
                position += _HEADER_BYTES
                continue
            start = position + _HEADER_BYTES
            length = second & 0x7F
            if length > 125:
                start = position + _LONG_HEADER_BYTES
                length = int.from_bytes(data[position + 2 : position + 4], "big")
                if second != 0xFE or length < 126:
                    break
            elif not second & 0x80:
                break
            end = start + length
            if end > size or length > most:
                break
            text = unmask(data[start - 4 : start], data[start:end])
            if not text.isascii() and not self._is_utf8(text):
                return
            position = end
            self.text_received(text)
            if self.state != self.STATE_OPEN:
                return
        if position < size:
            self.data = data[position:] if position else data
            self.consumeData()

    def _is_utf8(self, text: bytes) -> bool:
        try:
            text.decode()
        except UnicodeDecodeError:
            self._invalid_payload("a text frame is not UTF-8")
            return False
        return True

    def onFrameBegin(self) -> None:
        """Count control frames and fragments like messages: Autobahn takes long for each."""
        if self.current_frame.opcode not in _COUNTED_LATER and not self.within_rate():
            return
        super().onFrameBegin()

    def onMessageFrame(self, payload: list[bytes]) -> None:
        """Keep a fragment; empty ones are not kept, or endless empty fragments would pile up."""
        data = b"".join(payload)
        if data and not self.failedByMe:
            self.message_data.append(data)

    def onMessageEnd(self) -> None:
        """A message that Autobahn read is complete."""
        payload = b"".join(self.message_data)
        self.message_data = []
        if self.failedByMe:
            return
        if self.message_is_binary:
            self.binary_received(payload)
        else:
            self.text_received(payload)
