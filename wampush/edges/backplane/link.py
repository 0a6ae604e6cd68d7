"""One link to a Redis server: a connection for commands and one for subscriptions.

Owns: their login, and that both lead to the same server. Must not import: the other edges.

When one of the two is lost, so is the link: a new one begins with both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

import hiredis
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from wampush.net.redis.error_descriptions import problem_of_error_reply, problem_of_failure
from wampush.net.redis.login import Login
from wampush.net.redis.pipelined import Lost, OnReply, PipelinedConnection
from wampush.net.redis.server_facts import ServerFacts, facts_of
from wampush.state_machine import moved

#: Seconds for both connections and their logins. Redis answers at once unless it hangs.
OPEN_SECONDS: Final = 5.0
#: Bytes of the longest answer to a command.
ANSWER_BYTES: Final = 64 * 1024 * 1024


@unique
class LinkState(Enum):
    """How far a link is."""

    #: Not begun.
    NEW = "new"
    #: The connection for commands is being made, or logs in.
    COMMANDS = "commands"
    #: Likewise the one for subscriptions.
    SUBSCRIPTIONS = "subscriptions"
    #: Both can be used.
    OPEN = "open"
    #: One of them is gone, and the other is being ended.
    LOST = "lost"


_MOVES: Final[Mapping[LinkState, frozenset[LinkState]]] = MappingProxyType(
    {
        LinkState.NEW: frozenset({LinkState.COMMANDS}),
        LinkState.COMMANDS: frozenset({LinkState.SUBSCRIPTIONS, LinkState.LOST}),
        LinkState.SUBSCRIPTIONS: frozenset({LinkState.OPEN, LinkState.LOST}),
        LinkState.OPEN: frozenset({LinkState.LOST}),
        LinkState.LOST: frozenset(),
    }
)


class LinkOwner(Protocol):
    """Takes what a link brings."""

    def on_channel_message(self, channel: bytes, message: bytes) -> None:
        """Take a message of a channel."""

    def on_confirmed(self, kind: bytes, channel: bytes) -> None:
        """Take note of the beginning or the end of a subscription."""

    def on_share_begun(self) -> None:
        """Take note that replies come now."""

    def on_share_read(self) -> None:
        """Take note that no more replies come in this turn."""

    def on_open(self, facts: ServerFacts) -> None:
        """Take note that commands and subscriptions can be sent."""

    def on_lost(self, problem: str) -> None:
        """Take note that the link is gone; everything unanswered is answered with ``LOST``."""


# Read with each publication; reading a member from its enumeration takes as long as a call.
_OPEN: Final = LinkState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """What all links of a node have in common.

    :param login: None for a Redis server without a password.
    :param database: its number.
    :param name: shown by ``CLIENT LIST``.
    :param max_message_bytes: of the longest message of a channel, with its name.
    :param keeps_history: whether keys are kept there that must not get lost.
    :param may_read: returns whether messages may be read now.
    :param write_later: calls what writes the commands of a turn.
    """

    login: Login | None
    database: int
    name: str
    max_message_bytes: int
    keeps_history: bool
    may_read: Callable[[], bool]
    write_later: Callable[[Callable[[], None]], object]


class _ConnectionFactory(Factory):
    """Makes the protocol of a connection."""

    noisy = False

    def __init__(self, make: Callable[[], PipelinedConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> Any:
        """Return a protocol."""
        return self._make()


class RedisLink:
    """Two connections to one Redis server, from their beginning to their end.

    :param owner: takes what comes.
    :param endpoint: makes connections (``IStreamClientEndpoint``).
    :param options: of all links of the node.
    :param clock: the reactor.
    """

    def __init__(self, owner: LinkOwner, endpoint: Any, options: LinkOptions, clock: Any) -> None:
        self._owner = owner
        self._endpoint = endpoint
        self._options = options
        self._clock = clock
        self._state = LinkState.NEW
        self._attempt: Deferred[Any] | None = None
        self._commands: PipelinedConnection | None = None
        self._subscriptions: PipelinedConnection | None = None
        self._deadline: Any = None
        self._facts = ServerFacts("", "", "", "")

    def open(self) -> None:
        """Make both connections."""
        self._move(LinkState.COMMANDS)
        self._deadline = self._clock.callLater(OPEN_SECONDS, self._on_late)
        self._connect()

    @property
    def is_open(self) -> bool:
        """Whether commands and subscriptions can be sent."""
        return self._state is _OPEN

    @property
    def is_reading(self) -> bool:
        """Whether messages are read as they come."""
        subscriptions = self._subscriptions
        return subscriptions is not None and not subscriptions.is_paused

    @property
    def reads(self) -> tuple[int, int]:
        """How often bytes have come over the connections for commands and for subscriptions."""
        commands, subscriptions = self._commands, self._subscriptions
        return (
            0 if commands is None else commands.reads,
            0 if subscriptions is None else subscriptions.reads,
        )

    def call(self, words: Sequence[bytes], on_reply: OnReply) -> None:
        """Send a command.

        :param on_reply: called once, after this call.
        """
        commands = self._commands
        if self._state is _OPEN and commands is not None:
            commands.call(words, on_reply)
        else:
            self.refuse(self._clock, on_reply)

    def call_packed(self, command: bytes, on_reply: OnReply) -> None:
        """Send a command that is written down already; see :meth:`call`.

        :param command: in the form of RESP.
        """
        commands = self._commands
        if self._state is _OPEN and commands is not None:
            commands.call_packed(command, on_reply)
        else:
            self.refuse(self._clock, on_reply)

    @staticmethod
    def refuse(clock: Any, on_reply: OnReply) -> None:
        """Answer a command that is not sent."""
        clock.callLater(0, on_reply, Lost.LOST)

    def send(self, words: Sequence[bytes]) -> None:
        """Send a command to begin or end subscriptions."""
        if self._state is LinkState.OPEN and self._subscriptions is not None:
            self._subscriptions.send(words)

    def ask_subscriptions(self, on_reply: OnReply) -> None:
        """Have the connection for subscriptions answer once everything sent to it is done."""
        if self._state is LinkState.OPEN and self._subscriptions is not None:
            self._subscriptions.call((b"PING",), partial(self._on_subscribed, on_reply))

    def _on_subscribed(self, on_reply: OnReply, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and self._state is LinkState.OPEN:
            # It is about one of the subscriptions before.
            self._lose(problem_of_error_reply(str(reply)))
        else:
            on_reply(reply)

    def wake(self) -> None:
        """Read on after a pause."""
        if self._subscriptions is not None:
            self._subscriptions.wake()

    def fail(self, problem: str) -> None:
        """End the link at once.

        :param problem: why, for the log.
        """
        if self._state not in (LinkState.NEW, LinkState.LOST):
            self._lose(problem)

    # Opening.

    def _move(self, state: LinkState) -> None:
        self._state = moved(_MOVES, self._state, state)

    def _connect(self) -> None:
        factory = _ConnectionFactory(self._make_connection)
        self._attempt = self._endpoint.connect(factory)
        self._attempt.addCallbacks(self._on_connected, self._on_not_connected)

    def _make_connection(self) -> PipelinedConnection:
        is_for_commands = self._state is LinkState.COMMANDS
        options = self._options
        return PipelinedConnection(
            self,
            max_reply_bytes=ANSWER_BYTES if is_for_commands else options.max_message_bytes,
            may_read=_always if is_for_commands else self._may_read_messages,
            clock=self._clock,
            write_later=options.write_later,
        )

    def _may_read_messages(self) -> bool:
        # Answers to the login must not wait until they are late.
        return self._state is not LinkState.OPEN or self._options.may_read()

    def _on_connected(self, connection: PipelinedConnection) -> None:
        self._attempt = None
        if self._state is LinkState.LOST:
            connection.fail("it comes too late")
            return
        if self._state is LinkState.COMMANDS:
            self._commands = connection
        else:
            self._subscriptions = connection
        options = self._options
        login = options.login
        if login is not None:
            credentials = [login.user.encode(), login.password] if login.user else [login.password]
            connection.call((b"AUTH", *credentials), self._on_login)
        if options.database and self._state is LinkState.COMMANDS:
            connection.call((b"SELECT", b"%d" % options.database), self._on_login)
        connection.call((b"CLIENT", b"SETNAME", options.name.encode()), _ignore)
        connection.call((b"INFO",), self._on_info)

    def _on_not_connected(self, failure: Failure) -> None:
        self._attempt = None
        if self._state is not LinkState.LOST:
            self._lose(problem_of_failure(failure))

    def _on_login(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and self._state is not LinkState.LOST:
            self._lose(problem_of_error_reply(str(reply)))

    def _on_info(self, reply: Any) -> None:
        if self._state is LinkState.LOST or reply is Lost.LOST:
            return
        # Where INFO is not allowed, nothing can be checked.
        is_told = isinstance(reply, bytes)
        facts = facts_of(reply) if is_told else ServerFacts("", "", "", "")
        if isinstance(reply, hiredis.ReplyError) and not str(reply).startswith(("NOPERM", "ERR ")):
            self._lose(problem_of_error_reply(str(reply)))
            return
        if self._state is LinkState.COMMANDS:
            self._facts = facts
            problem = facts.problem(keeps_history=self._options.keeps_history)
            if problem:
                self._lose(problem)
                return
            self._move(LinkState.SUBSCRIPTIONS)
            self._connect()
        elif facts.run_id != self._facts.run_id:
            self._lose("its two connections lead to two servers; another one is the master now")
        else:
            self._deadline.cancel()
            self._move(LinkState.OPEN)
            if self._subscriptions is not None:
                # Subscriptions begin after this, and a connection that fails brings nothing more.
                self._subscriptions.on_message = self._owner.on_channel_message
            self._owner.on_open(facts)

    def _on_late(self) -> None:
        self._lose(f"no answer within {OPEN_SECONDS:g} s")

    # What the connections bring.

    def on_channel_message(self, channel: bytes, message: bytes) -> None:
        """Hand on a message."""
        if self._state is LinkState.OPEN:
            self._owner.on_channel_message(channel, message)

    def on_confirmed(self, kind: bytes, channel: bytes) -> None:
        """Hand on a confirmation."""
        if self._state is LinkState.OPEN:
            self._owner.on_confirmed(kind, channel)

    def on_share_begun(self) -> None:
        """Hand on the beginning of a share."""
        if self._state is LinkState.OPEN:
            self._owner.on_share_begun()

    def on_share_read(self) -> None:
        """Hand on the end of a share."""
        self._owner.on_share_read()

    def on_connection_lost(self, connection: PipelinedConnection, problem: str) -> None:
        """End the link with the first of its connections."""
        if self._state is not LinkState.LOST and connection in (
            self._commands,
            self._subscriptions,
        ):
            self._lose(problem)

    def _lose(self, problem: str) -> None:
        self._move(LinkState.LOST)
        if self._deadline.active():
            self._deadline.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        for each in (self._commands, self._subscriptions):
            if each is not None:
                each.fail(problem)
        if self._commands is not None:
            self._commands.answer_lost()
        self._owner.on_lost(problem)


def _always() -> bool:
    return True


def _ignore(_: object) -> None:
    """Do nothing: the name is for operators only."""
