"""The state of topics on the port of WebSocket: who may ask, and the response."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from tests.edges.websocket.in_memory import MemoryNode, change_rules, frames, masked
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.history.reading import HistoryReader
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.publication import Audience, Publication, Targets
from wampush.choices import ANYONE, Action, DefaultPermission
from wampush.config.tables.permissions import PermissionSettings
from wampush.config.tables.topics import TopicSettings
from wampush.edges.topic_route import PATHS, TopicRoute
from wampush.errors import AuthenticationRefused, CloseReason

TOPICS = (TopicSettings("table", last_by="id"), TopicSettings("log*", history=9))


@dataclass
class Answer:
    """A response, and why its connection ended."""

    status: int
    headers: dict[str, str]
    body: bytes
    reason: CloseReason | None

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> list[Any]:
        return [each["data"] for each in self.document["events"]]


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode(topics=TOPICS)


def ask(node: MemoryNode, target: str, *lines: str, method: str = "GET") -> Answer:
    peer = node.connect()
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost:8080", *lines])
    peer.send(f"{head}\r\n\r\n".encode())
    node.turn()
    start, _, body = peer.take().partition(b"\r\n\r\n")
    first, *fields = start.decode().split("\r\n")
    headers: dict[str, str] = {}
    for each in fields:
        name, _, value = each.partition(": ")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(int(first.split()[1]), headers, body, peer.connection.reason)


class FakeAuthenticator:
    """Gives every client the same identity."""

    all_anonymous = False

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def authenticate(self, _: object) -> Any:
        return succeed(self._identity)


def be(node: MemoryNode, identity: Identity) -> None:
    """Give every client an identity."""
    change_rules(node.edge, authenticator=FakeAuthenticator(identity))


def test_a_page_gets_the_state_with_its_position(node: MemoryNode) -> None:
    for number in (1, 2):
        node.publish("table", b'{"id":%d}' % number)
    answer = ask(node, "/topics/table")
    assert (answer.status, answer.data) == (200, [{"id": 1}, {"id": 2}])
    assert answer.document["offset"] == 2
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["vary"] == "Authorization, Cookie, Origin"
    assert answer.headers["connection"] == "close"
    assert answer.reason is CloseReason.PLAIN_REQUEST
    assert node.broker.sessions == {}


def test_a_page_goes_on_where_the_state_ends(node: MemoryNode) -> None:
    node.publish("log/7", b"1")
    state = ask(node, "/topics/log%2F7").document
    node.publish("log/7", b"2")
    since = f"{state['epoch']}:{state['offset']}"
    answer = ask(node, f"/topics/log%2F7/history?since={since}&limit=5")
    assert (answer.data, answer.document["complete"]) == ([2], True)


def test_an_unchanged_state_is_not_sent_again(node: MemoryNode) -> None:
    tag = ask(node, "/topics/table").headers["etag"]
    answer = ask(node, "/topics/table", f"If-None-Match: {tag}")
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in answer.headers
    node.publish("table", b'{"id":1}')
    assert ask(node, "/topics/table", f"If-None-Match: {tag}").status == 200


def test_the_query_may_have_credentials(node: MemoryNode) -> None:
    node.publish("log", b"1")
    assert ask(node, "/topics/log?token=a.b.c").status == 200
    assert ask(node, "/topics/log/history?token=a.b.c&limit=5").data == [1]


def test_head_has_no_body(node: MemoryNode) -> None:
    whole, head = ask(node, "/topics/table"), ask(node, "/topics/table", method="HEAD")
    assert (head.status, head.body, head.headers) == (200, b"", whole.headers)


def test_what_there_is_not_is_a_problem(node: MemoryNode) -> None:
    for target, status, code in (
        ("/topics/other", 404, "no-history"),
        ("/topics/", 404, None),
        ("/topics/table/history?limit=0", 400, None),
    ):
        answer = ask(node, target)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status == answer.document["status"] == status
        assert answer.document.get("code") == code
    assert ask(MemoryNode(), "/topics/table").document["code"] == "no-history"


@pytest.mark.parametrize(
    ("lines", "status", "shared"),
    [
        ((), 200, None),
        (("Origin: http://localhost:8000",), 200, "http://localhost:8000"),
        (("Origin: http://evil.example",), 403, None),
        (("Sec-Fetch-Site: cross-site",), 403, None),
    ],
)
def test_pages_of_permitted_origins_may_read_it(
    node: MemoryNode, lines: tuple[str, ...], status: int, shared: str | None
) -> None:
    answer = ask(node, "/topics/table", *lines)
    assert answer.status == status
    assert answer.headers.get("access-control-allow-origin") == shared
    assert ("access-control-allow-credentials" in answer.headers) is (shared is not None)
    # A page of a permitted origin learns what is wrong, too.
    if shared is not None:
        missing = ask(node, "/topics/other", *lines)
        assert missing.headers["access-control-allow-origin"] == shared


def test_a_page_may_ask_first_whether_it_may_send_a_token(node: MemoryNode) -> None:
    answer = ask(node, "/topics/table", "Origin: http://localhost:8000", method="OPTIONS")
    assert answer.status == 200
    assert "Authorization" in answer.headers["access-control-allow-headers"]


def test_the_permission_to_subscribe_decides(node: MemoryNode) -> None:
    rule = PermissionSettings(match="log.*", actions=(Action.SUBSCRIBE,), to=(ANYONE,))
    defaults = default_decisions(subscribe=DefaultPermission.DENY)
    permissions = Permissions((rule,), defaults, node.clock.seconds)
    node.broker.policy = Policy(Publishing.NOBODY, permissions)
    refused = ask(node, "/topics/table")
    assert (refused.status, refused.document["code"]) == (403, "subscribe-forbidden")
    assert ask(node, "/topics/log.a").status == 200


def test_events_for_others_are_not_shown(node: MemoryNode) -> None:
    node.publish("log", b"1")
    audience = Audience(to=Targets(users=frozenset({"7"})))
    node.broker.publish(Publication("log", b"2", audience))
    assert ask(node, "/topics/log/history").data == [1]
    be(node, Identity(user="7", source="token"))
    assert ask(node, "/topics/log/history").data == [1, 2]
    be(node, Identity(user="8", source="token"))
    assert ask(node, "/topics/log/history").data == [1]


def test_a_client_that_has_to_authenticate_with_calls_is_refused(node: MemoryNode) -> None:
    be(node, Identity(source=AWAITING))
    answer = ask(node, "/topics/table")
    assert (answer.status, answer.reason) == (401, CloseReason.AUTHENTICATION_REQUIRED)


class FakeHook:
    """Refuses clients."""

    def connecting(self, _: object) -> Deferred[None]:
        return fail(AuthenticationRefused(CloseReason.CONNECT_REFUSED, "Not you."))


def test_the_connect_hook_has_the_last_word(node: MemoryNode) -> None:
    change_rules(node.edge, connect_hook=FakeHook())
    answer = ask(node, "/topics/table")
    assert (answer.status, answer.reason) == (403, CloseReason.CONNECT_REFUSED)


def test_where_the_application_decides_about_subscriptions_only_sessions_may_ask() -> None:
    node = MemoryNode(topics=TOPICS)
    history = node.broker.replays
    assert history is not None
    reader = HistoryReader(history.history, 1000)
    for judges, status in ((lambda: True, 403), (lambda: False, 200)):
        route = TopicRoute(node.broker, reader, judges)
        change_rules(node.edge, routes=routes_with(node, route))
        assert ask(node, "/topics/table").status == status


def routes_with(node: MemoryNode, route: TopicRoute) -> Any:
    routes = node.edge.shared.rules.routes
    return type(routes)(routes.find("/"), {}, {PATHS: route})


def test_a_long_response_is_sent_completely(node: MemoryNode) -> None:
    for number in range(9):
        node.publish("log", b'"%d%s"' % (number, b"x" * 100_000))
    answer = ask(node, "/topics/log/history")
    assert len(answer.data) == 9
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_limits_on_connections_apply() -> None:
    node = MemoryNode(most=1, topics=TOPICS)
    node.open()
    answer = ask(node, "/topics/table")
    assert (answer.status, answer.reason) == (503, CloseReason.TOO_MANY_CONNECTIONS)


def test_many_clients_share_the_bytes_of_one_state(node: MemoryNode) -> None:
    for number in range(9):
        node.publish("table", b'{"id":%d,"text":"%s"}' % (number, b"x" * 50_000))
    sent: list[bytes] = []
    fanout = node.broker.fanout
    send = fanout.send

    def recording(outbox: Any, frame: bytes) -> None:
        sent.append(frame)
        send(outbox, frame)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fanout, "send", recording)
        assert [ask(node, "/topics/table").status for _ in range(3)] == [200] * 3
    assert len({id(each) for each in sent if len(each) > 100_000}) == 1


@pytest.mark.parametrize("suffix", ["", "/history"])
@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("between", [0, 1, 2])
def test_state_and_subscription_together_have_every_event_once(
    node: MemoryNode, suffix: str, before: int, between: int
) -> None:
    """Whatever is published before, between and after the two requests."""
    numbers = iter(range(100))

    def publish(count: int) -> None:
        for _ in range(count):
            node.publish("log", b"%d" % next(numbers))

    publish(before)
    state = ask(node, f"/topics/log{suffix}").document
    # A topic without values: its state is its position alone.
    seen = [each["data"] for each in state["events"]] if suffix else list(range(before))
    publish(between)
    peer = node.open()
    since = {"epoch": state["epoch"], "offset": state["offset"]}
    call = [2, "c", "wampush.subscribe", "log", {"since": since}]
    peer.send(masked(json.dumps(call).encode()))
    publish(2)
    node.turn()
    messages = [json.loads(each.payload) for each in frames(peer.take())]
    events = [message[2] for message in messages if message[0] == 8]
    assert [message[2]["recovered"] for message in messages if message[0] == 3] == [True]
    assert seen + events == list(range(before + between + 2))


class _Mirrors:
    """Reads a topic when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def call_when_readable(self, topic: str, since: object, on_ready: Any) -> None:
        self.waiting.append((topic, since, on_ready))


def test_with_several_nodes_the_response_waits_until_the_topic_is_read(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = _Mirrors()
    monkeypatch.setattr(node.broker, "mirrors", mirrors)
    peer = node.connect()
    peer.send(b"GET /topics/table HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")
    node.turn()
    assert peer.take() == b""
    ((topic, since, on_ready),) = mirrors.waiting
    assert (topic, since) == ("table", None)
    on_ready()
    node.turn()
    assert peer.take().startswith(b"HTTP/1.1 200")
    # What asks for nothing that there is does not wait.
    assert ask(node, "/topics/").status == 404
    # A client that has gone meanwhile gets nothing.
    gone = node.connect()
    gone.send(b"GET /topics/table HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")
    node.turn()
    gone.lose()
    mirrors.waiting[-1][2]()
    node.turn()
    assert gone.take() == b""
