"""One connection to a Redis server, from login to its end.

Owns: login, subscribing, how much is read in a reactor turn, when reading pauses, liveness checks.
Must not import: Autobahn; the other edges.

txredisapi builds the commands and distinguishes messages from answers. What it would do with the
bytes before that is replaced: it keeps strings of any length, spends a reactor turn on each, and
cannot be paused. Its connecting and logging in are not used either, because it gives up for good
after a failed login and remembers every connection that it ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from txredisapi import ConnectionError as RedisConnectionError
from txredisapi import RedisError, ResponseError, SubscriberProtocol

from wampush.broker.delivery.fanout import Fanout
from wampush.edges.redis.channels import Channels
from wampush.edges.redis.lifecycle import (
    CONNECTION_MOVES,
    READ_MOVES,
    ConnectionState,
    Liveness,
    ReadState,
)
from wampush.net.redis.error_descriptions import problem_of_error_reply, problem_of_failure
from wampush.net.redis.login import Login
from wampush.net.redis.replies import (
    BrokenReply,
    Element,
    ErrorReply,
    NeedData,
    Oversized,
    ReplyReader,
)
from wampush.net.turn_budget import CLOCK_MASK, TurnBudget
from wampush.state_machine import moved

#: Seconds until login and subscriptions must be confirmed. Redis answers at once unless it hangs.
ANSWER_SECONDS: Final = 10.0
#: Seconds without data after which Redis is asked for a sign of life; after as many more the
#: connection is dropped. A firewall may have forgotten it without telling either side.
PING_SECONDS: Final = 30.0
#: Seconds that messages published before the end of the process may take to arrive. Their number is
#: bounded, because Redis sends nothing more once it has confirmed the end of a subscription.
DRAIN_SECONDS: Final = 2.0
#: How a message begins, and how many elements it has.
_MESSAGES: Final = ((b"message", 3), (b"pmessage", 4))
#: States in which what arrives is read.
_READABLE: Final = frozenset(
    {ConnectionState.LOGGING_IN, ConnectionState.SUBSCRIBED, ConnectionState.CLOSING}
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How much is read, and when.

    :param max_reply_bytes: what the strings of one message may have together.
    :param budget: what may be read in a reactor turn.
    :param may_read: returns whether pushes may be read now.
    :param fanout: flushed after each share.
    :param call_later: the reactor's ``callLater``.
    """

    max_reply_bytes: int
    budget: TurnBudget
    may_read: Callable[[], bool]
    fanout: Fanout
    call_later: Callable[..., Any]


Text = bytes | Oversized


class ConnectionOwner(Protocol):
    """Takes what a connection receives."""

    def on_subscribed(self, connection: RedisConnection) -> None:
        """Take note that Redis has confirmed all subscriptions."""

    def on_message(self, glob: bytes | None, channel: Text, payload: Text) -> None:
        """Handle a message.

        :param glob: the pattern that matched; None for a subscription by the channel's name.
        :param channel: where it was published.
        :param payload: what was published.
        """

    def on_lost(self, connection: RedisConnection, problem: str) -> None:
        """Take note that the connection is gone.

        :param problem: why, for the log.
        """


class RedisConnection(SubscriberProtocol):
    """Logs in, subscribes, then hands over messages until it ends.

    :param owner: takes the messages and the end.
    :param login: None for a Redis server without a password.
    :param channels: what to subscribe to.
    :param reading: how much is read, and when.
    """

    transport: Any

    def __init__(
        self, owner: ConnectionOwner, login: Login | None, channels: Channels, reading: Reading
    ) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._owner = owner
        self._login = login
        self._channels = channels
        self._reading = reading
        self._reader = ReplyReader(reading.max_reply_bytes)
        self._state = ConnectionState.NEW
        self._read_state = ReadState.FLOWING
        self._liveness = Liveness.HEARD
        self._problem = ""
        self._next_read: Any = None
        self._deadline: Any = None

    # From the first byte to the last.

    def connectionMade(self) -> None:
        """Log in and subscribe; Redis answers in the order of the commands."""
        super().connectionMade()
        self._move(ConnectionState.LOGGING_IN)
        self._deadline = self._reading.call_later(ANSWER_SECONDS, self._on_answer_timeout)
        answers: list[Deferred[Any]] = []
        if self._login is not None:
            answers.append(self.auth(self._login.password, self._login.user))
        answers += [self.subscribe([name]) for name in self._channels.names]
        answers += [self.psubscribe([glob]) for glob in self._channels.globs]
        gatherResults(answers, consumeErrors=True).addCallbacks(
            self._on_confirmed, self._on_refused
        )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Cancel the timers and report the end."""
        self._move(ConnectionState.LOST)
        for timer in (self._deadline, self._next_read):
            if timer is not None and timer.active():
                timer.cancel()
        # Fails the commands that were not answered.
        super().connectionLost(reason)
        self._owner.on_lost(self, self._problem or problem_of_failure(reason))

    def close(self) -> None:
        """Hand over what was published until now, then end the connection.

        Redis confirms the end of a subscription after its last message.
        """
        before = self._state
        if before not in (ConnectionState.LOGGING_IN, ConnectionState.SUBSCRIBED):
            return
        self._move(ConnectionState.CLOSING)
        self._set_deadline(DRAIN_SECONDS, self.transport.abortConnection)
        answers: list[Deferred[Any]] = []
        if before is ConnectionState.SUBSCRIBED:
            answers += [self.unsubscribe([name]) for name in self._channels.names]
            answers += [self.punsubscribe([glob]) for glob in self._channels.globs]
        gatherResults(answers, consumeErrors=True).addBoth(self._on_drained)

    def _move(self, state: ConnectionState) -> None:
        self._state = moved(CONNECTION_MOVES, self._state, state)

    def _on_drained(self, outcome: object) -> None:
        if self._state is ConnectionState.CLOSING:
            self.transport.loseConnection()

    def _on_confirmed(self, answers: object) -> None:
        if self._state is not ConnectionState.LOGGING_IN:
            return
        self._move(ConnectionState.SUBSCRIBED)
        self._set_deadline(PING_SECONDS, self._check_liveness)
        self._owner.on_subscribed(self)

    def _on_refused(self, failure: Failure) -> None:
        error: Any = failure.value
        first: Failure = error.subFailure
        if first.check(ResponseError):
            self.fail(problem_of_error_reply(str(first.value)))
        else:
            # Otherwise the connection is gone, and connectionLost reports why.
            first.trap(RedisConnectionError)

    def _on_answer_timeout(self) -> None:
        self.fail(f"no answer within {ANSWER_SECONDS:g} s")

    def _check_liveness(self) -> None:
        # While reading pauses, an answer would not be noticed.
        if self._liveness is Liveness.HEARD or self._read_state is not ReadState.FLOWING:
            self._liveness = Liveness.SILENT
        elif self._liveness is Liveness.SILENT:
            self._liveness = Liveness.ASKED
            self.ping().addErrback(lambda failure: failure.trap(RedisError))
        else:
            self.fail(f"no data for {2 * PING_SECONDS:g} s, not even an answer to PING")
            return
        self._set_deadline(PING_SECONDS, self._check_liveness)

    def _set_deadline(self, seconds: float, call: Callable[[], None]) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._reading.call_later(seconds, call)

    def fail(self, problem: str) -> None:
        """Abort the connection.

        :param problem: why, for the log.
        """
        if self._state in _READABLE:
            self._move(ConnectionState.FAILED)
            self._problem = problem
            self.transport.abortConnection()

    # Reading.

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Take bytes, at most 64 KiB; the transport is paused until they are used up."""
        self._liveness = Liveness.HEARD
        self._reader.feed(data)
        # TLS hands on what it took from the socket before a pause, or before the end.
        if self._state in _READABLE and self._read_state is ReadState.FLOWING:
            self._read_on()

    def wake(self) -> None:
        """Read on in a turn of its own, after a pause."""
        if self._state in _READABLE and self._read_state is ReadState.PAUSED:
            self._move_reading(ReadState.SCHEDULED)
            self._next_read = self._reading.call_later(0, self._read_next)

    def _move_reading(self, state: ReadState) -> None:
        self._read_state = moved(READ_MOVES, self._read_state, state)

    def _read_next(self) -> None:
        self._move_reading(ReadState.PAUSED)
        self._read_on()

    def _read_on(self) -> None:
        reading = self._reading
        is_empty = False
        if self._may_read():
            try:
                is_empty = self._read_share()
            except BrokenReply as error:
                self.fail(f"unexpected data: {error} (does Redis listen on this port?)")
            finally:
                # May end a pause, which wakes this connection.
                reading.fanout.flush()
        if self._state not in _READABLE:
            return
        may_read = self._may_read()
        if is_empty and may_read:
            self._resume()
            return
        if self._read_state is ReadState.FLOWING:
            self._move_reading(ReadState.PAUSED)
            self.transport.pauseProducing()
        if may_read:
            self.wake()

    def _resume(self) -> None:
        if self._read_state is ReadState.FLOWING:
            return
        if self._read_state is ReadState.SCHEDULED:
            self._next_read.cancel()
        self._move_reading(ReadState.FLOWING)
        self.transport.resumeProducing()

    def _may_read(self) -> bool:
        # Answers to the login are no load, and must not wait until they are late.
        return self._state is ConnectionState.LOGGING_IN or self._reading.may_read()

    def _read_share(self) -> bool:
        """Take replies until none is complete or this turn's share is used up; the caller flushes.

        :returns: whether no complete reply is left.
        :raises BrokenReply: the data is not what a subscriber can get.
        """
        reader = self._reader
        budget = self._reading.budget
        least = reader.waiting - budget.begin()
        self._reading.fanout.defer_flush(budget.begun)
        for count in budget.steps:
            reply = reader.next_reply()
            if reply is NeedData.NEED_DATA:
                return True
            self.replyReceived(
                ResponseError(reply.text) if isinstance(reply, ErrorReply) else reply
            )
            if reader.waiting < least or (not count & CLOCK_MASK and budget.is_late()):
                return False
        return False

    def replyReceived(self, reply: Any) -> None:
        """Handle an answer or a message.

        :raises BrokenReply: it is neither.
        """
        is_list = isinstance(reply, list)
        if self.replyQueue.waiting or (is_list and (reply[0], len(reply)) in _MESSAGES):
            super().replyReceived(reply)
        elif isinstance(reply, ResponseError):
            self.fail(problem_of_error_reply(str(reply)))
        elif not is_list:
            raise BrokenReply("an answer without a question")

    def messageReceived(self, pattern: Element, channel: Element, message: Element) -> None:
        """Hand over a message.

        :raises BrokenReply: its channel or payload is not a string.
        """
        if not isinstance(channel, Text) or not isinstance(message, Text):
            raise BrokenReply("a message without text")
        glob = pattern if isinstance(pattern, bytes) else None
        self._owner.on_message(glob, channel, message)
