"""Scenario of the code of a node that others are joined to: nodes-path.

Owns: the cost of an event on its way through Redis, in a node without sockets.
Must not import: other scenarios.

What stands for Redis sends everything to the nodes that it was asked to; the time that it takes is
left out. The floor is the calls of libraries that the same takes. All figures are measured
alternately in one process, and the fastest batch counts, because other load can only add time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from math import inf
from typing import Any, Final, cast

import hiredis
import orjson
from twisted.internet.task import Clock

from bench.in_memory import Client, Node, Socket
from bench.native import BenchError
from bench.run import Run
from bench.table import Row
from wampush.config.checks.redis import REDIS_ADDRESS
from wampush.config.tables.backplane import BackplaneSettings

#: Batches of each figure in a round.
_BATCHES: Final = 150
#: Events of a turn: alone, and as many as come together when all cores are busy.
_TOGETHER: Final = 50
_INFO: Final = b"redis_version:7.0.15\r\nrun_id:1\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n"
_PACKED: Final = cast(Callable[[object], bytes], hiredis.pack_command)


class _Connection:
    """One connection of the node to Redis, and what Redis does with what comes over it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append
        self._commands = hiredis.Reader()

    def getPeer(self) -> object:  # noqa: N802 - Twisted's name
        return self

    def take_commands(self) -> list[list[bytes]]:
        """Return what the node has sent since the last time."""
        self._commands.feed(b"".join(self.written))
        self.written.clear()
        return list(iter(self._commands.gets, False))


class _Redis(Clock):
    """A reactor whose connections lead to what stands for Redis."""

    def __init__(self) -> None:
        super().__init__()
        self._links: list[tuple[_Connection, Any]] = []

    def connectUNIX(self, address: object, factory: Any, **options: object) -> None:  # noqa: ARG002, N802 - Twisted's
        """Make a connection: first the one for commands, then the one for subscriptions."""
        protocol, connection = factory.buildProtocol(address), _Connection()
        self._links.append((connection, protocol))
        protocol.makeConnection(connection)

    def join(self) -> None:
        """Answer what a node asks for when it joins, or follows topics."""
        is_asked = True
        while is_asked:
            self.advance(0)
            is_asked = False
            for connection, protocol in list(self._links):
                answer = b"".join(map(self._answer, connection.take_commands()))
                if answer:
                    is_asked = True
                    protocol.dataReceived(answer)

    def take_messages(self) -> list[bytes]:
        """Return what the node has published since the last time, as Redis sends it to others."""
        published = self._links[0][0].take_commands()
        return [_message(channel, message) for _, channel, message in published]

    def bring(self, answers: bytes, messages: bytes) -> None:
        """Hand over what Redis sends the node."""
        (_, commands), (_, subscriptions) = self._links
        if messages:
            subscriptions.dataReceived(messages)
        if answers:
            commands.dataReceived(answers)

    @staticmethod
    def _answer(words: list[bytes]) -> bytes:
        verb = words[0].upper()
        if verb == b"INFO":
            return b"$%d\r\n%b\r\n" % (len(_INFO), _INFO)
        if verb in (b"SUBSCRIBE", b"UNSUBSCRIBE"):
            return b"".join(_answer(verb.lower(), each) + b":1\r\n" for each in words[1:])
        if verb == b"PING":
            return b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        return b":1\r\n" if verb == b"PUBLISH" else b"+OK\r\n"


def _answer(kind: bytes, channel: bytes) -> bytes:
    return b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(kind), kind, len(channel), channel)


def _message(channel: bytes, message: bytes) -> bytes:
    return _answer(b"message", channel) + b"$%d\r\n%b\r\n" % (len(message), message)


def _push(topic: str) -> bytes:
    return orjson.dumps({"category": topic, "n": 1, "t": 123456789, "p": "x" * 150})


class _Joined:
    """A node with a client of the topic ``here``, joined to others."""

    def __init__(self) -> None:
        self._redis = _Redis()
        url: Any = REDIS_ADDRESS.check("unix:///run/redis.sock")
        self._node = Node(2, (), BackplaneSettings(url), self._redis)
        backplane = self._node.backplane
        assert backplane is not None
        backplane.start()
        self._redis.join()
        Client(self._node).subscribe("here")
        self._redis.join()
        if not backplane.bus.is_joined or len(backplane.interest) != 1:
            raise BenchError(f"the node has not joined: {backplane.status()}")
        self._elsewhere = self._from_elsewhere()

    def there_and_back(self, turns: int, together: int) -> float:
        """Publish to a topic with a subscriber here, and deliver; return the node's seconds."""
        return self._publish(_push("here"), turns, together, returns=True)

    def to_others(self, turns: int, together: int) -> float:
        """Publish to a topic that has subscribers elsewhere only."""
        return self._publish(_push("there"), turns, together, returns=False)

    def from_others(self, turns: int, together: int) -> float:
        """Deliver what another node has published."""
        bring, messages, seconds = self._redis.bring, self._elsewhere * together, 0.0
        for _ in range(turns):
            begun = time.perf_counter()
            bring(b"", messages)
            seconds += time.perf_counter() - begun
        return seconds

    def _publish(self, push: bytes, turns: int, together: int, *, returns: bool) -> float:
        redis, node = self._redis, self._node
        pushes, answers, seconds = [push] * together, b":1\r\n" * together, 0.0
        for _ in range(turns):
            begun = time.perf_counter()
            node.push_together(pushes)
            redis.advance(0)
            seconds += time.perf_counter() - begun
            published = redis.take_messages()
            assert len(published) == together
            messages = b"".join(published) if returns else b""
            begun = time.perf_counter()
            redis.bring(answers, messages)
            seconds += time.perf_counter() - begun
        assert node.backplane is not None
        assert not node.backplane.without_outcome
        return seconds

    def _from_elsewhere(self) -> bytes:
        """Return what another node publishes to ``here``."""
        self._node.push_together([_push("here")])
        self._redis.advance(0)
        (message,) = self._redis.take_messages()
        self._redis.bring(b":1\r\n", message)
        node = message.partition(b'"node":"')[2].partition(b'"')[0]
        return message.replace(node, node[::-1])


class _Floor:
    """The calls of libraries that the same takes, by turns of as many events."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._send = Socket().send

    def there_and_back(self, turns: int, together: int) -> float:
        """Parse pushes, write commands, read answers and messages, send frames."""
        return self._run(turns, together, is_pushed=True, is_received=True)

    def to_others(self, turns: int, together: int) -> float:
        """Parse pushes, write commands, read answers."""
        return self._run(turns, together, is_pushed=True, is_received=False)

    def from_others(self, turns: int, together: int) -> float:
        """Read and check messages, send frames."""
        return self._run(turns, together, is_pushed=False, is_received=True)

    def _run(self, turns: int, together: int, *, is_pushed: bool, is_received: bool) -> float:
        push, take = _push("here"), self._reader.gets
        message = b'1{"node":"0123456789abcdef","id":1}\n' + push
        answers = b":1\r\n" * together if is_pushed else b""
        messages = _message(b"channel", message) * together if is_received else b""
        begun = time.perf_counter()
        for _ in range(turns):
            if is_pushed:
                for _ in range(together):
                    assert orjson.loads(push)["category"]
                    _PACKED((b"PUBLISH", b"channel", message))
            self._reader.feed(answers + messages)
            while (reply := take()) is not False:
                if type(reply) is list:
                    assert orjson.loads(reply[2][36:])
                    self._send(b"".join((b"\x81\x7e\x00\xd6", b'[8,"here",', push, b"]")))
        return time.perf_counter() - begun


def nodes_path(run: Run) -> list[Row]:
    """An event through Redis without the kernel: the cost of the code of a joined node."""
    node, floor = _Joined(), _Floor()
    many, turns = run.size(_TOGETHER, 2), run.size(4, 1)
    # Name, events of a turn, turns, what is measured, what it is compared with.
    figures = [
        ("push, there and back, us", many, turns, node.there_and_back, floor.there_and_back),
        ("the same alone in a turn, us", 1, 4 * turns, node.there_and_back, floor.there_and_back),
        ("push for other nodes only, us", many, turns, node.to_others, floor.to_others),
        ("event of another node, us", many, turns, node.from_others, floor.from_others),
    ]
    values: list[list[float]] = [[] for _ in figures]
    floors: list[list[float]] = [[] for _ in figures]
    gc.collect()
    gc.disable()
    try:
        for _ in range(run.rounds):
            fastest = [(inf, inf)] * len(figures)
            for _ in range(_BATCHES):
                for index, (_, together, times, measured, least) in enumerate(figures):
                    events = together * times / 1e6
                    took = measured(times, together) / events, least(times, together) / events
                    fastest[index] = (
                        min(fastest[index][0], took[0]),
                        min(fastest[index][1], took[1]),
                    )
            for index, (value, lowest) in enumerate(fastest):
                values[index].append(value)
                floors[index].append(lowest)
    finally:
        gc.enable()
    return [
        Row("nodes-path", figure[0], values[index], floors[index], digits=2)
        for index, figure in enumerate(figures)
    ]
