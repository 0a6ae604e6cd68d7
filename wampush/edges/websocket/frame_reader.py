"""The reader that turns the bytes of a client into messages.

Owns: the choice between the fast path here and Autobahn's parser, and what is kept of fragments.
Must not import: the connection, any conversation.

The base is Autobahn's server protocol: it parses frames, joins fragments, checks UTF-8, inflates,
and answers pings and Close frames. Complete text frames and empty pongs, which are nearly all that
clients send, take the fast path when nothing else is pending; any other frame, and everything after
it in the same read, goes to Autobahn. Autobahn's options, statistics and futures are shared, see
``slim_autobahn``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

from wampush.edges.websocket.closing import Closing
from wampush.edges.websocket.framing import CLOSE_OPCODE, client_frame, unmask
from wampush.edges.websocket.lifecycle import Stage, State
from wampush.edges.websocket.read_turns import ReadTurns
from wampush.edges.websocket.slim_autobahn import SlimServerProtocol

_COMPLETE_TEXT: Final = 0x81
_EMPTY_PONG: Final = b"\x8a\x80"
_HEADER_BYTES: Final = 6
_LONG_HEADER_BYTES: Final = 8
#: Opcodes that do not count here: text and binary count as messages, and a Close frame is the last.
_NOT_COUNTED: Final = frozenset((1, 2, 8))


#: The greatest opcode of frames with data; those above are control frames of 125 bytes at most.
_LAST_DATA_OPCODE: Final = 7
#: Parts of a message after which they are joined: as many small ones take a hundred times as much.
_MOST_PARTS: Final = 64
_FIN: Final = 0x80


def _joined(parts: list[bytes]) -> int:
    """Join parts of a message when there are many; return their size in bytes."""
    if len(parts) > _MOST_PARTS:
        parts[:] = [b"".join(parts)]
    return sum(map(len, parts))


class FrameReader(SlimServerProtocol, ABC):
    """Reads frames; a subclass handles the messages.

    The subclass sets ``maxMessagePayloadSize``, the longest message in bytes.
    """

    #: What takes the client's bytes before the connection is open, and after its end.
    stage: Stage | None

    @property
    @abstractmethod
    def read_turns(self) -> ReadTurns:
        """Says when to stop reading for now."""

    @abstractmethod
    def on_text(self, text: bytes) -> None:
        """The client has sent a text message.

        :param text: UTF-8.
        """

    @abstractmethod
    def on_binary(self, data: bytes) -> None:
        """The client has sent a binary message."""

    @abstractmethod
    def on_unfinished(self, size: int) -> None:
        """Some of what has arrived is kept.

        :param size: in bytes; 0 when nothing is kept any more.
        """

    @abstractmethod
    def spend_allowance(self) -> bool:
        """Count one frame.

        :returns: whether the client may send it; if not, its connection has ended.
        """

    def read_frames(self, data: bytes) -> None:
        """Read complete text frames and empty pongs; leave the rest to Autobahn.

        :param data: what was received, while nothing received before is left.
        """
        position = 0
        size = len(data)
        most = self.maxMessagePayloadSize
        read_turns = self.read_turns
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
            position = end
            if text.isascii() or self._is_utf8(text):
                self.on_text(text)
            if self.state != self.STATE_OPEN:
                self.data = data[position:]
                return
            if read_turns.must_pause(has_more=position < size):
                self.data = data[position:]
                read_turns.pause(self)
                self._count_unfinished()
                return
        if position < size:
            self.data = data[position:] if position else data
            self.consumeData()

    def read_on(self) -> None:
        """Go on with what is received and not read."""
        if self.current_frame is None and not self.inside_message:
            data, self.data = self.data, b""
            self.read_frames(data)
            self._count_unfinished()
        else:
            self.consumeData()
        if self.state != self.STATE_OPEN:
            self.pass_rest()

    @property
    def inflater(self) -> Any:
        """Decompresses the client's messages; None for a client without compression."""
        return self._perMessageCompress

    @inflater.setter
    def inflater(self, inflater: Any) -> None:
        self._perMessageCompress = inflater

    def unread(self) -> bytes | None:
        """Return what was received and is no message yet, as another process may read it again.

        :returns: None in the middle of a compressed message, whose parts are inflated already.
        """
        frame = self.current_frame
        if frame is None and not self.inside_message:
            return self.data
        if self.inside_message and getattr(self, "_isMessageCompressed", False):
            return None
        parts = []
        is_control = frame is not None and frame.opcode > _LAST_DATA_OPCODE
        first = 0
        if self.inside_message:
            message = b"".join(self.message_data)
            first = 2 if self.message_is_binary else 1
            if message or frame is None or is_control:
                parts.append(client_frame(first, len(message), message))
                first = 0
        if frame is not None:
            received = self.control_frame_data if is_control else self.frame_data
            first = (frame.opcode if is_control else first) | (_FIN if frame.fin else 0)
            # With its mask, because the rest of the payload has that.
            parts.append(client_frame(first, frame.length, b"".join(received), frame.mask))
        return b"".join((*parts, self.data))

    def pass_rest(self) -> None:
        """Pass what is received and not read as messages to the current stage."""
        frame = self.current_frame
        rest, self.data = self.data, b""
        if frame is not None:
            self.current_frame = None
            if isinstance(self.stage, Closing):
                rest_of_frame = frame.length - self.current_frame_masker.pointer()
                self.stage.skip(rest_of_frame, is_close=frame.opcode == CLOSE_OPCODE)
        if rest and self.stage is not None:
            self.stage.receive(rest)

    def consumeData(self) -> None:
        """Have Autobahn read frames, as long as this read may go on."""
        self._read_by_autobahn()
        self._count_unfinished()

    def _read_by_autobahn(self) -> None:
        read_turns = self.read_turns
        goes_on = True
        while goes_on and self.state != self.STATE_CLOSED:
            goes_on = self.processData()
            if (
                self.state == self.STATE_OPEN
                and self.current_frame is None
                and read_turns.must_pause(has_more=goes_on)
            ):
                read_turns.pause(self)
                return

    def _count_unfinished(self) -> None:
        """Count what is kept of a message that has not arrived whole, or is not read yet."""
        if self.state != self.STATE_OPEN:
            return
        size = len(self.data)
        if self.inside_message:
            size += _joined(self.message_data)
        if self.current_frame is not None and self.current_frame.opcode <= _LAST_DATA_OPCODE:
            size += _joined(self.frame_data)
        self.on_unfinished(size)

    def _is_utf8(self, text: bytes) -> bool:
        try:
            text.decode()
        except UnicodeDecodeError:
            self._invalid_payload("a text frame is not UTF-8")
            return False
        return True

    def onFrameBegin(self) -> None:
        """Count control frames and fragments like messages: Autobahn is slow with each."""
        if self.current_frame.opcode not in _NOT_COUNTED and not self.spend_allowance():
            return
        super().onFrameBegin()

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Answer the client's Close frame with the code in it (RFC 6455 section 5.5.1), or 1000."""
        super().sendCloseFrame(self.remoteCloseCode or code, reasonUtf8, isReply)

    def onMessageFrame(self, payload: list[bytes]) -> None:
        """Keep a fragment unless it is empty; endless empty fragments would pile up."""
        data = b"".join(payload)
        if data and not self.failedByMe:
            self.message_data.append(data)

    def onMessageEnd(self) -> None:
        """Autobahn has read a complete message."""
        payload = b"".join(self.message_data)
        self.message_data = []
        if self.failedByMe:
            return
        if self.message_is_binary:
            self.on_binary(payload)
        else:
            self.on_text(payload)


#: Autobahn's ``state`` for the states of a connection; CLOSED for all others.
AUTOBAHN_STATES: Final = {
    State.CONNECTING: FrameReader.STATE_CONNECTING,
    State.OPEN: FrameReader.STATE_OPEN,
}
