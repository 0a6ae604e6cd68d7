"""The history of topics in Redis, as one node uses it (``SharedStore``).

Owns: the way of commands and replies, what errors mean, and what is known of the present server.
Must not import: Twisted, the other edges; what sends commands is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import hiredis

from wampush.broker.mirrors.contract import (
    Cursor,
    Entry,
    NotCarriedOut,
    OnCarriedOut,
    OnRead,
    OnStored,
    OnTops,
    Slice,
    Top,
    Unreadable,
)
from wampush.edges.storage.history_commands import HistoryCommands, UnexpectedReply, Words, run_of
from wampush.edges.storage.history_scripts import PUBLISH, READ, RENEW, Script
from wampush.errors import PublicationRefused, Refusal
from wampush.net.redis.error_descriptions import problem_of_error_reply
from wampush.net.redis.pipelined import Lost, OnReply

#: Errors of a server that cannot do now what another one can, or the same one later.
_TEMPORARY = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")


class Calls(Protocol):
    """What sends commands to Redis."""

    @property
    def is_joined(self) -> bool:
        """Whether it is connected, and everything is followed."""

    @property
    def problem(self) -> str:
        """Why not; "" if it is."""

    def call(self, words: Sequence[bytes], on_reply: OnReply) -> None:
        """Send a command, after all commands before.

        :param on_reply: called once, after this call, in the order of the calls.
        """

    def fail(self, problem: str) -> None:
        """End the connection, and make another one."""


class RedisHistory:
    """Keeps topics in Redis for all nodes.

    :param calls: sends commands.
    :param commands: writes them, and reads the replies.
    """

    def __init__(self, calls: Calls, commands: HistoryCommands) -> None:
        self._calls = calls
        self._commands = commands
        # Names the present run of the server; None until it is known.
        self._run: str | None = None
        # What waits until then; None while nobody has asked.
        self._waiting: list[Callable[[], None]] | None = None
        self._losses = 0

    @property
    def node(self) -> str:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        return self._commands.node

    @property
    def is_joined(self) -> bool:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        return self._calls.is_joined

    @property
    def problem(self) -> str:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        return self._calls.problem

    def on_left(self) -> None:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        self._losses += 1
        self._run = None
        self._commands.forget_all()
        waiting, self._waiting = self._waiting, None
        for step in waiting or ():
            # There is no run, so that each of them reports the loss.
            step()

    def publish(self, entry: Entry, on_stored: OnStored) -> None:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        self._once_known(lambda run: self._publish(entry, on_stored, run))

    def ask(self, entries: Sequence[Entry], on_answer: OnCarriedOut) -> None:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""

        def on_reply(reply: Any) -> None:
            try:
                found = self._commands.are_carried_out(entries, reply)
            except UnexpectedReply:
                if isinstance(reply, hiredis.ReplyError):
                    self._problem_of(reply)
                on_answer(None)
            else:
                on_answer(found)

        self._calls.call(self._commands.carried_out(entries), on_reply)

    def read(self, topic: str, cursor: Cursor, on_read: OnRead) -> None:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        self._once_known(lambda run: self._read(topic, cursor, on_read, run))

    def tops(self, topics: Sequence[str], on_tops: OnTops) -> None:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        tops: list[Top | None] = []
        problems: list[object] = []

        def on_reply(reply: Any) -> None:
            try:
                tops.append(self._commands.top_of(reply))
            except UnexpectedReply:
                problems.append(reply)
            if len(tops) + len(problems) == len(topics):
                on_tops(None if problems else tops)

        for topic in topics:
            self._calls.call(self._commands.top(topic), on_reply)

    def keep(self, topics: Sequence[str]) -> None:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        for topic in topics:
            for words in self._commands.keep(topic):
                self._calls.call(words, _ignore)

    def renew(self, topic: str, epoch: str, on_renewed: Callable[[], None]) -> None:
        """See :class:`~wampush.broker.mirrors.contract.SharedStore`."""
        self._once_known(lambda run: self._renew(topic, epoch, on_renewed, run))

    # The present server.

    def _once_known(self, step: Callable[[str | None], None]) -> None:
        """Take a step once the run of the server is known.

        :param step: gets the run; None when the link was lost before.
        """
        if self._run is not None:
            step(self._run)
            return
        is_first = self._waiting is None
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(lambda: step(self._run))
        if is_first:
            self._calls.call((b"INFO", b"replication"), partial(self._on_info, self._losses))

    def _on_info(self, losses: int, reply: Any) -> None:
        if losses != self._losses:
            # It is the answer of a server before.
            return
        if reply is not Lost.LOST:
            try:
                self._run = run_of(reply)
            except UnexpectedReply:
                # Where INFO is not allowed, a change of the server is not noticed.
                self._run = "unknown"
        waiting, self._waiting = self._waiting, None
        for step in waiting or ():
            step()

    # Commands.

    def _publish(self, entry: Entry, on_stored: OnStored, run: str | None) -> None:
        if run is None:
            on_stored(None)
            return
        try:
            words = self._commands.publish(entry, run)
        except PublicationRefused as error:
            on_stored(error)
            return
        sending = self._commands.sending_of(PUBLISH)

        def on_reply(reply: Any) -> None:
            if reply is Lost.LOST:
                on_stored(None)
            elif isinstance(reply, hiredis.ReplyError):
                on_stored(self._refused(reply, sending))
            else:
                try:
                    outcome = self._commands.stored(entry, run, reply)
                except UnexpectedReply as error:
                    outcome = PublicationRefused(Refusal.BACKPLANE_AWAY, f"{error}.")
                on_stored(outcome)

        self._calls.call(words, on_reply)

    def _refused(
        self, reply: hiredis.ReplyError, sending: int
    ) -> PublicationRefused | NotCarriedOut:
        """Return what an error means for a publication.

        :param sending: of the script that it has relied on.
        """
        if _is_missing(reply):
            # Somebody has had Redis forget it; the next command has the whole text.
            self._commands.forget(PUBLISH, sending)
            return NotCarriedOut("Redis has lost the script")
        problem = self._problem_of(reply)
        if str(reply).startswith(_TEMPORARY):
            return NotCarriedOut(problem)
        return PublicationRefused(Refusal.BACKPLANE_AWAY, f"{problem}.")

    def _read(self, topic: str, cursor: Cursor, on_read: OnRead, run: str | None) -> None:
        if run is None:
            on_read(None)
            return

        def on_reply(reply: Any) -> None:
            if reply is Lost.LOST:
                on_read(None)
            elif isinstance(reply, hiredis.ReplyError):
                on_read(Unreadable(self._problem_of(reply)))
            else:
                found: Slice | Unreadable
                try:
                    found = self._commands.slice(reply)
                except UnexpectedReply as error:
                    found = Unreadable(str(error))
                on_read(found)

        self._ask(READ, lambda: self._commands.read(topic, cursor, run), on_reply)

    def _renew(
        self, topic: str, epoch: str, on_renewed: Callable[[], None], run: str | None
    ) -> None:
        if run is None:
            on_renewed()
            return

        def on_reply(reply: Any) -> None:
            if isinstance(reply, hiredis.ReplyError):
                self._problem_of(reply)
            on_renewed()

        self._ask(RENEW, lambda: self._commands.renew(topic, epoch, run), on_reply)

    def _ask(self, script: Script, words: Callable[[], Words], on_answer: OnReply) -> None:
        """Run a script that may run twice; send its text if the server does not have it."""

        command = words()
        sending = self._commands.sending_of(script)

        def on_reply(reply: Any) -> None:
            if isinstance(reply, hiredis.ReplyError) and _is_missing(reply):
                self._commands.forget(script, sending)
                self._ask(script, words, on_answer)
            else:
                on_answer(reply)

        self._calls.call(command, on_reply)

    def _problem_of(self, reply: hiredis.ReplyError) -> str:
        """Return what is wrong; end the link if another server can do better."""
        problem = problem_of_error_reply(str(reply))
        if str(reply).startswith(_TEMPORARY):
            self._calls.fail(problem)
        return problem


def _is_missing(reply: hiredis.ReplyError) -> bool:
    return str(reply).startswith("NOSCRIPT")


def _ignore(_: object) -> None:
    """Do nothing: what could not be kept now is kept the next time."""
