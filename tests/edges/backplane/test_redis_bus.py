"""The bus over a real Redis: the contract, logins, what is lost and comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, formatEvent

from tests.broker.backplane.bus_contract import CONTRACT, Node, Setting
from tests.edges.backplane.redis_world import RedisSetting, reactor, settings, thread_pool
from tests.support.certificates import make_certificate
from tests.support.redis_server import RedisClient, RedisServer, running_redis, running_sentinel
from wampush.broker.delivery.backpressure import Hold
from wampush.edges.backplane import redis_bus
from wampush.edges.backplane.redis_bus import RedisBus
from wampush.errors import OperatorError
from wampush.net.redis.pipelined import Lost

SECRET = "correct-horse"
EFFECT = (
    "until it is back, publications reach the clients of this node only, and topics with a history "
    "take none"
)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    with thread_pool():
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def over(server: RedisServer) -> Iterator[RedisSetting]:
    setting = RedisSetting(server)
    yield setting
    setting.stop()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    observer: Any = lambda event: found.append(formatEvent(event))  # noqa: E731
    monkeypatch.setattr(redis_bus, "_log", Logger(observer=observer))
    return found


@contextlib.contextmanager
def joined(setting: RedisSetting) -> Iterator[Node]:
    try:
        yield Node(setting).join()
    finally:
        setting.stop()


def problem(setting: RedisSetting, **more: Any) -> str:
    """Why a bus is not joined, once it has tried."""
    bus = setting.link(**more)
    bus.start(Node.__new__(Node))
    setting.wait_until(lambda: bus._failures)
    setting.stop()
    return bus.problem


def client_info(setting: RedisSetting, node: Node) -> bytes:
    """What Redis says about the connection for commands."""
    answers: list[bytes] = []
    node.link.call((b"CLIENT", b"INFO"), answers.append)  # type: ignore[attr-defined]
    setting.wait_until(lambda: answers)
    return answers[0]


def begins_failover(sentinel: RedisClient) -> bool:
    """Whether the sentinel knows the replica well enough to make it the master."""
    with contextlib.suppress(AssertionError):
        return sentinel.do("SENTINEL", "FAILOVER", "mymaster") == b"OK"
    return False


def received_one(setting: RedisSetting, node: Node) -> None:
    """Wait for a message."""
    setting.wait_until(lambda: node.messages)


@pytest.mark.parametrize("step", CONTRACT, ids=lambda each: each.__name__)
def test_contract(step: Callable[[Setting], None], over: RedisSetting) -> None:
    step(over)


def test_channels_have_the_prefix_and_installations_do_not_meet(over: RedisSetting) -> None:
    node = Node(over).join()
    other = RedisSetting(over.server)
    stranger = Node(other).join()
    node.follow("t:a")
    stranger.follow("t:a")
    assert stranger.publish("t:a", b"1") == 1
    with over.server.client() as client:
        names = client.do("PUBSUB", "CHANNELS", f"{over.settings.prefix}{{main}}:t:*")
    assert names == [f"{over.settings.prefix}{{main}}:t:a".encode()]
    assert node.messages == []
    other.stop()


def test_a_loss_is_logged_once_and_counted(over: RedisSetting, lines: list[str]) -> None:
    node = Node(over).join()
    address = over.server.url
    assert node.link.status()["state"] == "joined"
    over.cut()
    over.wait_until(lambda: node.events == ["joined", "left"])
    over.wait_until(lambda: node.link._failures > 2)  # type: ignore[attr-defined]
    over.restore()
    node.join()
    assert [line.split(" after")[0] for line in lines] == [
        f"{address}: joined the other nodes",
        f"{address}: Redis closed the connection; {EFFECT}",
        f"{address}: joined the other nodes again",
    ]
    status = node.link.status()
    assert (status["losses"], status["problem"]) == (1, None)


def test_subscriptions_go_out_in_batches(over: RedisSetting) -> None:
    node = Node(over).join()
    link: Any = node.link
    sent: list[tuple[bytes, ...]] = []
    send = link._link.send

    def record(words: tuple[bytes, ...]) -> None:
        sent.append(words)
        send(words)

    link._link.send = record
    node.follow(*(f"t:{number}" for number in range(1100)))
    assert [len(words) - 1 for words in sent] == [512, 512, 76]
    link.unfollow(["t:0", "t:1"])
    link.follow(["t:2"])
    over.wait_until(lambda: len(sent) == 5)
    assert [words[0] for words in sent[3:]] == [b"UNSUBSCRIBE", b"SUBSCRIBE"]


def test_messages_wait_while_clients_are_behind(over: RedisSetting) -> None:
    node, other = Node(over).join(), Node(over).join()
    node.follow("t:a")
    over.backpressure.hold(Hold.BACKPLANE)
    other.publish("t:a", b"1")
    over.wait_until(lambda: node.messages)
    over.backpressure.hold(Hold.TOTAL)
    for _ in range(3):
        assert other.publish("t:a", b"2") == 1
    over.wait_until(lambda: not node.link._link.is_reading)  # type: ignore[attr-defined]
    assert len(node.messages) == 1
    over.backpressure.release(Hold.TOTAL)
    over.wait_until(lambda: len(node.messages) == 4)
    assert node.link._link.is_reading  # type: ignore[attr-defined]
    over.backpressure.release(Hold.BACKPLANE)


def test_a_message_that_no_node_sends_ends_the_link_and_it_comes_back(
    over: RedisSetting, lines: list[str]
) -> None:
    node = Node(over).join()
    node.follow("t:a")
    over.server.publish(f"{over.settings.key_prefix}t:a", b"x" * 2_000_000)
    over.wait_until(lambda: node.events == ["joined", "left", "joined"])
    assert "a reply is longer than 101" in lines[1]
    assert node.publish("t:a", b"1") == 1
    over.wait_until(lambda: node.messages == [("t:a", b"1")])


def test_commands_are_answered_in_their_order(over: RedisSetting) -> None:
    node = Node(over)
    link: Any = node.link
    early: list[Any] = []
    link.call((b"PING",), early.append)
    over.wait_until(lambda: early == [Lost.LOST])
    node.join()
    answers: list[Any] = []
    key = over.settings.key_prefix.encode() + b"k"
    for words in ((b"SET", key, b"1"), (b"GET", key), (b"NONSENSE",), (b"DEL", key)):
        link.call(words, answers.append)
    over.wait_until(lambda: len(answers) == 4)
    assert [answers[0], answers[1], answers[3]] == [b"OK", b"1", 1]
    assert "unknown command" in str(answers[2])
    link.call((b"BLPOP", b"nothing", b"0"), answers.append)
    link.fail("a test")
    over.wait_until(lambda: len(answers) == 5)
    assert answers[4] is Lost.LOST


def test_a_password_a_user_and_a_database(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(SECRET, encoding="utf-8")
    path.chmod(0o600)
    with running_redis(
        tmp_path, "--requirepass", "other", "--user", *f"live on >{SECRET} ~* &* +@all".split()
    ) as server:
        address = server.url.removeprefix("redis://")
        good = (
            settings(f"redis://:other@{address}/3"),
            settings(f"redis://live:{SECRET}@{address}"),
            settings(f"redis://live@{address}", password_file=str(path)),
        )
        for chosen in good:
            setting = RedisSetting(server, chosen)
            with joined(setting) as node:
                found = client_info(setting, node)
                assert b" name=wampush-node0 " in found
                assert (b" db=3 " in found) is (chosen is good[0])
        assert problem(RedisSetting(server)) == "Redis requires a password, but none is set here"
        wrong = RedisSetting(server, settings(f"redis://:wrong@{address}"))
        assert problem(wrong) == "wrong user or password"


def test_what_a_user_may_not_publish_reaches_this_node_only(
    tmp_path: Path, lines: list[str]
) -> None:
    rules = f"live on >{SECRET} &* +@all -publish"
    with running_redis(tmp_path, "--user", *rules.split()) as server:
        address = server.url.removeprefix("redis://")
        setting = RedisSetting(server, settings(f"redis://live:{SECRET}@{address}"))
        with joined(setting) as node:
            assert node.publish("t:a", b"1") is None
            assert node.link.is_joined
            assert node.link.refused == 1  # type: ignore[attr-defined]
            assert "a publication was refused: the access control list" in lines[-1]


def test_what_a_user_may_not_follow_is_the_problem(tmp_path: Path) -> None:
    rules = f"live on >{SECRET} ~* &other:* +@all"
    with running_redis(tmp_path, "--user", *rules.split()) as server:
        address = server.url.removeprefix("redis://")
        setting = RedisSetting(server, settings(f"redis://live:{SECRET}@{address}"))
        expected = "the access control list of Redis does not let this user use all channels"
        assert problem(setting) == expected


def test_without_info_nothing_is_checked(tmp_path: Path, lines: list[str]) -> None:
    rules = f"live on >{SECRET} ~* &* +@all -info"
    with running_redis(tmp_path, "--user", *rules.split()) as server:
        address = server.url.removeprefix("redis://")
        chosen = settings(f"redis://live:{SECRET}@{address}")
        with joined(RedisSetting(server, chosen)):
            assert "INFO is not allowed" in lines[0]


def test_tls_and_unix_sockets(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    socket = tmp_path / "redis.sock"
    files = (
        "--tls-cert-file",
        str(certificate.certificate),
        "--tls-key-file",
        str(certificate.key),
    )
    options = (*files, "--tls-auth-clients", "no", "--unixsocket", str(socket))
    with running_redis(tmp_path, *options, tls=True) as server:
        url = f"rediss://localhost:{server.tls_port}"
        for chosen in (
            settings(url, ca=str(certificate.certificate)),
            settings(f"unix://{socket}"),
        ):
            setting = RedisSetting(server, chosen)
            with joined(setting) as node:
                node.follow("t:a")
                assert node.publish("t:a", b"1") == 1
                received_one(setting, node)
        assert "certificate verify failed" in problem(RedisSetting(server, settings(url)))


def test_a_policy_that_may_drop_what_topics_keep_is_refused(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--maxmemory-policy", "volatile-lru") as server:
        found = problem(RedisSetting(server), keeps_history=True)
        assert "maxmemory-policy volatile-lru may drop what topics keep" in found
        assert "CONFIG SET maxmemory-policy noeviction" in found
        with joined(RedisSetting(server)):
            pass


def test_the_master_is_needed(server: RedisServer, tmp_path: Path) -> None:
    with running_redis(tmp_path, "--replicaof", "127.0.0.1", str(server.port)) as replica:
        assert problem(RedisSetting(replica)) == "it is a replica; the master is needed"


def test_a_server_that_is_not_redis(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--protected-mode", "no") as server:
        setting = RedisSetting(server)
        bus: Any = setting.link()
        bus.start(Node.__new__(Node))
        setting.wait_until(lambda: bus._link is not None and bus._link._commands is not None)
        bus._link._commands.dataReceived(b"HTTP/1.1 400 Bad Request\r\n")
        setting.wait_until(lambda: bus._failures)
        assert "unexpected data" in bus.problem
        setting.stop()


def test_after_a_failover_the_new_master_joins_the_nodes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("master", "replica", "sentinel")]
    for each in folders:
        each.mkdir()
    with (
        running_redis(folders[0], "--repl-diskless-sync-delay", "0") as master,
        running_redis(folders[1], "--replicaof", "127.0.0.1", str(master.port)) as replica,
        running_sentinel(folders[2], master) as sentinel,
    ):
        chosen = settings("redis://mymaster", sentinels=(f"127.0.0.1:{sentinel.port}",))
        setting = RedisSetting(master, chosen)
        node, other = Node(setting).join(), Node(setting).join()
        node.follow("t:a")
        setting.wait_until(lambda: begins_failover(sentinel))
        setting.wait_until(lambda: other.events[-2:] == node.events[-2:] == ["left", "joined"])
        assert other.publish("t:a", b"1") == 1
        setting.wait_until(lambda: node.messages == [("t:a", b"1")])
        with replica.client() as client:
            assert client.do("ROLE")[0] == b"master"  # type: ignore[index]
        setting.stop()


def test_a_reload_reads_the_files_again(over: RedisSetting, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("one", encoding="utf-8")
    path.chmod(0o600)
    setting = RedisSetting(over.server, settings(over.server.url, password_file=str(path)))
    bus = setting.link()
    assert bus._options.login is not None
    path.write_text("two", encoding="utf-8")
    bus.reload()
    assert bus._options.login.password == b"two"
    path.unlink()
    with pytest.raises(OperatorError):
        bus.reload()
    assert bus._options.login.password == b"two"
    setting.stop()


def test_what_is_published_before_the_end_arrives(over: RedisSetting) -> None:
    node, other = Node(over).join(), Node(over).join()
    node.follow("t:a")
    for _ in range(10):
        other.link.publish("t:a", b"x" * 10_000, other.sent.append)
    ended: list[object] = []
    other.link.stop().addCallback(ended.append)  # type: ignore[attr-defined]
    assert not other.link.is_joined
    other.link.publish("t:a", b"late", other.sent.append)
    over.wait_until(lambda: ended)
    assert other.sent == [1] * 10 + [None] or other.sent == [1] * 11
    over.wait_until(lambda: len(node.messages) >= 10)
    assert other.events == ["joined"]


def test_an_end_does_not_wait_for_a_server_that_hangs(
    over: RedisSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_bus, "STOP_SECONDS", 0.05)
    node = Node(over).join()
    node.link.call((b"BLPOP", b"nothing", b"0"), node.sent.append)  # type: ignore[attr-defined]
    ended: list[object] = []
    node.link.stop().addCallback(ended.append)  # type: ignore[attr-defined]
    over.wait_until(lambda: ended)
    assert len(node.sent) == 1


def test_stopping_twice_and_before_anything(over: RedisSetting) -> None:
    bus: RedisBus = over.link()
    bus.stop()
    bus.stop()
    assert not bus.is_joined
    waiting = RedisSetting(over.server, settings("redis://127.0.0.1:1"))
    other: Any = waiting.link()
    assert other.problem == "it is not connected yet"
    other.start(Node.__new__(Node))
    waiting.wait_until(lambda: other._retry is not None)
    other.stop()
    assert other._retry is None
    assert not [each for each in reactor.getDelayedCalls() if each.func == other._connect]
