"""The master of a Redis installation, as its sentinels name it.

Owns: the question to a sentinel, the endpoint that asks before it connects, and noticing that
another server has become the master.
Must not import: the broker, the edges.

Sentinel's protocol: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.config.checks.redis import is_host
from wampush.net.redis.error_descriptions import (
    SentinelProblem,
    problem_of_error_reply,
    problem_of_failure,
)
from wampush.net.redis.replies import BrokenReply, ErrorReply, NeedData, Reply, ReplyReader

_log = Logger(namespace="wampush.redis")

#: Seconds for the answer of one sentinel, including the connection.
ASK_SECONDS: Final = 3.0
#: Seconds between two questions whether the master is still the same. A master that hangs, or that
#: the others cannot reach, does not end its connections.
WATCH_SECONDS: Final = 10.0
_MAX_REPLY_BYTES: Final = 1024


class Server(NamedTuple):
    """The address of a server."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Sentinel(NamedTuple):
    """One sentinel.

    :param server: its address, for errors.
    :param endpoint: connects to it (``IStreamClientEndpoint``).
    """

    server: Server
    endpoint: Any


class _Question(Protocol):
    """Asks one sentinel for the address of a master.

    :param commands: what to send; the reply to the last one is the answer.
    """

    def __init__(self, commands: Sequence[Sequence[bytes]]) -> None:
        self._commands = commands
        self._replies = 0
        self._reader = ReplyReader(_MAX_REPLY_BYTES)
        self.answer: Deferred[Reply] = Deferred(lambda _: self._transport.abortConnection())

    @property
    def _transport(self) -> Any:
        return self.transport

    def connectionMade(self) -> None:
        """Ask."""
        for words in self._commands:
            parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
            self._transport.write(b"*%d\r\n%s" % (len(words), parts))

    def dataReceived(self, data: bytes) -> None:
        """Take a part of the replies."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.next_reply()) is not NeedData.NEED_DATA:
                self._replies += 1
                if isinstance(reply, ErrorReply):
                    self._fail(problem_of_error_reply(reply.text))
                elif self._replies == len(self._commands):
                    self._end(reply)
        except BrokenReply as error:
            self._fail(f"unexpected data: {error} (is this a sentinel?)")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail, if there is no answer."""
        self._end(reason)

    def _fail(self, problem: str) -> None:
        self._end(Failure(SentinelProblem(problem)))

    def _end(self, result: Any) -> None:
        if not self.answer.called:
            self.answer.callback(result)
            self._transport.loseConnection()


class SentinelEndpoint:
    """Connects to the master that a sentinel names.

    :param sentinels: are asked in turn, the one that has answered last first.
    :param name: of the master, as in ``sentinel monitor``.
    :param password: of the sentinels; b"" for none.
    :param endpoint_of: returns the endpoint of a server.
    :param clock: ``IReactorTime``.
    """

    def __init__(
        self,
        sentinels: Sequence[Sentinel],
        name: str,
        password: bytes,
        *,
        endpoint_of: Callable[[Server], Any],
        clock: Any,
    ) -> None:
        self._sentinels = list(sentinels)
        self._name = name
        question = (b"SENTINEL", b"get-master-addr-by-name", name.encode())
        self._commands = [(b"AUTH", password), question] if password else [question]
        self._endpoint_of = endpoint_of
        self._clock = clock
        #: The master at the latest attempt to connect; None before the first.
        self.master: Server | None = None

    def connect(self, factory: Any) -> Deferred[Any]:
        """Ask for the master, then connect to it.

        :returns: fires with the protocol; fails with SentinelProblem if no sentinel knows it.
        """
        return Deferred.fromCoroutine(self._connect(factory))

    def find_master(self) -> Deferred[Server]:
        """Return the address of the master.

        :returns: fails with SentinelProblem if no sentinel knows it.
        """
        return Deferred.fromCoroutine(self._find())

    async def _connect(self, factory: Any) -> Any:
        master = await self._find()
        if master != self.master:
            self.master = master
            _log.info("the master {name} of Redis is {server}", name=self._name, server=master)
        return await self._endpoint_of(master).connect(factory)

    async def _find(self) -> Server:
        problems: list[str] = []
        for sentinel in list(self._sentinels):
            problem = await self._ask(sentinel)
            if isinstance(problem, Server):
                self._sentinels.remove(sentinel)
                self._sentinels.insert(0, sentinel)
                return problem
            problems.append(f"{sentinel.server}: {problem}")
        raise SentinelProblem(f"no sentinel names the master {self._name}: {'; '.join(problems)}")

    def _ask(self, sentinel: Sentinel) -> Deferred[Server | str]:
        """Return the address of the master, or why a sentinel did not name it."""

        def no_answer(result: object, seconds: float) -> object:
            raise SentinelProblem(f"no answer within {seconds:g} s")

        factory = Factory.forProtocol(lambda: _Question(self._commands))
        factory.noisy = False
        asked: Deferred[Any] = sentinel.endpoint.connect(factory)
        asked.addCallback(lambda question: question.answer)
        asked.addTimeout(ASK_SECONDS, self._clock, no_answer)
        return asked.addCallbacks(self._server_of, _problem_of)

    @staticmethod
    def _server_of(reply: Reply) -> Server | str:
        if reply is None:
            return "it does not know this name"
        if isinstance(reply, list) and len(reply) == 2:
            host, port = (each.decode() if isinstance(each, bytes) else "" for each in reply)
            if is_host(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65_536:
                return Server(host, int(port))
        return "its answer is not an address"


def _problem_of(failure: Failure) -> str | Failure:
    return failure if failure.check(CancelledError) else problem_of_failure(failure)


class MasterWatch:
    """Asks the sentinels regularly while a connection lasts.

    :param endpoint: that has made the connection.
    :param clock: ``IReactorTime``.
    :param on_moved: called when another server has become the master.
    :param seconds: between two questions.
    """

    def __init__(
        self,
        endpoint: SentinelEndpoint,
        clock: Any,
        on_moved: Callable[[Server], None],
        seconds: float = WATCH_SECONDS,
    ) -> None:
        self._endpoint = endpoint
        self._on_moved = on_moved
        self._asked: Deferred[None] | None = None
        self._loop = LoopingCall(self._ask)
        self._loop.clock = clock
        self._loop.start(seconds, now=False)

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()
        if self._asked is not None:
            self._asked.cancel()

    def _ask(self) -> Deferred[None]:
        asked = self._endpoint.find_master()
        # While no sentinel answers, there cannot be another master.
        self._asked = asked.addCallbacks(self._compare, lambda _: None)
        return self._asked

    def _compare(self, master: Server) -> None:
        if master != self._endpoint.master and self._loop.running:
            self._on_moved(master)
