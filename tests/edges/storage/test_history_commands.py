"""The scripts in a real Redis, with a plain client: the contract, and broken replies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.broker.mirrors.store_contract import MAX_AGE, RULES, STEPS
from tests.broker.mirrors.store_contract import Setting as Contract
from tests.support.redis_server import RedisClient, RedisServer, running_redis
from wampush.broker.mirrors.contract import (
    Cursor,
    Entry,
    OnCarriedOut,
    OnRead,
    OnStored,
    OnTops,
    Stored,
)
from wampush.broker.publication import EVERYONE, Audience, Publication
from wampush.edges.storage.history_commands import (
    EMPTY,
    IDLE,
    HistoryCommands,
    UnexpectedReply,
    run_of,
)
from wampush.edges.storage.history_scripts import PUBLISH, READ, RENEW
from wampush.errors import PublicationRefused, Refusal

PREFIX = "test{t}:"


class PlainEnd:
    """The store as one node uses it, over a blocking connection; answers come later."""

    is_joined = True
    problem = ""

    def __init__(self, setting: Setting, node: str) -> None:
        self._setting = setting
        self.commands = HistoryCommands(node, PREFIX, RULES, 1_000_000)
        self.node = node

    def _later(self, on_answer: Callable[[Any], None], answer: object) -> None:
        self._setting.answers.append(lambda: on_answer(answer))

    def publish(self, entry: Entry, on_stored: OnStored) -> None:
        run = self._setting.run
        reply = self._setting.client.do(*self.commands.publish(entry, run))
        self._later(on_stored, self.commands.stored(entry, run, reply))

    def ask(self, entries: Sequence[Entry], on_answer: OnCarriedOut) -> None:
        reply = self._setting.client.do(*self.commands.carried_out(entries))
        self._later(on_answer, self.commands.are_carried_out(entries, reply))

    def read(self, topic: str, cursor: Cursor, on_read: OnRead) -> None:
        words = self.commands.read(topic, cursor, self._setting.run)
        self._later(on_read, self.commands.slice(self._setting.client.do(*words)))

    def tops(self, topics: Sequence[str], on_tops: OnTops) -> None:
        client = self._setting.client
        replies = [client.do(*self.commands.top(topic)) for topic in topics]
        self._later(on_tops, list(map(self.commands.top_of, replies)))

    def keep(self, topics: Sequence[str]) -> None:
        for topic in topics:
            for words in self.commands.keep(topic):
                self._setting.client.do(*words)

    def on_left(self) -> None:
        """The link of this test is never lost."""

    def renew(self, topic: str, epoch: str, on_renewed: Callable[[], None]) -> None:
        self._setting.client.do(*self.commands.renew(topic, epoch, self._setting.run))
        self._later(lambda _: on_renewed(), None)


class Setting:
    """A Redis server, which is empty at the begin of each test."""

    def __init__(self, client: RedisClient, server: RedisServer) -> None:
        self.client = client
        self.server = server
        self.answers: list[Callable[[], None]] = []
        self.run = run_of(client.do("INFO", "replication"))
        self.recorders: dict[str, tuple[RedisClient, list[bytes]]] = {}
        client.do("FLUSHALL")
        for script in (PUBLISH, READ, RENEW):
            assert client.do("SCRIPT", "LOAD", script.text) == script.sha

    def end(self, node: str) -> PlainEnd:
        return PlainEnd(self, node)

    def settle(self) -> None:
        answers, self.answers = self.answers, []
        for each in answers:
            each()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def messages(self, topic: str) -> Sequence[bytes]:
        if topic not in self.recorders:
            recorder = self.server.client()
            assert recorder.do("SUBSCRIBE", f"{PREFIX}t:{topic}")
            self.recorders[topic] = (recorder, [])
        recorder, found = self.recorders[topic]
        recorder.send("PING", "mark")
        while (answer := recorder.answer()) != [b"pong", b"mark"]:
            assert isinstance(answer, list)
            found.append(answer[2])
        return found

    def remember(self) -> Any:
        keys = self.client.do("KEYS", "*")
        assert isinstance(keys, list)
        return {key: self.client.do("DUMP", key) for key in keys}

    def go_back(self, state: Any) -> None:
        self.client.do("FLUSHALL")
        for key, value in state.items():
            self.client.do("RESTORE", key, 0, value)
        self.run = "another"

    def close(self) -> None:
        for recorder, _ in self.recorders.values():
            recorder.__exit__(None, None, None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with running_redis(folder) as running:
        yield running


@pytest.fixture
def setting(server: RedisServer) -> Iterator[Setting]:
    with server.client() as client:
        made = Setting(client, server)
        yield made
        made.close()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_contract(step: Callable[[Contract], None], setting: Setting) -> None:
    step(setting)


def test_the_first_command_has_the_text_of_a_script_and_others_its_digest(setting: Setting) -> None:
    commands = HistoryCommands("n", PREFIX, RULES, 100_000)
    setting.client.do("SCRIPT", "FLUSH")
    entries = [Entry(number, Publication("log", b"1")) for number in (1, 2)]
    first, second = [commands.publish(each, "run") for each in entries]
    assert first[:2] == [b"EVAL", PUBLISH.text]
    assert second[:2] == [b"EVALSHA", PUBLISH.sha]
    for entry, words in zip(entries, (first, second), strict=True):
        assert isinstance(commands.stored(entry, "run", setting.client.do(*words)), Stored)
    commands.forget_all()
    assert commands.publish(entries[0], "run")[0] == b"EVAL"


def test_a_script_that_the_server_has_lost_is_sent_once() -> None:
    commands = HistoryCommands("n", PREFIX, RULES, 100_000)
    entry = Entry(1, Publication("log", b"1"))
    commands.publish(entry, "run")
    sending = commands.sending_of(PUBLISH)
    for expected in (b"EVAL", b"EVALSHA"):
        # Two commands have relied on the same text.
        commands.forget(PUBLISH, sending)
        assert commands.publish(entry, "run")[0] == expected
    assert commands.sending_of(READ) == 0


def test_topics_expire_when_nobody_uses_them(setting: Setting) -> None:
    commands = HistoryCommands("n", PREFIX, RULES, 100_000)

    def left(kind: str, topic: str) -> int:
        seconds = setting.client.do("TTL", f"{PREFIX}{kind}:{topic}")
        assert isinstance(seconds, int)
        return seconds

    setting.client.do(*commands.read("log", Cursor(0, 0), "run"))
    assert 0 < left("h", "log") <= EMPTY / 1000
    for number, topic in enumerate(("log", "aged", "table"), 1):
        entry = Entry(number, Publication(topic, b'{"id":1,"rev":1}'))
        setting.client.do(*commands.publish(entry, "run"))
    for kind, topic in (("h", "log"), ("s", "log"), ("h", "aged"), ("r", "table"), ("w", "table")):
        assert IDLE / 1000 - 10 < left(kind, topic) <= IDLE / 1000
        setting.client.do("EXPIRE", f"{PREFIX}{kind}:{topic}", 5)
    # What has an age goes with it; the position stays.
    assert 0 <= left("s", "aged") <= MAX_AGE
    for topic in ("log", "aged", "table"):
        for words in commands.keep(topic):
            setting.client.do(*words)
    assert left("h", "aged") > 5
    assert left("s", "aged") <= MAX_AGE
    setting.client.do("EXPIRE", f"{PREFIX}h:log", 5)
    setting.client.do(*commands.read("log", Cursor(0, 0), "run"))
    assert left("h", "log") > 5


def test_what_is_left_of_a_topic_that_has_lost_its_position_goes(setting: Setting) -> None:
    commands = HistoryCommands("n", PREFIX, RULES, 100_000)
    for number in (1, 2):
        setting.client.do(*commands.publish(Entry(number, Publication("log", b"1")), "run"))
    setting.client.do("DEL", f"{PREFIX}h:log")
    setting.client.do(*commands.publish(Entry(3, Publication("log", b"2")), "run"))
    found = commands.slice(setting.client.do(*commands.read("log", Cursor(0, 0), "run")))
    assert [(row.offset, row.payload) for row in found.events] == [(1, b"2")]


def test_nothing_is_half_done_when_redis_has_no_memory_left(setting: Setting) -> None:
    commands = HistoryCommands("n", PREFIX, RULES, 100_000)
    setting.client.do(*commands.publish(Entry(1, Publication("table", b'{"id":1}')), "run"))
    setting.client.do("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(AssertionError, match="OOM"):
            setting.client.do(
                *commands.publish(Entry(2, Publication("table", b"null", EVERYONE)), "run")
            )
    finally:
        setting.client.do("CONFIG", "SET", "maxmemory", "0")
    found = commands.slice(setting.client.do(*commands.read("table", Cursor(0, 0), "run")))
    assert [row.payload for row in found.values] == [b'{"id":1}']
    assert found.position.offset == 1


def test_a_version_in_an_audience_for_some_counts_and_is_no_value(setting: Setting) -> None:
    commands = HistoryCommands("n", PREFIX, RULES, 100_000)
    some = Audience(eligible=frozenset({"s"}))
    entry = Entry(1, Publication("table", b'{"id":1,"rev":3}', some))
    setting.client.do(*commands.publish(entry, "run"))
    stale = Entry(2, Publication("table", b'{"id":1,"rev":2}'))
    outcome = commands.stored(stale, "run", setting.client.do(*commands.publish(stale, "run")))
    assert isinstance(outcome, PublicationRefused)
    assert outcome.refusal is Refusal.STALE


def test_the_run_of_a_server_is_in_its_answer_to_info() -> None:
    assert run_of(b"# Replication\r\nmaster_replid:abc\r\n") == "abc"
    for reply in (None, b"", b"master_replid:", b"master_replid:a b", [b"x"]):
        with pytest.raises(UnexpectedReply, match="INFO"):
            run_of(reply)
