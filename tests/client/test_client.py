"""The client against a small WAMP v1 server of the tests, over loopback, reactor turned by hand."""
# ruff: noqa: ARG002, N802, N803 - Autobahn calls the fake server's methods by names of its own.

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionLost

from tests.support.wire_vectors import ignored_texts, wire_vectors
from wampush.client import (
    CallFailed,
    ClientState,
    NotConnected,
    ServerRefused,
    WampClient,
    default_retry_policy,
)
from wampush.errors import NotSerialisable, OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wampush.wamp.messages import Event


reactor: Any = installed


def turn_until(condition: Callable[[], object]) -> None:
    while not condition():
        reactor.iterate(0.01)


def result_of(deferred: Deferred[Any]) -> Any:
    """What a Deferred fires with; raises what it fails with."""
    outcome: list[Any] = []
    failures: list[Any] = []
    deferred.addCallbacks(outcome.append, failures.append)
    turn_until(lambda: outcome or failures)
    if failures:
        failures[0].raiseException()
    return outcome[0]


class FakeSession(WebSocketServerProtocol):
    def onConnect(self, request: Any) -> str | None:
        if self.factory.deny:
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "not today")
        return "wamp" if "wamp" in request.protocols else None

    def onOpen(self) -> None:
        self.said: list[Any] = []
        server = self.factory
        server.sessions.append(self)
        for text in server.greetings:
            self.sendMessage(text)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.said.append(json.loads(payload))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.closed_with = code

    def tell(self, *message: object) -> None:
        self.sendMessage(json.dumps(message).encode())


class FakeServer:
    """Listens on a free port; ``sessions`` in the order in which they came."""

    def __init__(self) -> None:
        self.factory = WebSocketServerFactory()
        self.factory.protocol = FakeSession
        self.factory.noisy = False
        self.sessions: list[Any] = []
        self.factory.sessions = self.sessions
        self.factory.greetings = [b'[0,"sessionsessionsession1",1,"fake"]']
        self.factory.deny = False
        self.port: Any = None
        self.number = 0
        self.start()

    def start(self) -> None:
        self.port = reactor.listenTCP(self.number, self.factory, interface="127.0.0.1")
        self.number = self.port.getHost().port

    def stop(self) -> None:
        if self.port is not None:
            result_of(self.port.stopListening())
            self.port = None

    @property
    def last(self) -> Any:
        return self.sessions[-1]

    @property
    def endpoint(self) -> Any:
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.number)

    def drop(self) -> None:
        self.last.transport.abortConnection()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    for session in fake.sessions:
        session.transport.abortConnection()
    fake.stop()


@pytest.fixture
def states() -> list[tuple[ClientState, str]]:
    return []


@pytest.fixture
def client(server: FakeServer, states: list[tuple[ClientState, str]]) -> Iterator[WampClient]:
    made = WampClient(
        f"ws://127.0.0.1:{server.number}/",
        reactor,
        endpoint=server.endpoint,
        retry_policy=lambda failures: 0.001 * failures,
        on_state=lambda state, detail: states.append((state, detail)),
    )
    yield made
    result_of(made.close())


def test_connect_gives_the_session_id_and_close_is_clean(
    server: FakeServer, client: WampClient, states: list[tuple[ClientState, str]]
) -> None:
    assert result_of(client.connect()) == client.session_id == "sessionsessionsession1"
    assert result_of(client.connect()) == "sessionsessionsession1"
    first, second = client.close(), client.close()
    result_of(first)
    result_of(second)
    turn_until(lambda: hasattr(server.last, "closed_with"))
    assert server.last.closed_with == 1000
    with pytest.raises(NotConnected):
        client.publish("t", 1)
    assert [state for state, _ in states][:3] == [
        ClientState.CONNECTING,
        ClientState.OPEN,
        ClientState.CLOSED,
    ]
    assert "fake" in states[1][1]


def test_a_closed_client_can_connect_again(server: FakeServer, client: WampClient) -> None:
    result_of(client.connect())
    result_of(client.close())
    result_of(client.connect())
    client.close()
    result_of(client.connect())
    assert len(server.sessions) == 3


def test_requests_go_out_as_wamp_messages(server: FakeServer, client: WampClient) -> None:
    result_of(client.connect())
    client.prefix("ev", "http://example.com/event#")
    client.subscribe("ev:one", print)
    client.publish("ev:one", {"a": [1, None]})
    client.publish("t", None, exclude_me=False)
    client.publish("t", 1, exclude=["x"])
    client.publish("t", 1, exclude=[], eligible=iter(["y"]))
    client.publish("t", 1, eligible=[])
    client.unsubscribe("ev:one")
    turn_until(lambda: len(server.last.said) == 8)
    assert server.last.said == [
        [1, "ev", "http://example.com/event#"],
        [5, "ev:one"],
        [7, "ev:one", {"a": [1, None]}],
        [7, "t", None, False],
        [7, "t", 1, ["x"]],
        [7, "t", 1, [], ["y"]],
        [7, "t", 1, None, []],
        [6, "ev:one"],
    ]


def request(client: WampClient, vector: dict[str, Any]) -> None:
    """Have a client do what a vector says."""
    kind = vector["request"]
    if kind == "prefix":
        client.prefix(vector["prefix"], vector["uri"])
    elif kind == "subscribe":
        client.subscribe(vector["topic"], print)
    elif kind == "unsubscribe":
        client.unsubscribe(vector["topic"], print)
    elif kind == "publish":
        options = {
            name: vector[name] for name in ("exclude_me", "exclude", "eligible") if name in vector
        }
        client.publish(vector["topic"], vector["event"], **options)
    else:
        assert kind == "call"
        # Nobody answers, so it fails with the end of the session.
        client.call(vector["procedure"], *vector["arguments"]).addErrback(lambda _: None)


def test_requests_are_those_of_the_vectors_that_all_clients_share(
    server: FakeServer, client: WampClient
) -> None:
    vectors = wire_vectors("sent")
    result_of(client.connect())
    for vector in vectors:
        request(client, vector)
    turn_until(lambda: len(server.last.said) == len(vectors))
    # The client chooses the ids of its calls.
    for said, vector in zip(server.last.said, vectors, strict=True):
        expected = json.loads(vector["text"])
        if expected[0] == 2:
            expected[1] = said[1]
        assert said == expected


def test_what_is_no_message_is_ignored_and_events_are_those_of_the_shared_vectors(
    server: FakeServer, client: WampClient
) -> None:
    events = [each for each in wire_vectors("received") if each["message"] == "event"]
    got: list[Event] = []
    for topic in {each["topic"] for each in events}:
        client.subscribe(topic, got.append)
    result_of(client.connect())
    for text in (*ignored_texts(), *(each["text"] for each in events)):
        server.last.sendMessage(text.encode())
    turn_until(lambda: len(got) == len(events))
    assert [(event.topic, json.loads(event.event)) for event in got] == [
        (each["topic"], each["event"]) for each in events
    ]
    assert len(server.sessions) == 1


def test_events_reach_their_callbacks_as_the_server_wrote_them(
    server: FakeServer, client: WampClient
) -> None:
    got: list[Event] = []
    client.prefix("ev", "http://example.com/event#")
    client.subscribe("ev:one", got.append)
    client.subscribe("two", got.append)
    result_of(client.connect())
    for topic, payload in (
        ("http://example.com/event#one", b'{"n":9007199254740993,"f":1.0,"e":{}}'),
        ("nobody", b"1"),
        ("two", b'"\xc3\xa9"'),
    ):
        server.last.sendMessage(b'[8,"' + topic.encode() + b'",' + payload + b"]")
    turn_until(lambda: len(got) == 2)
    assert [(event.topic, event.event) for event in got] == [
        ("http://example.com/event#one", b'{"n":9007199254740993,"f":1.0,"e":{}}'),
        ("two", b'"\xc3\xa9"'),
    ]


def test_only_the_first_callback_subscribes_and_the_last_unsubscribes(
    server: FakeServer, client: WampClient
) -> None:
    one: list[Event] = []
    two: list[Event] = []
    result_of(client.connect())
    client.subscribe("t", one.append)
    client.subscribe("t", two.append)
    client.unsubscribe("t", one.append)
    client.unsubscribe("unknown")
    server.last.tell(8, "t", 1)
    turn_until(lambda: two)
    assert one == []
    client.unsubscribe("t", two.append)
    turn_until(lambda: len(server.last.said) == 2)
    assert server.last.said == [[5, "t"], [6, "t"]]


def test_a_raising_callback_affects_nobody_else(server: FakeServer, client: WampClient) -> None:
    got: list[Event] = []

    def broken(event: Event) -> None:
        raise ValueError(event.topic)

    client.subscribe("t", broken)
    client.subscribe("t", got.append)
    result_of(client.connect())
    server.last.tell(8, "t", 1)
    server.last.tell(8, "t", 2)
    turn_until(lambda: len(got) == 2)
    assert len(server.sessions) == 1


def test_calls_are_answered(server: FakeServer, client: WampClient) -> None:
    result_of(client.connect())
    client.prefix("err", "http://example.com/error#")
    answers = [client.call("p", 1, {"a": None}) for _ in range(4)]
    turn_until(lambda: len(server.last.said) == 5)
    ids = [message[1] for message in server.last.said[1:]]
    assert len(set(ids)) == 4
    assert server.last.said[1] == [2, ids[0], "p", 1, {"a": None}]
    server.last.tell(3, "unknown", 1)
    server.last.tell(4, ids[1], "err:bad", "went wrong", {"why": 1})
    server.last.tell(4, ids[2], "http://example.com/error#bad", "went wrong")
    server.last.tell(3, ids[0], None)
    with pytest.raises(CallFailed) as caught:
        result_of(answers[1])
    assert caught.value.uri == "http://example.com/error#bad"
    assert caught.value.description == "went wrong"
    assert caught.value.details == {"why": 1}
    with pytest.raises(CallFailed) as caught:
        result_of(answers[2])
    assert caught.value.details is None
    assert result_of(answers[0]) is None
    answers[3].cancel()
    with pytest.raises(CancelledError):
        result_of(answers[3])
    server.last.tell(3, ids[3], "too late")
    server.last.tell(8, "t", 1)


def test_after_a_loss_calls_fail_and_subscriptions_return(
    server: FakeServer, client: WampClient, states: list[tuple[ClientState, str]]
) -> None:
    got: list[Event] = []
    client.prefix("ev", "http://example.com/event#")
    client.subscribe("ev:one", got.append)
    result_of(client.connect())
    call = client.call("p")
    server.drop()
    with pytest.raises(ConnectionLost):
        result_of(call)
    with pytest.raises(NotConnected):
        client.publish("t", 1)
    with pytest.raises(NotConnected):
        client.call("p")
    client.subscribe("two", got.append)
    turn_until(lambda: len(server.sessions) == 2 and len(server.last.said) == 3)
    assert server.last.said == [
        [1, "ev", "http://example.com/event#"],
        [5, "http://example.com/event#one"],
        [5, "two"],
    ]
    server.last.tell(8, "two", 2)
    turn_until(lambda: got)
    assert [state for state, _ in states] == [
        ClientState.CONNECTING,
        ClientState.OPEN,
        ClientState.WAITING,
        ClientState.CONNECTING,
        ClientState.OPEN,
    ]


def test_a_clean_close_of_the_server_is_followed_by_a_new_session(
    server: FakeServer, client: WampClient, states: list[tuple[ClientState, str]]
) -> None:
    result_of(client.connect())
    server.last.sendClose(4001, "restart")
    turn_until(lambda: len(server.sessions) == 2)
    waiting = [detail for state, detail in states if state is ClientState.WAITING]
    assert len(waiting) == 1
    assert "4001" in waiting[0]
    assert "restart" in waiting[0]


def test_a_server_that_is_away_is_tried_until_it_returns(
    server: FakeServer, client: WampClient, states: list[tuple[ClientState, str]]
) -> None:
    server.stop()
    opened = client.connect()
    turn_until(lambda: [state for state, _ in states].count(ClientState.WAITING) == 3)
    server.start()
    assert result_of(opened) == "sessionsessionsession1"


def test_connect_can_fail_after_some_attempts(
    server: FakeServer, client: WampClient, states: list[tuple[ClientState, str]]
) -> None:
    server.stop()
    patient = client.connect()
    with pytest.raises(ConnectError, match="refused"):
        result_of(client.connect(attempts=2))
    assert [state for state, _ in states].count(ClientState.WAITING) == 2
    result_of(client.close())
    with pytest.raises(CancelledError):
        result_of(patient)


def refusable(server: FakeServer, states: list[tuple[ClientState, str]]) -> WampClient:
    """A client that takes 403 for an answer."""
    return WampClient(
        f"ws://127.0.0.1:{server.number}/",
        reactor,
        endpoint=server.endpoint,
        retry_policy=lambda _: 0.001,
        on_state=lambda state, detail: states.append((state, detail)),
        give_up_on=(401, 403),
    )


def test_a_refusal_for_good_ends_the_attempts(
    server: FakeServer, states: list[tuple[ClientState, str]]
) -> None:
    server.factory.deny = True
    client = refusable(server, states)
    with pytest.raises(ServerRefused) as refused:
        result_of(client.connect())
    assert refused.value.status == 403
    assert "[403]" in refused.value.reason
    turn_until(lambda: states[-1][0] is ClientState.CLOSED)
    assert [state for state, _ in states] == [ClientState.CONNECTING, ClientState.CLOSED]
    assert states[-1][1] == refused.value.reason
    # It is as good as new.
    server.factory.deny = False
    assert result_of(client.connect()) == "sessionsessionsession1"
    result_of(client.close())
    assert states[-1] == (ClientState.CLOSED, "closed")


def test_a_refusal_for_good_after_a_session(
    server: FakeServer, states: list[tuple[ClientState, str]]
) -> None:
    client = refusable(server, states)
    result_of(client.connect())
    server.factory.deny = True
    server.drop()
    turn_until(lambda: states[-1][0] is ClientState.CLOSED)
    assert "[403]" in states[-1][1]
    assert client.session_id is None


def test_other_refusals_are_tried_again(
    server: FakeServer, client: WampClient, states: list[tuple[ClientState, str]]
) -> None:
    server.factory.deny = True
    waiting = client.connect()
    turn_until(lambda: len(states) > 4)
    assert "[403]" in states[1][1]
    server.factory.deny = False
    result_of(waiting)


def test_the_wait_grows_until_a_welcome_not_until_a_tcp_connection(
    server: FakeServer, states: list[tuple[ClientState, str]]
) -> None:
    failures: list[int] = []

    def policy(failure: int) -> float:
        failures.append(failure)
        return 0.001

    server.factory.deny = True
    client = WampClient(
        "ws://127.0.0.1/",
        reactor,
        endpoint=server.endpoint,
        retry_policy=policy,
        on_state=lambda state, detail: states.append((state, detail)),
    )
    opened = client.connect()
    turn_until(lambda: len(failures) == 3)
    server.factory.deny = False
    result_of(opened)
    before = len(failures)
    server.drop()
    turn_until(lambda: len(failures) > before)
    assert failures == [*range(1, before + 1), 1]
    assert any("403" in detail for state, detail in states if state is ClientState.WAITING)
    result_of(client.close())


@pytest.mark.parametrize(
    ("greetings", "complaint"),
    [([], "no WELCOME within"), ([b'[0,"s",2,"future"]'], "WAMP v2")],
)
def test_a_server_of_another_kind_is_dropped(
    server: FakeServer,
    states: list[tuple[ClientState, str]],
    greetings: list[bytes],
    complaint: str,
) -> None:
    server.factory.greetings = greetings
    client = WampClient(
        "ws://127.0.0.1/",
        reactor,
        endpoint=server.endpoint,
        retry_policy=lambda _: 0.001,
        welcome_timeout=0.05,
        on_state=lambda state, detail: states.append((state, detail)),
    )
    with pytest.raises(ConnectError, match=complaint):
        result_of(client.connect(attempts=1))
    result_of(client.close())


def test_what_is_no_wamp_message_is_ignored(server: FakeServer, client: WampClient) -> None:
    got: list[Event] = []
    client.subscribe("t", got.append)
    server.factory.greetings = [b'[8,"t","early"]', *server.factory.greetings]
    result_of(client.connect())
    for text in (b"", b"{", b"[]", b"{}", b"[99]", b'[8,"t"]', b'[0,"other",1,"again"]', b"[5,1]"):
        server.last.sendMessage(text)
    server.last.sendMessage(b"\x00", isBinary=True)
    server.last.tell(8, "t", "good")
    turn_until(lambda: got)
    assert [event.event for event in got] == [b'"good"']
    assert client.session_id == "sessionsessionsession1"
    assert len(server.sessions) == 1


def test_closing_from_a_callback_ends_the_client(server: FakeServer, client: WampClient) -> None:
    closed: list[Deferred[None]] = []
    client.subscribe("t", lambda _: closed.append(client.close()))
    result_of(client.connect())
    server.last.tell(8, "t", 1)
    turn_until(lambda: closed)
    with pytest.raises(NotConnected):
        client.publish("t", 1)
    result_of(closed[0])
    assert len(server.sessions) == 1


@pytest.mark.parametrize("moment", [ClientState.CONNECTING, ClientState.WAITING])
def test_closing_while_an_attempt_is_made_ends_the_client(
    server: FakeServer, moment: ClientState
) -> None:
    server.stop()
    seen: list[ClientState] = []

    def on_state(state: ClientState, _: str) -> None:
        seen.append(state)
        if state is moment:
            made.close()

    made = WampClient(
        "ws://127.0.0.1/",
        reactor,
        endpoint=server.endpoint,
        retry_policy=lambda _: 0.001,
        on_state=on_state,
    )
    with pytest.raises(CancelledError):
        result_of(made.connect())
    result_of(made.close())
    assert seen.count(ClientState.CONNECTING) == 1


def test_a_client_needs_a_websocket_url() -> None:
    assert WampClient("wss://example.org/ws", reactor).url == "wss://example.org/ws"
    with pytest.raises(OperatorError, match="ws://HOST:PORT/"):
        WampClient("http://example.org/", reactor)


def test_values_without_json_form_are_refused(client: WampClient) -> None:
    result_of(client.connect())
    with pytest.raises(NotSerialisable):
        client.publish("t", object())
    with pytest.raises(NotSerialisable):
        client.call("p", object())
    for value in (float("nan"), [float("inf")]):
        with pytest.raises(NotSerialisable, match="NaN or an infinite number"):
            client.publish("t", value)
        with pytest.raises(NotSerialisable, match="NaN or an infinite number"):
            client.call("p", value)


def test_the_default_wait_grows_and_has_an_end() -> None:
    policy = default_retry_policy()
    assert 0.5 <= policy(1) <= 1.5
    assert 10.0 <= policy(100) <= 10.5
