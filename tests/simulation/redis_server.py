"""A Redis server in memory: connections, channels and scripts.

Owns: the protocol, and what is lost when the server ends. Must not import: wampush.
"""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from lupa import lua51  # type: ignore[import-untyped]
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from tests.simulation.redis_data import RedisData, RedisError


class FakeRedis:
    """One server that can end, start again and be replaced by its replica.

    :param now: its time, in seconds since 1970.
    :param on_published: told of each message before the subscribers get it.
    :param on_message: says how many times one subscriber gets a message.
    :param on_refused: gets the arguments of each script that it does not run.
    """

    def __init__(
        self,
        now: Callable[[], float],
        on_published: Callable[[bytes, bytes], None],
        on_message: Callable[[bytes, bytes], int],
        on_refused: Callable[[Sequence[bytes]], None],
    ) -> None:
        self.data = RedisData(now)
        self._now = now
        self._on_published = on_published
        self._on_message = on_message
        self._on_refused = on_refused
        self._starts = 0
        self._scripts: dict[bytes, Any] = {}
        self._lua: Any = lua51.LuaRuntime(encoding=None)
        self._compiled: dict[bytes, Any] = {}
        self.connections: list[FakeConnection] = []
        #: What it answers to the next scripts instead of running them, and to how many of them.
        self.refusal, self.refusals = "", 0
        self.is_up = True
        self.start()

    @property
    def run_id(self) -> bytes:
        """Names the time since the server has started."""
        return hashlib.sha1(b"%d" % self._starts, usedforsecurity=False).hexdigest().encode()

    def forget_scripts(self) -> None:
        """Do what SCRIPT FLUSH does."""
        self._scripts.clear()

    def start(self, data: RedisData | None = None) -> None:
        """Start, or start again.

        :param data: what it has on its disk, or as a replica; None for nothing.
        """
        self._starts += 1
        self._scripts = {}
        self.refusals = 0
        self.data = RedisData(self._now) if data is None else data
        self.is_up = True

    def accept(self) -> FakeConnection | None:
        """Return the server's side of a new connection."""
        return FakeConnection(self) if self.is_up else None

    # Commands that concern more than the data.

    def execute(self, name: bytes, arguments: Sequence[bytes]) -> Any:
        """Carry out a command.

        :raises RedisError: the server answers an error.
        """
        word = name.upper()
        if word == b"PUBLISH":
            return self.publish(*arguments)
        if word in (b"EVAL", b"EVALSHA"):
            if self.refusals:
                self.refusals -= 1
                self._on_refused(arguments)
                raise RedisError(self.refusal)
            return self._evaluate(word, arguments)
        if word == b"SCRIPT":
            return self._load(arguments[1])
        if word == b"PING":
            return arguments[0] if arguments else "PONG"
        if word in (b"AUTH", b"SELECT", b"CLIENT"):
            return "OK"
        if word == b"INFO":
            return b"redis_version:7.0.15\r\nrun_id:%b\r\nrole:master\r\nmaster_replid:%b\r\n" % (
                self.run_id,
                self.run_id,
            )
        if word == b"CONFIG":
            return [arguments[1], b"noeviction"]
        if word == b"ROLE":
            return [b"master", 0, []]
        return self.data.execute(name, arguments)

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message to the subscribers of a channel."""
        self._on_published(channel, message)
        receivers = [each for each in self.connections if channel in each.channels]
        for each in receivers:
            for _ in range(self._on_message(channel, message)):
                each.answer([b"message", channel, message])
        return len(receivers)

    def _load(self, text: bytes) -> bytes:
        digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
        if digest not in self._compiled:
            self._compiled[digest] = self._lua.execute(
                b"return function(KEYS, ARGV, call) local redis = {call = call} " + text + b"\nend"
            )
        self._scripts[digest] = self._compiled[digest]
        return digest

    def _evaluate(self, word: bytes, arguments: Sequence[bytes]) -> Any:
        name, count = arguments[0], int(arguments[1])
        if word == b"EVAL":
            name = self._load(name)
        script = self._scripts.get(name)
        if script is None:
            self._on_refused(arguments)
            raise RedisError("NOSCRIPT No matching script. Please use EVAL.")
        keys, rest = list(arguments[2 : 2 + count]), list(arguments[2 + count :])
        table = self._lua.table_from
        try:
            answer = script(table(keys), table(rest), self._call)
        except lua51.LuaError as error:
            raise RedisError(f"ERR script: {error}") from error
        return _from_lua(answer)

    def _call(self, name: bytes, *arguments: Any) -> Any:
        """Carry out a command of a script."""
        parts = [_as_text(each) for each in arguments]
        answer = (
            self.publish(*parts) if name.upper() == b"PUBLISH" else self.data.execute(name, parts)
        )
        return self._to_lua(answer)

    def _to_lua(self, answer: Any) -> Any:
        if answer is None:
            return False
        if isinstance(answer, list):
            return self._lua.table_from([self._to_lua(each) for each in answer])
        if isinstance(answer, str):
            return self._lua.table_from({b"ok": answer.encode()})
        return answer


def _as_text(argument: Any) -> bytes:
    """Return an argument of a command as Lua writes it."""
    if isinstance(argument, bytes):
        return argument
    if isinstance(argument, float):
        return b"%.14g" % argument
    return b"%d" % argument


def _from_lua(answer: Any) -> Any:
    if answer is None or answer is False:
        return None
    if answer is True:
        return 1
    if isinstance(answer, float):
        return int(answer)
    if lua51.lua_type(answer) == "table":
        if answer[b"ok"] is not None:
            return answer[b"ok"].decode()
        if answer[b"err"] is not None:
            raise RedisError(answer[b"err"].decode())
        found = []
        for index in range(1, len(answer) + 1):
            if answer[index] is None:
                break
            found.append(_from_lua(answer[index]))
        return found
    return answer


class FakeConnection(Protocol):
    """The server's side of a connection.

    :param server: carries out the commands.
    """

    transport: Any

    def __init__(self, server: FakeRedis) -> None:
        self._server = server
        self._reader = hiredis.Reader()
        self.channels: set[bytes] = set()

    def connectionMade(self) -> None:
        """Take commands from now on."""
        self._server.connections.append(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Forget the client."""
        if self in self._server.connections:
            self._server.connections.remove(self)

    def dataReceived(self, data: bytes) -> None:
        """Carry out commands."""
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self._carry_out([bytes(each) for each in command])

    def _carry_out(self, command: list[bytes]) -> None:
        name, arguments = command[0], command[1:]
        word = name.upper()
        if word in (b"SUBSCRIBE", b"UNSUBSCRIBE"):
            for each in arguments:
                (self.channels.add if word == b"SUBSCRIBE" else self.channels.discard)(each)
                self.answer([word.lower(), each, len(self.channels)])
            return
        if self.channels and word == b"PING":
            self.answer([b"pong", arguments[0] if arguments else b""])
            return
        try:
            answer = self._server.execute(name, arguments)
        except RedisError as error:
            self.transport.write(b"-%b\r\n" % str(error).encode())
            return
        self.answer(answer)

    def answer(self, answer: Any) -> None:
        """Write an answer or a message."""
        self.transport.write(_encoded(answer))


def _encoded(answer: Any) -> bytes:
    if answer is None:
        return b"$-1\r\n"
    if isinstance(answer, bytes):
        return b"$%d\r\n%b\r\n" % (len(answer), answer)
    if isinstance(answer, str):
        return b"+%b\r\n" % answer.encode()
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    return b"*%d\r\n%b" % (len(answer), b"".join(map(_encoded, answer)))
