"""The store in Redis: the contract over a real link, and what errors and losses mean."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hiredis
import pytest

from tests.broker.mirrors.store_contract import RULES, STEPS
from tests.broker.mirrors.store_contract import Setting as Contract
from tests.edges.backplane.redis_world import RedisSetting, reactor, thread_pool
from tests.support.redis_server import RedisServer, running_redis
from wampush.broker.mirrors.contract import (
    Cursor,
    Entry,
    NotCarriedOut,
    Slice,
    Stored,
    Unreadable,
)
from wampush.broker.publication import Audience, Publication
from wampush.edges.backplane.redis_bus import RedisBus
from wampush.edges.storage.history_commands import HistoryCommands
from wampush.edges.storage.history_scripts import PUBLISH, READ
from wampush.edges.storage.redis_history import RedisHistory
from wampush.errors import PublicationRefused, Refusal
from wampush.net.redis.pipelined import Lost, OnReply

INFO = b"# Replication\r\nrole:master\r\nmaster_replid:0123456789abcdef0123\r\n"


class FakeRedis:
    """Answers commands when a test says so."""

    def __init__(self) -> None:
        self.is_joined = True
        self.problem = ""
        self.sent: deque[tuple[Sequence[bytes], OnReply]] = deque()
        self.failures: list[str] = []
        self.history = RedisHistory(self, HistoryCommands("n", "p{t}:", RULES, 100_000))

    def call(self, words: Sequence[bytes], on_reply: OnReply) -> None:
        self.sent.append((words, on_reply))

    def fail(self, problem: str) -> None:
        self.failures.append(problem)

    def reply(self, answer: object) -> Sequence[bytes]:
        """Answer the first command; return it."""
        words, on_reply = self.sent.popleft()
        on_reply(answer)
        return words

    def answered_info(self) -> FakeRedis:
        self.history.tops(["log"], lambda _: None)
        self.sent.clear()
        self.history.read("log", Cursor(None, None), lambda _: None)
        assert self.reply(INFO) == (b"INFO", b"replication")
        self.sent.clear()
        return self


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis().answered_info()


def error(text: str) -> hiredis.ReplyError:
    return hiredis.ReplyError(text)


def publish(redis: FakeRedis, *, push_id: str = "") -> list[Any]:
    outcomes: list[Any] = []
    entry = Entry(1, Publication("log", b"1"), push_id, "d")
    redis.history.publish(entry, outcomes.append)
    return outcomes


def read(redis: FakeRedis) -> list[Any]:
    found: list[Any] = []
    redis.history.read("log", Cursor(0, 0), found.append)
    return found


def test_nothing_is_sent_before_the_run_of_the_server_is_known() -> None:
    redis = FakeRedis()
    outcomes, found = publish(redis), read(redis)
    assert [words for words, _ in redis.sent] == [(b"INFO", b"replication")]
    redis.reply(INFO)
    assert [words[0] for words, _ in redis.sent] == [b"EVAL", b"EVAL"]
    assert b"0123456789abcdef" in redis.sent[0][0]
    redis.reply([b"OK", b"e 1 5000 2"])
    redis.reply([b"e", b"1", b"a:0", b"", b"6000", 1, [], []])
    (stored,), (some,) = outcomes, found
    assert isinstance(stored, Stored)
    assert isinstance(some, Slice)
    assert some.position.offset == 1
    # The run is known.
    assert publish(redis) == read(redis) == []
    assert [words[:2] for words, _ in redis.sent] == [
        [b"EVALSHA", PUBLISH.sha],
        [b"EVALSHA", READ.sha],
    ]


def test_what_waits_for_a_link_brings_each_script_once() -> None:
    redis = FakeRedis()
    for _ in range(100):
        publish(redis)
    redis.reply(INFO)
    words = [words[:2] for words, _ in redis.sent]
    assert words == [[b"EVAL", PUBLISH.text]] + 99 * [[b"EVALSHA", PUBLISH.sha]]


def test_where_info_is_not_allowed_the_run_has_one_name_for_ever() -> None:
    redis = FakeRedis()
    publish(redis)
    redis.reply(error("NOPERM this user has no permissions"))
    assert b"unknown" in redis.sent[0][0]


def test_a_loss_of_the_link_answers_everything_and_forgets_the_server(redis: FakeRedis) -> None:
    outcomes, found = publish(redis), read(redis)
    renewed: list[bool] = []
    redis.history.renew("log", "e", lambda: renewed.append(True))
    for _ in range(3):
        redis.reply(Lost.LOST)
    assert outcomes == found == [None]
    assert renewed == [True]
    redis.history.on_left()
    # What waits for the run is answered as well.
    outcomes, found = publish(redis), read(redis)
    redis.history.renew("log", "e", lambda: renewed.append(True))
    redis.history.on_left()
    assert outcomes == found == [None]
    assert renewed == [True, True]
    # The late answer of the server before does not count.
    publish(redis)
    redis.reply(INFO.replace(b"0123", b"9999"))
    assert [words[0] for words, _ in redis.sent] == [b"INFO"]
    redis.reply(INFO)
    assert b"0123456789abcdef" in redis.sent[0][0]
    assert redis.sent[0][0][0] == b"EVAL"


def test_info_that_is_lost_answers_what_waits() -> None:
    redis = FakeRedis()
    outcomes = publish(redis)
    redis.reply(Lost.LOST)
    assert outcomes == [None]


def test_a_script_that_redis_has_lost_is_sent_again(redis: FakeRedis) -> None:
    publish(redis)
    read(redis)
    redis.history.renew("log", "e", lambda: None)
    redis.sent.clear()
    outcomes, found = publish(redis), read(redis)
    renewed: list[bool] = []
    redis.history.renew("log", "e", lambda: renewed.append(True))
    for _ in range(3):
        redis.reply(error("NOSCRIPT No matching script."))
    (outcome,) = outcomes
    # Others of this node may have been carried out since, so that it needs another number.
    assert isinstance(outcome, NotCarriedOut)
    assert [words[0] for words, _ in redis.sent] == [b"EVAL", b"EVAL"]
    redis.reply([b"e", b"1", b"a:0", b"", b"6000", 1, [], []])
    redis.reply(1)
    assert isinstance(found[0], Slice)
    assert renewed == [True]
    publish(redis)
    assert redis.sent[0][0][0] == b"EVAL"


@pytest.mark.parametrize(
    ("text", "problem"),
    [("READONLY You can't write", "a replica"), ("LOADING Redis is loading", "still loading")],
)
def test_a_server_that_cannot_do_it_now_is_left(redis: FakeRedis, text: str, problem: str) -> None:
    outcomes, found = publish(redis), read(redis)
    redis.reply(error(text))
    redis.reply(error(text))
    (outcome,), (unreadable,) = outcomes, found
    assert isinstance(outcome, NotCarriedOut)
    assert isinstance(unreadable, Unreadable)
    assert problem in unreadable.problem
    assert len(redis.failures) == 2


def test_other_errors_refuse_the_publication(redis: FakeRedis) -> None:
    outcomes, found = publish(redis), read(redis)
    redis.history.renew("log", "e", lambda: None)
    for _ in range(3):
        redis.reply(error("OOM command not allowed when used memory > 'maxmemory'."))
    (outcome,) = outcomes
    assert isinstance(outcome, PublicationRefused)
    assert outcome.refusal is Refusal.BACKPLANE_AWAY
    assert "has reached its maxmemory" in outcome.detail
    assert isinstance(found[0], Unreadable)
    assert not redis.failures


def test_what_is_not_text_is_refused_before_it_is_sent(redis: FakeRedis) -> None:
    outcomes: list[Any] = []
    for publication in (
        Publication("\ud800", b"1"),
        Publication("log", b"1", Audience(exclude=frozenset({"\ud800"}))),
    ):
        redis.history.publish(Entry(1, publication), outcomes.append)
    assert [each.refusal for each in outcomes] == [Refusal.BACKPLANE_AWAY] * 2
    assert not redis.sent


@pytest.mark.parametrize(
    "reply",
    [
        None,
        7,
        b"OK",
        [],
        [b"OK", b"e"],
        [b"OK", b"e x 1 1"],
        [b"OK", 7],
        [b"KNOWN"],
        [b"STALE"],
        [b"WHAT"],
        [b"KNOWN", b"d\ne 1"],
    ],
)
def test_answers_that_say_nothing_refuse_the_publication(redis: FakeRedis, reply: object) -> None:
    outcomes = publish(redis)
    redis.reply(reply)
    (outcome,) = outcomes
    assert isinstance(outcome, PublicationRefused)
    assert "unexpected" in outcome.detail


MESSAGE = b'1{"node":"n","id":1}\n7'


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        [b"e", b"x", b"a:0", b"", b"1", 1, [], []],
        [None, b"1", b"a:0", b"", b"1", 1, [], []],
        [b"e", b"1", b"a:x", b"", b"1", 1, [], []],
        [b"e", b"1", b"a:0", b"", b"x", 1, [], []],
        [b"e", b"1", b"a:0", b"", b"1", 1, [b"1 2\nno message"], []],
        [b"e", b"1", b"a:0", b"", b"1", 1, [], [b"x 2\n" + MESSAGE]],
        [b"e", b"1", b"a:0", b"", b"1", 1, [], [b"1\n" + MESSAGE]],
        [b"e", b"1", b"a:0", b"", b"1", 1, [], 7],
    ],
)
def test_parts_that_are_none_are_not_believed(redis: FakeRedis, reply: object) -> None:
    found = read(redis)
    redis.reply(reply)
    assert isinstance(found[0], Unreadable)


def test_positions_that_are_none_are_not_believed(redis: FakeRedis) -> None:
    tops: list[Any] = []
    for reply in (7, [b"e", b"x", b"a:0"], [b"e", b"1", b""], [b"e"], Lost.LOST):
        redis.history.tops(["log", "state"], tops.append)
        redis.reply(reply)
        redis.reply([None, None, None])
    assert tops == [None] * 5


@pytest.mark.parametrize(
    "reply",
    [Lost.LOST, None, [], [b"1"], [b"x", None], [b"1", 7], error("NOPERM no")],
)
def test_answers_that_do_not_say_what_was_carried_out(redis: FakeRedis, reply: object) -> None:
    answers: list[Any] = []
    redis.history.ask([Entry(1, Publication("plain", b"1"), "p", "d")], answers.append)
    assert redis.reply(reply) == [b"MGET", b"p{t}:q:n", b"p{t}:i:p"]
    assert answers == [None]
    assert not redis.failures


def test_a_server_that_cannot_say_it_now_is_left(redis: FakeRedis) -> None:
    redis.history.ask([Entry(1, Publication("plain", b"1"))], lambda _: None)
    redis.reply(error("LOADING Redis is loading"))
    assert len(redis.failures) == 1


def test_topics_are_kept_and_what_has_an_age_is_not(redis: FakeRedis) -> None:
    redis.history.keep(["log", "aged"])
    keys = [words[1] for words, _ in redis.sent]
    assert keys == [
        *[b"p{t}:%b:log" % kind for kind in (b"h", b"s", b"v", b"k", b"r", b"w")],
        *[b"p{t}:%b:aged" % kind for kind in (b"h", b"r", b"w")],
    ]
    redis.reply(error("NOPERM"))
    assert redis.history.is_joined
    assert redis.history.problem == ""


# Over a real link.


class Setting:
    """A Redis server, and the nodes that use it."""

    def __init__(self, world: RedisSetting) -> None:
        self.world = world
        self.ends: list[RedisHistory] = []
        self.recorders: dict[str, _Recorder] = {}

    def end(self, node: str) -> RedisHistory:
        bus = self.world.link()
        bus.start(_Recorder())
        self.world.wait_until(lambda: bus.is_joined)
        prefix = self.world.settings.key_prefix
        end = RedisHistory(bus, HistoryCommands(node, prefix, RULES, 1_000_000))
        self.ends.append(end)
        return end

    def settle(self) -> None:
        for _ in range(2):
            for bus in self.world.buses:
                self._ask(bus)

    def _ask(self, bus: RedisBus) -> None:
        answers: list[object] = []
        bus.call((b"PING",), answers.append)
        self.world.wait_until(lambda: answers)

    def sleep(self, seconds: float) -> None:
        ended: list[bool] = []
        reactor.callLater(seconds, ended.append, True)
        self.world.wait_until(lambda: ended)

    def messages(self, topic: str) -> Sequence[bytes]:
        if topic not in self.recorders:
            recorder = self.recorders[topic] = _Recorder()
            bus = self.world.link(max_message_bytes=1_000_000)
            bus.start(recorder)
            bus.follow([f"t:{topic}"])
            self.world.wait_until(lambda: recorder.followed)
        for _ in range(5):
            reactor.iterate(0.005)
        return self.recorders[topic].found

    def remember(self) -> Any:
        with self.world.server.client() as client:
            keys = client.do("KEYS", f"{self.world.settings.key_prefix}*")
            assert isinstance(keys, list)
            return {key: client.do("DUMP", key) for key in keys}

    def go_back(self, state: Any) -> None:
        with self.world.server.client() as client:
            keys = client.do("KEYS", f"{self.world.settings.key_prefix}*")
            assert isinstance(keys, list)
            for key in keys:
                client.do("DEL", key)
            for key, value in state.items():
                client.do("RESTORE", key, 0, value)
            # As a replica that becomes the master.
            client.do("DEBUG", "CHANGE-REPL-ID")
        for end in self.ends:
            end.on_left()


class _Recorder:
    """Takes what a bus brings."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self.followed: list[str] = []

    def on_message(self, channel: str, message: bytes) -> None:
        assert channel
        self.found.append(message)

    def on_followed(self, channels: Any) -> None:
        self.followed.extend(channels)

    def on_joined(self) -> None:
        pass

    def on_left(self, problem: str) -> None:
        raise AssertionError(problem)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp("redis")
    with running_redis(folder, "--enable-debug-command", "yes") as running:
        yield running


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_contract(step: Callable[[Contract], None], server: RedisServer) -> None:
    with thread_pool():
        world = RedisSetting(server)
        try:
            step(Setting(world))
        finally:
            world.stop()
