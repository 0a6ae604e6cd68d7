"""One connection to a Redis server that is sent commands without waiting for their answers.

Owns: commands, their answers, messages of channels, and how much is read in a reactor turn.
Must not import: the broker, the edges. It knows no topic.

hiredis parses the replies. It keeps a reply until it is complete; what has arrived since the last
complete one is bounded here, because anyone who may publish can send strings of 512 MB.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any, Final, Protocol

import hiredis
from twisted.internet import protocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from wampush.net.redis.error_descriptions import problem_of_error_reply, problem_of_failure
from wampush.net.turn_budget import CLOCK_MASK, TurnBudget

#: What one read of the socket brings at most, in bytes.
READ_BYTES: Final = 64 * 1024
#: Bytes of commands that are written before the end of the turn.
WRITE_BYTES: Final = 256 * 1024


class Lost(Enum):
    """Stands for the answer to a command that was sent over a connection that is lost."""

    LOST = "lost"


OnReply = Callable[[Any], None]
"""Gets an answer of Redis: bytes, int, None, a list of them, hiredis.ReplyError, or ``Lost.LOST``
when nobody knows whether the command was carried out."""

# Its types know commands of one word only.
_packed: Final[Callable[[Any], bytes]] = hiredis.pack_command
_MESSAGE: Final = b"message"
_CONFIRMATIONS: Final = frozenset({b"subscribe", b"unsubscribe"})


def publish_command(channel: bytes, message: bytes) -> bytes:
    """Return a command that publishes a message; hiredis takes twice as long to write it."""
    form = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
    return form % (len(channel), channel, len(message), message)


class ConnectionOwner(Protocol):
    """Takes what a connection brings besides answers."""

    def on_channel_message(self, channel: bytes, message: bytes) -> None:
        """Take a message of a channel."""

    def on_confirmed(self, kind: bytes, channel: bytes) -> None:
        """Take note of the beginning or the end of a subscription.

        :param kind: ``b"subscribe"`` or ``b"unsubscribe"``.
        """

    def on_share_begun(self) -> None:
        """Take note that replies come now."""

    def on_share_read(self) -> None:
        """Take note that no more replies come in this turn."""

    def on_connection_lost(self, connection: PipelinedConnection, problem: str) -> None:
        """Take note that the connection is gone.

        What is unanswered is answered with ``LOST`` after this.

        :param problem: why, for the log.
        """


class PipelinedConnection(protocol.Protocol):
    """Sends commands, and hands over what Redis answers, in the same order.

    :param owner: takes messages and the end.
    :param max_reply_bytes: of the longest reply.
    :param may_read: returns whether replies may be read now.
    :param clock: the reactor.
    :param write_later: calls what writes the commands of a turn; at its end if omitted.
    """

    transport: Any

    def __init__(
        self,
        owner: ConnectionOwner,
        *,
        max_reply_bytes: int,
        may_read: Callable[[], bool],
        clock: Any,
        write_later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._owner = owner
        self._write_later = partial(clock.callLater, 0) if write_later is None else write_later
        self._max_reply_bytes = max_reply_bytes
        self._may_read = may_read
        self._clock = clock
        self._reader = hiredis.Reader()
        self._budget = TurnBudget(0, clock.seconds)
        self._waiting: deque[OnReply] = deque()
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        # Bytes that may belong to a reply that is not complete.
        self._incomplete = 0
        self._is_paused = self._is_lost = False
        self._is_write_scheduled = False
        self._next_read: Any = None
        self._problem = ""
        #: Takes the messages of channels; may be replaced.
        self.on_message: Callable[[bytes, bytes], None] = owner.on_channel_message
        #: How often bytes have come. While this grows, the connection is not mute, however long an
        #: answer takes that has many before it.
        self.reads = 0

    @property
    def unanswered(self) -> int:
        """How many commands Redis has not answered yet."""
        return len(self._waiting)

    @property
    def is_paused(self) -> bool:
        """Whether replies wait in the socket because they may not be read now."""
        return self._is_paused

    def connectionMade(self) -> None:
        """Send small commands at once."""
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None and "UNIX" not in type(self.transport.getPeer()).__name__:
            set_no_delay(True)

    # Commands.

    def call(self, words: Sequence[bytes], on_reply: OnReply) -> None:
        """Send a command; its answer comes after those of all commands before.

        :param on_reply: called once.
        """
        self.call_packed(_packed(tuple(words)), on_reply)

    def call_packed(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command that is written down already; see :meth:`call`.

        :param command: in the form of RESP, for commands of which there are many.
        """
        self._waiting.append(on_reply)
        self._send(command)

    def send(self, words: Sequence[bytes]) -> None:
        """Send a command that is confirmed by messages, such as SUBSCRIBE."""
        self._send(_packed(tuple(words)))

    def _send(self, command: bytes) -> None:
        self._outgoing.append(command)
        self._outgoing_bytes += len(command)
        if self._outgoing_bytes > WRITE_BYTES:
            self._write()
        elif not self._is_write_scheduled:
            self._is_write_scheduled = True
            self._write_later(self._write_scheduled)

    def _write_scheduled(self) -> None:
        self._is_write_scheduled = False
        self._write()

    def _write(self) -> None:
        if self._outgoing and not self._is_lost:
            self.transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        self._outgoing_bytes = 0

    # The end.

    def fail(self, problem: str) -> None:
        """Abort the connection.

        :param problem: why, for the log.
        """
        if not self._problem:
            self._problem = problem
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end."""
        self._is_lost = True
        if self._next_read is not None:
            self._next_read.cancel()
            self._next_read = None
        self._owner.on_connection_lost(self, self._problem or problem_of_failure(reason))
        self.answer_lost()

    def answer_lost(self) -> None:
        """Answer everything that Redis has not answered; nothing is read any more."""
        self._is_lost = True
        waiting, self._waiting = self._waiting, deque()
        for on_reply in waiting:
            on_reply(Lost.LOST)

    # Reading.

    def dataReceived(self, data: bytes) -> None:
        """Take bytes, and read a share of what is complete."""
        if self._is_lost or self._problem:
            return
        self.reads += 1
        self._reader.feed(data)
        self._incomplete += len(data)
        if not self._is_paused:
            self._read_on(len(data))

    def wake(self) -> None:
        """Read on, after a pause."""
        if self._is_paused and self._next_read is None and not self._is_lost:
            self._next_read = self._clock.callLater(0, self._read_next)

    def _read_next(self) -> None:
        self._next_read = None
        self._read_on(READ_BYTES)

    def _read_on(self, fresh: int) -> None:
        """Read a share.

        :param fresh: how many bytes have come since everything complete was read, at most.
        """
        has_more = True
        if self._may_read():
            self._owner.on_share_begun()
            try:
                has_more = self._read_share(fresh)
            except hiredis.ProtocolError as error:
                self.fail(f"unexpected data: {error} (does Redis listen on this port?)")
                return
            finally:
                self._owner.on_share_read()
            if has_more or self._budget.part < 1:
                self._budget.adapt(has_more)
        if self._is_lost or self._problem:
            return
        if not has_more:
            if self._incomplete > self._max_reply_bytes + READ_BYTES:
                self.fail(f"a reply is longer than {self._max_reply_bytes} bytes")
            elif self._is_paused:
                self._is_paused = False
                self.transport.resumeProducing()
            return
        if not self._is_paused:
            self._is_paused = True
            self.transport.pauseProducing()
        if self._may_read():
            self.wake()

    def _read_share(self, fresh: int) -> bool:
        """Take replies until none is complete or the time is up; return whether more may be."""
        reader, budget = self._reader, self._budget
        take, on_message = reader.gets, self.on_message
        budget.begin()
        for count in budget.steps:
            reply = take()
            if reply is False:
                return False
            self._incomplete = fresh
            if type(reply) is list and len(reply) == 3 and reply[0] == _MESSAGE:
                on_message(reply[1], reply[2])
            elif type(reply) is int and self._waiting:
                # Most answers are numbers, and pass without another call.
                self._waiting.popleft()(reply)
            else:
                self._on_reply(reply)
            if self._is_lost or self._problem or (not count & CLOCK_MASK and budget.is_late()):
                return True
        return True

    def _on_reply(self, reply: Any) -> None:
        if isinstance(reply, list) and reply and reply[0] in _CONFIRMATIONS:
            self._owner.on_confirmed(reply[0], reply[1] or b"")
        elif self._waiting:
            self._waiting.popleft()(reply)
        elif isinstance(reply, hiredis.ReplyError):
            # The answer to what is otherwise confirmed by messages.
            self.fail(problem_of_error_reply(str(reply)))
        else:
            self.fail(f"an answer without a question: {str(reply)[:100]!r}")
