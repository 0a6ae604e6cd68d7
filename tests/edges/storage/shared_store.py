"""A real Redis as the store of nodes in one process, whose time a test moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.support.redis_server import RedisClient, RedisServer
from wampush.broker.backplane.memory_bus import MemoryBus, MemoryLink
from wampush.broker.delivery.backlog import Timer
from wampush.broker.history.rule import HistoryRules
from wampush.broker.mirrors.contract import Cursor, Entry, Slice, Stored, Top
from wampush.broker.mirrors.memory_store import MemoryStoreLink
from wampush.edges.storage.history_commands import HistoryCommands
from wampush.errors import PublicationRefused

PREFIX = "model{t}:"


class RedisStore:
    """Stands for a ``MemoryStore``: each step is a command that Redis answers at once.

    :param server: the server, which is emptied.
    :param bus: brings what Redis publishes.
    """

    def __init__(
        self,
        server: RedisServer,
        bus: MemoryBus,
        rules: HistoryRules,
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self.bus = bus
        self.call_later = call_later
        self._rules = rules
        self._client: RedisClient = server.client()
        self._messages: RedisClient = server.client()
        self._client.do("FLUSHALL")
        assert self._messages.do("PSUBSCRIBE", f"{PREFIX}*")
        self._commands: dict[str, HistoryCommands] = {}
        self._runs = 1

    def close(self) -> None:
        for each in (self._client, self._messages):
            each.__exit__(None, None, None)

    def link(self, node: str, link: MemoryLink) -> MemoryStoreLink:
        store: Any = self
        return MemoryStoreLink(store, node, link)

    @property
    def _run(self) -> str:
        return f"run{self._runs}"

    def _of(self, node: str) -> HistoryCommands:
        return self._commands.setdefault(
            node, HistoryCommands(node, PREFIX, self._rules, 1_000_000)
        )

    def _do(self, words: Sequence[bytes]) -> object:
        answer = self._client.do(*words)
        self._messages.send("PING", "mark")
        while (message := self._messages.answer()) != [b"pong", b"mark"]:
            assert isinstance(message, list)
            _, _, channel, text = message
            self.bus.distribute(channel.decode().removeprefix(PREFIX), text)
        return answer

    def publish(self, node: str, entry: Entry) -> Stored | PublicationRefused:
        commands = self._of(node)
        reply = self._do(commands.publish(entry, self._run))
        return commands.stored(entry, self._run, reply)

    def carried_out(self, node: str, entries: Sequence[Entry]) -> list[bool]:
        commands = self._of(node)
        return commands.are_carried_out(entries, self._do(commands.carried_out(entries)))

    def read(self, topic: str, cursor: Cursor) -> Slice:
        commands = self._of("reader")
        return commands.slice(self._do(commands.read(topic, cursor, self._run)))

    def tops(self, topics: Sequence[str]) -> list[Top | None]:
        commands = self._of("reader")
        return [commands.top_of(self._do(commands.top(topic))) for topic in topics]

    def renew(self, node: str, topic: str, epoch: str) -> None:
        self._do(self._of(node).renew(topic, epoch, self._run))

    # What a server does.

    def remember(self) -> Any:
        keys = self._client.do("KEYS", "*")
        assert isinstance(keys, list)
        return {key: self._client.do("DUMP", key) for key in keys}

    def go_back(self, state: Any) -> None:
        self._client.do("FLUSHALL")
        for key, value in state.items():
            self._client.do("RESTORE", key, 0, value)
        self._runs += 1

    def empty(self) -> None:
        self.go_back({})
