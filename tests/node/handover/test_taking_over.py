"""What a session is goes on in the new node; what that does before it has everything."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.edges.websocket.in_memory import masked, request
from tests.node.handover import an_app
from tests.support.two_nodes import (
    CATCH_UP,
    DEFLATE,
    Client,
    TestNode,
    TwoNodes,
    settings,
    two_nodes,
)
from tests.support.waiting import PATIENCE
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.identity import Identity
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.broker.session_ends import end_user_sessions
from wampush.broker.subscriber import Subscriber
from wampush.choices import Action, DefaultPermission, SlowClient
from wampush.config.tables.clients import ClientSettings
from wampush.config.tables.limits import LimitSettings
from wampush.config.tables.permissions import PermissionSettings
from wampush.config.tables.topics import HistorySettings, TopicSettings
from wampush.edges.websocket.transfer.connection_state import Arrival
from wampush.errors import CloseReason, OperatorError
from wampush.node.handover import TakeOverFailed, TakingOver
from wampush.node.handover.records import VERSION, Kind, encode
from wampush.wamp.uris import PRESENCE_CHANGES, TOPIC_NUM_CLIENTS, TOPIC_NUM_ONLINE

ANN = Identity("ann", frozenset({"staff"}), None, "de", {"colour": [1]}, 9e9, "token")


def at(node: Any, client: Client) -> Subscriber:
    """The session of a client as a node has it."""
    found: Subscriber = node.broker.sessions[client.session_id]
    return found


def history_of(node: TestNode) -> MemoryHistory:
    """The history of a node that has one."""
    assert node.broker.replays is not None
    return node.broker.replays.history


def become(nodes: TwoNodes, client: Client, identity: Identity) -> None:
    nodes.old.node.requests.become(at(nodes.old, client), identity)
    nodes.read_all()


def test_id_prefixes_topics_identity_and_limits_travel() -> None:
    limits = LimitSettings(connections_per_address=0, message_burst=50, messages_per_second=1)
    clients = ClientSettings(auto_subscribe=("news",))
    with two_nodes(limits=limits, clients=clients) as nodes:
        client = nodes.client(topics=["t"])
        client.text(1, "p", "http://example.com/")
        client.text(5, "p:x")
        nodes.read_all()
        become(nodes, client, ANN)
        before = nodes.old.broker.memory.of_owner(at(nodes.old, client))
        nodes.hand_over()
        after = at(nodes.new, client)
        assert after.identity == ANN
        assert after.session.prefixes == {"p": "http://example.com/"}
        topics = nodes.new.broker.subscriptions.topics(after)
        assert topics == {"t", "http://example.com/x", "news"}
        assert nodes.new.broker.users.of_user("ann") == {after}
        assert nodes.new.broker.users.of_group("staff") == {after}
        assert nodes.new.broker.memory.of_owner(after) == before
        assert after.is_local
        for _ in range(60):
            client.text(5, "t")
        nodes.read_all()
        # Three messages were spent before.
        assert client.is_ended
        assert nodes.new.broker.ledger.ends() == {"flooding": 1}
        ledger = nodes.new.broker.ledger
        assert ledger.accepted[Source.CLIENT] == 3 + 47
        assert (ledger.sessions_opened, ledger.connections_opened) == (1, 1)
        assert nodes.new.node.websocket.shared.admission.connections == 0


def test_what_is_forwarded_waits_for_clients_as_pushes_do() -> None:
    count, size = 60, 50_000
    clients = ClientSettings(queue_bytes=1_100_000)
    with two_nodes(clients=clients) as nodes:
        reader, other = (nodes.client(topics=["t"], buffer=4096) for _ in range(2))
        nodes.hand_over()
        for number in range(count):
            nodes.old.publish("t", [number, "x" * size])
        for _ in range(50):
            nodes.old.turn()
            nodes.new.turn()
        backpressure = nodes.new.node.backpressure
        assert backpressure.clients_behind
        assert nodes.giving is not None
        assert nodes.giving.backlog > 0
        # Three times as much as fits into their queues; they have only not read yet.
        nodes.read_all()
        for each in (reader, other):
            assert [number for number, _ in each.events("t")] == list(range(count))
        assert not nodes.new.node.backpressure.clients_behind
        assert nodes.new.broker.ledger.ends() == {}


def test_rates_and_permissions_of_the_new_configuration_hold() -> None:
    def tables(*matches: str) -> dict[str, Any]:
        entries = [
            PermissionSettings(
                match=each,
                actions=(Action.SUBSCRIBE, Action.PUBLISH),
                to=("anyone",),
                per_second=0.001,
            )
            for each in matches
        ]
        clients = ClientSettings(subscribe=DefaultPermission.DENY)
        return {"permissions": tuple(entries), "clients": clients}

    nodes = TwoNodes(settings(**tables("a", "b")), settings(**tables("a")))
    try:
        client = nodes.client(topics=["a", "b"])
        client.text(7, "a", 1, False)
        nodes.read_all()
        nodes.hand_over()
        client.text(7, "a", 2, False)
        client.text(7, "a", 3, False)
        nodes.new.publish("b", "forbidden now")
        nodes.read_all()
        assert nodes.new.broker.ledger.refusals() == {"rate-exceeded": 3}
        assert client.events("a") == []
        assert client.events("b") == []
    finally:
        nodes.close()


def test_presence_notices_nothing() -> None:
    topic = TopicSettings(match="room", presence=True)
    with two_nodes(topic) as nodes:
        watcher = nodes.client(topics=[PRESENCE_CHANGES + "room", TOPIC_NUM_ONLINE])
        ann, bob = (nodes.client(topics=["room", TOPIC_NUM_CLIENTS]) for _ in range(2))
        for client, user in ((ann, "ann"), (bob, "bob")):
            become(nodes, client, Identity(user))
        for node in (nodes.old, nodes.new):
            node.reactor.advance(1)
        nodes.read_all()
        seen = len(watcher.messages), len(ann.messages)
        bob.end.close()
        nodes.clients.remove(bob)
        nodes.settle(nodes.old)
        nodes.hand_over()
        nodes.read_all()
        presence = nodes.new.node.presence
        # bob is within the grace period, here as there.
        assert presence.users("room") == {"ann": 1, "bob": 0}
        assert presence.num_online == 2
        assert len(watcher.messages) == seen[0]
        assert [each[2] for each in ann.messages[seen[1] :]] == [2]
        for _ in range(20):
            nodes.new.reactor.advance(1)
        nodes.read_all()
        (left,) = [each[2] for each in watcher.messages[seen[0] :] if each[1] != TOPIC_NUM_ONLINE]
        assert (left["event"], left["user"]) == ("leave", "bob")
        assert watcher.events(TOPIC_NUM_ONLINE)[-1] == presence.num_online == 1


def test_what_has_been_received_travels_for_the_next_session_of_the_user() -> None:
    topic = TopicSettings(match="kept", history=100, gap_replay=True)
    with two_nodes(topic) as nodes:
        client, gone = nodes.client(), nodes.client()
        for each in (client, gone):
            become(nodes, each, Identity("ann" if each is client else "bob"))
            each.text(5, "kept")
        nodes.read_all()
        nodes.old.publish("kept", 1)
        for _ in range(30):
            nodes.old.reactor.advance(1)
        nodes.read_all()
        assert client.pings
        assert client.pings[-1]
        gone.end.close()
        nodes.clients.remove(gone)
        nodes.settle(nodes.old)
        nodes.old.publish("kept", 2)
        nodes.hand_over()
        gaps = nodes.new.broker.gaps
        assert gaps is not None
        state = gaps.snapshot(at(nodes.new, client))
        assert state is not None
        assert state.confirmed["kept"][1] == 1
        kept = gaps.snapshot_kept()
        assert [(each[0], each[1], each[4]) for each in kept.users] == [("bob", "kept", 1)]


def test_histories_travel_with_values_versions_and_positions() -> None:
    table = TopicSettings(match="table", last_by="id", version_by="rev")
    with two_nodes(CATCH_UP, table) as nodes:
        nodes.old.publish("kept", 1)
        nodes.old.publish("table", {"id": 1, "rev": 5})
        nodes.old.publish("table", {"id": 2, "rev": 1})
        history: Any = history_of(nodes.old)
        nodes.begin()
        nodes.old.publish("kept", 2)
        nodes.old.publish("kept-new", 1)
        nodes.finish()
        nodes.old.publish("kept", 3)
        nodes.settle(nodes.old, nodes.new)
        after: Any = history_of(nodes.new)
        for topic in ("table", "kept-new"):
            assert after.position(topic) == history.position(topic)
        assert after.position("kept").offset == 3
        assert after.position("none") == history.position("none")
        assert after.log("table").versions == {"1": 5, "2": 1}
        assert [each.payload for each in after.log("kept").events] == [b"1", b"2", b"3"]
        nodes.old.publish("table", {"id": 1, "rev": 4})
        nodes.settle(nodes.old, nodes.new)
        assert nodes.new.broker.ledger.refusals() == {"stale": 1}


def test_durable_topics_are_stored_by_the_new_node(tmp_path: Path) -> None:
    topic = TopicSettings(match="stored", history=100, durable=True)
    history = HistorySettings(database=str(tmp_path / "wampush.sqlite"))
    with two_nodes(topic, history=history) as nodes:
        client = nodes.client(topics=["stored"])
        for number in range(3):
            nodes.old.publish("stored", number)
        nodes.begin()
        nodes.old.publish("stored", 3)
        nodes.finish()
        nodes.old.publish("stored", 4)
        nodes.settle(nodes.old, nodes.new)
        nodes.new.publish("stored", 5)
        nodes.new.broker.flush()
        nodes.read_all()
        assert client.events("stored") == list(range(6))
        assert history_of(nodes.new).position("stored") is not None
        found = history_of(nodes.new).log("stored")
        assert found is not None
        assert [each.offset for each in found.events] == [1, 2, 3, 4, 5, 6]
        nodes.new.broker.stop()
        again = TestNode(settings(topic, history=history))
        stored = history_of(again).log("stored")
        assert stored is not None
        assert (stored.epoch, stored.offset) == (found.epoch, 6)
        again.broker.stop()
        again.node.pull.stop()
        again.node.websocket.timer_wheel.stop()


def test_a_database_that_cannot_be_opened_ends_the_take_over(tmp_path: Path) -> None:
    topic = TopicSettings(match="stored", history=100, durable=True)
    history = HistorySettings(database=str(tmp_path / "wampush.sqlite"))
    with two_nodes(topic, history=history) as nodes:
        client = nodes.client()
        late = nodes.new.node.late_journal
        assert late is not None
        nodes.begin()
        late._make = unusable  # type: ignore[misc]
        nodes.finish()
        nodes.settle(nodes.new, client)
        assert "the disk is gone" in str(nodes.outcomes["new"].value)
        assert not nodes.outcomes["old"].value.goes_on
        assert client.is_ended


def unusable() -> Any:
    raise OperatorError("the disk is gone")


@pytest.mark.parametrize("more", [(), (DEFLATE,)], ids=["plain", "compressed"])
def test_a_client_that_does_not_read_gets_everything_later(more: tuple[str, ...]) -> None:
    latest = TopicSettings(match="latest", slow_client=SlowClient.LATEST)
    with two_nodes(CATCH_UP, latest) as nodes:
        client = nodes.client(*more, topics=["a", "kept", "latest"], buffer=4608)
        text = "".join(map(chr, range(32, 127)))
        for number in range(300):
            nodes.old.publish("a", [number, text])
            nodes.old.publish("kept", [number, text])
            nodes.old.publish("latest", [number, text])
            nodes.old.turn()
        outbox = at(nodes.old, client).outbox
        assert outbox.blocked
        assert outbox.catch_up is not None
        nodes.hand_over()
        assert at(nodes.new, client).outbox.blocked
        for number in range(300, 400):
            nodes.new.publish("a", [number, text])
            nodes.new.publish("kept", [number, text])
            nodes.new.publish("latest", [number, text])
            nodes.new.turn()
        nodes.read_all()
        assert [each[0] for each in client.events("a")] == list(range(400))
        assert [each[0] for each in client.events("kept")] == list(range(400))
        latest_ones = [each[0] for each in client.events("latest")]
        assert latest_ones == sorted(set(latest_ones))
        assert latest_ones[-1] == 399
        assert len(latest_ones) < 300
        assert nodes.old.node.backpressure.total == nodes.new.node.backpressure.total == 0


def test_what_a_topic_keeps_for_a_blocked_newcomer_is_read_by_the_new_node() -> None:
    topic = TopicSettings(match="values", last=True)
    with two_nodes(topic, clients=ClientSettings(queue_bytes=100_000)) as nodes:
        client = nodes.client(topics=["a"], buffer=4608)
        nodes.old.publish("values", "v" * 20_000)
        nodes.old.publish("a", "x" * 60_000)
        nodes.old.turn()
        client.text(5, "values")
        nodes.settle(nodes.old)
        catch_up = at(nodes.old, client).outbox.catch_up
        assert catch_up is not None
        assert catch_up.position("values") is None
        nodes.hand_over()
        nodes.read_all()
        assert client.events("a") == ["x" * 60_000]
        assert client.events("values") == ["v" * 20_000]
        nodes.new.publish("values", "next")
        nodes.read_all()
        assert client.events("values")[1:] == ["next"]


def test_half_a_handshake_and_half_a_message_go_on() -> None:
    with two_nodes() as nodes:
        early, half, fragments = nodes.socket(), nodes.client(), nodes.client()
        opening = request()
        early.send(opening[:40])
        message = masked(b'[5,"t"]')
        half.send(message[:9])
        fragments.send(masked(b"[5,", first=0x01) + masked(b'"t', first=0x00) + b"\x80")
        nodes.settle(nodes.old)
        given, taken = nodes.hand_over()
        assert (given.staying, taken.sessions) == (0, 2)
        early.send(opening[40:] + masked(b'[5,"t"]'))
        half.send(message[9:])
        fragments.send(masked(b'"]', first=0x80)[1:])
        nodes.read_all()
        nodes.new.publish("t", 1)
        nodes.read_all()
        assert [each.events("t") for each in nodes.clients] == [[1], [1], [1]]


def test_half_a_compressed_message_has_a_second() -> None:
    data = b"\xc1\x85" + bytes(4) + b"abc"
    with two_nodes() as nodes:
        client = nodes.client(DEFLATE)
        client.send(data)
        nodes.settle(nodes.old)
        nodes.begin()
        nodes.finish()
        nodes.read_all()
        assert client.is_ended
        assert nodes.old.broker.ledger.ends() == {"not-moved": 1}
        # Told before the end, so that it is in the new node's numbers.
        assert nodes.new.broker.ledger.ends() == {"not-moved": 1}


def test_calls_are_answered_by_the_old_node_or_with_an_error() -> None:
    an_app.waiting.clear()
    with two_nodes(apps=(f"{an_app.__name__}:app",)) as nodes:
        client = nodes.client()
        client.text(2, "one", "slow", 1)
        client.text(2, "two", "slow", 2)
        nodes.read_all()
        nodes.hand_over()
        an_app.waiting.pop(0).callback(None)
        nodes.read_all()
        assert client.messages == [[3, "one", 1]]
        assert nodes.giving is not None
        nodes.giving.drain(1.0)
        for _ in range(4):
            nodes.old.reactor.advance(0.5)
        nodes.read_all()
        (error,) = client.messages[1:]
        assert error[:3] == [4, "two", "http://api.wamp.ws/error#unavailable"]
        an_app.waiting.pop(0).callback(None)
        nodes.read_all()
        assert len(client.messages) == 2


def test_what_the_old_node_decides_later_happens_in_the_new_one() -> None:
    with two_nodes() as nodes:
        first, second, third = (nodes.client() for _ in range(3))
        become(nodes, third, Identity("bob"))
        nodes.hand_over()
        nodes.old.broker.send(at(nodes.old, first), "private", b'"hello"')
        nodes.old.node.requests.become(at(nodes.old, second), ANN)
        assert end_user_sessions(nodes.old.broker, "bob", CloseReason.ENDED_BY_OPERATOR) == 1
        assert end_user_sessions(nodes.old.broker, "bob", CloseReason.ENDED_BY_OPERATOR) == 0
        nodes.read_all()
        assert first.events("private") == ["hello"]
        assert at(nodes.new, second).identity == ANN
        assert third.is_closed
        assert nodes.new.broker.ledger.ends() == {"ended-by-operator": 1}


def test_requests_that_wait_for_the_application_are_asked_again() -> None:
    an_app.waiting.clear()
    with two_nodes(apps=(f"{an_app.__name__}:judge",)) as nodes:
        client = nodes.client()
        client.text(5, "judged")
        client.text(2, "after", "wampush.time")
        nodes.read_all()
        asked = an_app.waiting.pop()
        nodes.hand_over()
        asked.callback(None)
        nodes.read_all()
        assert client.messages == []
        an_app.waiting.pop().callback(None)
        nodes.read_all()
        assert [each[:2] for each in client.messages] == [[3, "after"]]
        nodes.new.publish("judged", 1)
        nodes.read_all()
        assert client.events("judged") == [1]


def test_the_new_node_publishes_only_when_it_has_everything() -> None:
    with two_nodes(CATCH_UP) as nodes:
        client = nodes.client(topics=["kept"])
        nodes.begin()
        nodes.new.publish("kept", "own")
        nodes.new.broker.push(Source.HTTP, Publication("kept", b'"pushed"'))
        nodes.old.publish("kept", "theirs")
        nodes.finish()
        nodes.read_all()
        assert client.events("kept") == ["theirs", "own", "pushed"]
        assert nodes.new.broker.ledger.accepted[Source.HTTP] == 1


def test_late_pushes_count_in_the_new_node() -> None:
    with two_nodes() as nodes:
        client = nodes.client(topics=["t"])
        nodes.hand_over()
        nodes.old.broker.push(Source.ZEROMQ, Publication("t", b"1"))
        nodes.read_all()
        assert client.events("t") == [1]
        assert nodes.new.broker.ledger.accepted[Source.ZEROMQ] == 1


def test_a_client_that_has_gone_on_the_way_is_counted() -> None:
    with two_nodes() as nodes:
        client = nodes.client()
        nodes.begin()
        while at(nodes.old, client).outbox.closed is False:
            nodes.old.turn()
        client.end.close()
        nodes.clients.remove(client)
        nodes.finish()
        nodes.settle(nodes.new)
        assert nodes.new.broker.sessions == {}
        assert nodes.new.broker.ledger.ends() == {"peer-lost": 1}


def unfinished(*records: bytes) -> tuple[TakingOver, list[Any], socket.socket, Any]:
    nodes = TwoNodes(settings())
    near, far = socket.socketpair()
    far.settimeout(PATIENCE)
    taking = TakingOver(near, nodes.new.node, nodes.new.reactor)
    outcomes: list[Any] = []
    taking.start().addErrback(lambda failure: outcomes.append(failure.value))
    for each in records:
        far.send(each)
    nodes.settle(nodes.new)
    return taking, outcomes, far, nodes


HELLO = encode(Kind.HELLO, {"version": VERSION})


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ((encode(Kind.HELLO, {"version": VERSION + 1}),), "records of version"),
        ((encode(Kind.END, {}),), "the first record is not HELLO"),
        ((HELLO, encode(Kind.SESSIONS, {"sessions": [{}]})), "1 descriptors belong"),
        ((HELLO, encode(Kind.PUBLICATION, {})), "no publication"),
    ],
)
def test_a_stream_that_cannot_be_understood_breaks(
    records: tuple[bytes, ...], problem: str
) -> None:
    _, outcomes, far, nodes = unfinished(*records)
    (error,) = outcomes
    assert isinstance(error, TakeOverFailed)
    assert problem in str(error)
    assert far.recv(1) == b""
    far.close()
    nodes.close()


def test_records_of_another_version_are_read_as_far_as_they_are_known() -> None:
    unknown = encode(Kind.HISTORY, {})
    unknown = unknown[:8] + b"\xc8" + unknown[9:]
    _, outcomes, far, nodes = unfinished(
        HELLO,
        unknown,
        encode(Kind.PUBLICATION, {"topic": "t", "colour": "red"}, (b"1",)),
        encode(Kind.FRAME, {"session": "nobody"}, (b"x",)),
        encode(Kind.IDENTITY, {"session": "nobody"}),
        encode(Kind.END_SESSION, {"session": "nobody"}),
        encode(Kind.END, {"colour": "red", "node": {"colour": "red", "presence": {"x": 1}}}),
    )
    assert outcomes == []
    taken = far.recv(1000)
    assert json.loads(taken[9:]) == {"sessions": 0, "lost": 0}
    far.close()
    nodes.settle(nodes.new)
    nodes.new.publish("t", 1)
    nodes.close()


def test_what_had_arrived_ends_when_the_old_node_ends() -> None:
    with two_nodes() as nodes:
        client = nodes.client()
        nodes.begin()
        while not nodes.new.broker.sessions:
            nodes.old.turn()
            nodes.new.turn()
            assert "new" not in nodes.outcomes
        assert nodes.giving is not None
        nodes.giving._stream.close()
        nodes.settle(nodes.new, client)
        failed = nodes.outcomes["new"].value
        assert isinstance(failed, TakeOverFailed)
        assert failed.lost == 1
        assert client.is_ended
        assert nodes.new.broker.ledger.ends() == {"move-failed": 1}


def test_attributes_of_users_travel_whatever_the_web_application_says() -> None:
    # Half an emoji, as a program leaves it that cuts names, and a number of more than 64 bits.
    strange = Identity("7", data={"name": "\ud83d", "number": 2**70, "list": [1.5, None]})
    with two_nodes() as nodes:
        client, other = nodes.client(topics=["t"]), nodes.client(topics=["t"])
        become(nodes, client, strange)
        given, taken = nodes.hand_over()
        assert (given.sessions, taken.sessions, taken.lost) == (2, 2, 0)
        assert at(nodes.new, client).identity == strange
        nodes.new.publish("t", 1)
        nodes.read_all()
        assert client.events("t") == other.events("t") == [1]


def test_a_session_that_cannot_go_on_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    begin, seen = Arrival.begin, []

    def fail_once(arrival: Arrival) -> None:
        seen.append(arrival)
        if len(seen) == 1:
            raise RuntimeError("a mistake")
        begin(arrival)

    monkeypatch.setattr(Arrival, "begin", fail_once)
    with two_nodes() as nodes:
        clients = [nodes.client(topics=["t"]) for _ in range(3)]
        _, taken = nodes.hand_over()
        assert taken.sessions == 3
        nodes.read_all()
        assert sorted(each.is_ended for each in clients) == [False, False, True]
        assert "a session that has moved cannot go on" in log
        for each in clients:
            if not each.is_ended:
                each.text(5, "more")
        nodes.read_all()
        nodes.new.publish("more", 1)
        nodes.read_all()
        assert [each.events("more") for each in clients if not each.is_ended] == [[1], [1]]
