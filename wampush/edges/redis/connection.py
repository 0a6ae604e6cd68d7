"""One connection to a Redis, from the login to its end.

Owns: login, subscribing, how much is read in a reactor turn, when reading pauses, signs of life.
Must not import: Autobahn; of the edges only the other ``redis_`` modules.

txredisapi builds the commands and tells messages from answers. What it would do with the bytes
before is replaced: it keeps strings of any length whole, spends a reactor turn on each, and can
not be paused. Its connecting and logging in are not used either, because it gives up for good
when a login fails, and remembers each connection that it ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from txredisapi import ConnectionError as ConnectionGone
from txredisapi import RedisError, ResponseError, SubscriberProtocol

from wampush.broker.delivery.fanout import Fanout
from wampush.edges.redis import problems as redis_problems
from wampush.edges.redis.channels import Channels
from wampush.edges.redis.replies import (
    BrokenReply,
    Element,
    ErrorReply,
    Nothing,
    Oversized,
    ReplyReader,
)

#: Until Redis has confirmed login and subscriptions. It answers at once, unless it hangs.
ANSWER_SECONDS: Final = 10.0
#: A connection over which nothing came for so long is asked for a sign of life, and dropped when
#: none has come after as long again. A firewall may have forgotten it; nobody would tell.
PING_SECONDS: Final = 30.0
#: How long what was published before the end of the process may take to arrive. It is a bounded
#: amount, because Redis sends nothing more once it has confirmed the end of a subscription.
DRAIN_SECONDS: Final = 2.0
#: What is handed over in a reactor turn, with ``Reading.turn_bytes``, whichever comes first.
TURN_MESSAGES: Final = 1000
TURN_SECONDS: Final = 0.005
#: How a message begins, and of how many elements it is.
_MESSAGES: Final = ((b"message", 3), (b"pmessage", 4))


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in; without a password there is no login.

    :param user: "" for Redis' default user.
    """

    user: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """How much is read, and when.

    :param room: bytes that the strings of one message may have together.
    :param turn_bytes: what is handed over in a reactor turn.
    :param may_read: whether this is a time to read.
    :param fanout: flushed after each share.
    :param call_later: the reactor's.
    """

    room: int
    turn_bytes: int
    may_read: Callable[[], bool]
    fanout: Fanout
    call_later: Callable[..., Any]


Text = bytes | Oversized


class Owner(Protocol):
    """Who wants the messages."""

    def subscribed(self, connection: RedisConnection) -> None:
        """Redis has confirmed all subscriptions."""

    def message(self, glob: bytes | None, channel: Text, payload: Text) -> None:
        """Something was published.

        :param glob: the pattern that it came for; None when it came for the channel's name.
        """

    def on_lost(self, connection: RedisConnection, problem: str) -> None:
        """The connection is gone, or never was usable."""


class RedisConnection(SubscriberProtocol):
    """Logs in, subscribes, then hands over messages until it ends.

    :param owner: is told of everything.
    :param login: None: Redis wants no password.
    :param channels: what to subscribe to.
    :param reading: how.
    """

    transport: Any

    def __init__(
        self, owner: Owner, login: Login | None, channels: Channels, reading: Reading
    ) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._owner = owner
        self._login = login
        self._channels = channels
        self._reading = reading
        self._reader = ReplyReader(reading.room)
        self._problem = ""
        self._subscribed = False
        self._is_open = False
        self._closes = False
        self._pauses = False
        self._heard = True
        self._asked = False
        self._next_turn: Any = None
        self._deadline: Any = None

    # From the first byte to the last.

    def connectionMade(self) -> None:
        """Log in and subscribe; Redis answers in the order of the commands."""
        super().connectionMade()
        self._is_open = True
        self._deadline = self._reading.call_later(ANSWER_SECONDS, self._too_late)
        answers: list[Deferred[Any]] = []
        if self._login is not None:
            answers.append(self.auth(self._login.password, self._login.user))
        answers += [self.subscribe([name]) for name in self._channels.names]
        answers += [self.psubscribe([glob]) for glob in self._channels.globs]
        gatherResults(answers, consumeErrors=True).addCallbacks(self._confirmed, self._refused)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end, whoever wanted it."""
        self._is_open = False
        for timer in (self._deadline, self._next_turn):
            if timer is not None and timer.active():
                timer.cancel()
        # It fails what was asked and not answered.
        super().connectionLost(reason)
        self._owner.on_lost(self, self._problem or redis_problems.of_failure(reason))

    def close(self) -> None:
        """Hand over what was published before now, then end the connection.

        Redis confirms the end of a subscription behind the last message of it.
        """
        if not self._is_open or self._closes:
            return
        self._closes = True
        self._set_deadline(DRAIN_SECONDS, self.transport.abortConnection)
        answers: list[Deferred[Any]] = []
        if self._subscribed:
            answers += [self.unsubscribe([name]) for name in self._channels.names]
            answers += [self.punsubscribe([glob]) for glob in self._channels.globs]
        gatherResults(answers, consumeErrors=True).addBoth(self._drained)

    def _drained(self, outcome: object) -> None:
        if self._is_open:
            self.transport.loseConnection()

    def _confirmed(self, answers: object) -> None:
        if self._closes:
            return
        self._subscribed = True
        self._set_deadline(PING_SECONDS, self._look_for_life)
        self._owner.subscribed(self)

    def _refused(self, failure: Failure) -> None:
        error: Any = failure.value
        first: Failure = error.subFailure
        if first.check(ResponseError):
            self._give_up(redis_problems.of_answer(str(first.value)))
        else:
            # Else the connection is gone, which its end tells.
            first.trap(ConnectionGone)

    def _too_late(self) -> None:
        self._give_up(f"it does not answer within {ANSWER_SECONDS:g} s")

    def _look_for_life(self) -> None:
        # While reading pauses, an answer would not be heard.
        if self._heard or self._pauses:
            self._asked = False
        elif self._asked:
            self._give_up(f"nothing came for {2 * PING_SECONDS:g} s, not even an answer to PING")
            return
        else:
            self._asked = True
            self.ping().addErrback(lambda failure: failure.trap(RedisError))
        self._heard = False
        self._set_deadline(PING_SECONDS, self._look_for_life)

    def _set_deadline(self, seconds: float, call: Callable[[], None]) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._reading.call_later(seconds, call)

    def _give_up(self, problem: str) -> None:
        if self._is_open:
            self._is_open = False
            self._problem = problem
            self.transport.abortConnection()

    # Reading.

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Bytes came, at most 64 KiB; the transport reads no more before they are used up."""
        self._heard = True
        self._reader.feed(data)
        # TLS hands on what it has taken out of the socket before a pause, or before the end.
        if self._is_open and not self._pauses:
            self._read_on()

    def wake(self) -> None:
        """Reading may go on; it does in a turn of its own."""
        if self._is_open and self._pauses and self._next_turn is None:
            self._next_turn = self._reading.call_later(0, self._read_next)

    def _read_next(self) -> None:
        self._next_turn = None
        self._read_on()

    def _read_on(self) -> None:
        reading = self._reading
        is_empty = False
        if self._may_read():
            reading.fanout.defer_flush()
            try:
                is_empty = self._read_share()
            except BrokenReply as error:
                self._give_up(f"it sent {error} (does Redis listen at this port?)")
            finally:
                reading.fanout.flush()
        if not self._is_open:
            return
        may_read = self._may_read()
        if is_empty and may_read:
            if self._pauses:
                self._pauses = False
                self.transport.resumeProducing()
            return
        if not self._pauses:
            self._pauses = True
            self.transport.pauseProducing()
        if may_read:
            self.wake()

    def _may_read(self) -> bool:
        # Answers to the login are no load, and must not wait until they are late.
        return not self._subscribed or self._reading.may_read()

    def _read_share(self) -> bool:
        """Take replies until none is whole or this turn's share is used up.

        :returns: whether none is left.
        """
        reader = self._reader
        least = reader.waiting - self._reading.turn_bytes
        deadline = monotonic() + TURN_SECONDS
        for count in range(TURN_MESSAGES):
            reply = reader.take()
            if reply is Nothing.YET:
                return True
            self.replyReceived(
                ResponseError(reply.text) if isinstance(reply, ErrorReply) else reply
            )
            if reader.waiting < least or (not count & 15 and monotonic() > deadline):
                return False
        return False

    def replyReceived(self, reply: Any) -> None:
        """An answer, a message, or what nobody asked for.

        :raises BrokenReply: for the last.
        """
        is_list = isinstance(reply, list)
        if self.replyQueue.waiting or (is_list and (reply[0], len(reply)) in _MESSAGES):
            super().replyReceived(reply)
        elif isinstance(reply, ResponseError):
            self._give_up(redis_problems.of_answer(str(reply)))
        elif not is_list:
            raise BrokenReply("an answer that nobody asked for")

    def messageReceived(self, pattern: Element, channel: Element, message: Element) -> None:
        """Something was published.

        :raises BrokenReply: it is no message.
        """
        if not isinstance(channel, Text) or not isinstance(message, Text):
            raise BrokenReply("a message without text")
        glob = pattern if isinstance(pattern, bytes) else None
        self._owner.message(glob, channel, message)
