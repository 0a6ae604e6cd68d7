"""Publications to topics without history: over the bus and back, and what happens without it."""

from __future__ import annotations

import pytest

from tests.broker.backplane.nodes import OPEN, Node, World, data
from wampush.broker.backplane.plain_topics import HARD_LIMIT, LOST_LOOKS, MAX_BYTES
from wampush.broker.ledger import Source
from wampush.broker.publication import Audience, Publication, Targets
from wampush.errors import PublicationRefused, Refusal
from wampush.testing import InMemoryBus


@pytest.fixture
def world() -> World:
    return World(2)


def refusal(node: Node, publication: Publication) -> Refusal:
    with pytest.raises(PublicationRefused) as caught:
        node.core.broker.push(Source.HTTP, publication)
    return caught.value.refusal


def test_a_publication_reaches_the_subscribers_of_all_nodes(world: World) -> None:
    clients = [world.client(0, "news"), world.client(1, "news"), world.client(1, "sport")]
    world.nodes[0].accept("news", b'{ "a": 1 }')
    world.settle()
    assert [data(each) for each in clients] == [[{"a": 1}], [{"a": 1}], []]
    assert world.nodes[0].outcomes == [1]
    assert world.nodes[0].core.broker.ledger.accepted[Source.HTTP] == 1


def test_all_nodes_deliver_in_the_same_order(world: World) -> None:
    clients = [world.client(0, "news"), world.client(1, "news")]
    for number in range(20):
        world.nodes[number % 2].accept("news", b"%d" % number)
        if number % 3 == 0:
            world.bus.clock.advance(0.0005)
    world.settle()
    first, second = (data(each) for each in clients)
    assert first == second
    assert sorted(first) == list(range(20))


def test_audiences_are_intact_on_other_nodes(world: World) -> None:
    alice, bob = world.client(1, "news", user="alice"), world.client(1, "news", user="bob")
    staff = world.client(1, "news", user="carol", groups=["staff"])
    everyone = [alice, bob, staff]
    node = world.nodes[0]
    for audience in (
        Audience(to=Targets(users=frozenset({"alice"}))),
        Audience(exclude=frozenset({alice.session_id})),
        Audience(eligible=frozenset({bob.session_id, staff.session_id}), exclude=frozenset()),
        Audience(to=Targets(groups=frozenset({"staff"}), exclude_users=frozenset({"bob"}))),
        Audience(eligible=frozenset()),
    ):
        node.accept("news", audience=audience)
    world.settle()
    assert [len(data(each)) for each in everyone] == [1, 2, 3]


def test_a_client_that_publishes_excludes_itself_everywhere(world: World) -> None:
    author, reader = world.client(0, "chat"), world.client(1, "chat")
    author.publish("chat", "hello")
    author.publish("chat", "to me, too", exclude_me=False)
    world.settle()
    assert data(author) == ["to me, too"]
    assert data(reader) == ["hello", "to me, too"]


def test_a_client_that_subscribes_and_publishes_at_once_gets_its_own_event(world: World) -> None:
    client = world.nodes[0].connect()
    client.subscribe("chat")
    for number in range(3):
        client.publish("chat", number, exclude_me=False)
    assert world.nodes[0].backplane.interest.is_awaited("chat")
    world.settle()
    assert data(client) == [0, 1, 2]
    assert len(world.nodes[0].backplane.plain) == 0


@pytest.mark.parametrize(
    ("subscribed", "receivers", "unheard"), [((), 0, 1), ((0,), 1, 0), ((1,), 0, 0), ((0, 1), 1, 0)]
)
def test_pushes_that_no_node_has_receivers_for_are_counted(
    world: World, subscribed: tuple[int, ...], receivers: int, unheard: int
) -> None:
    for each in subscribed:
        world.client(each, "news")
    world.nodes[0].accept("news")
    world.settle()
    assert world.nodes[0].outcomes == [receivers]
    assert world.nodes[0].core.broker.ledger.unheard[Source.HTTP] == unheard


def test_without_the_bus_the_clients_of_the_node_get_it_and_it_is_counted(world: World) -> None:
    near, far = world.client(0, "news"), world.client(1, "news")
    world.bus.cut()
    node = world.nodes[0]
    node.accept("news", b"1")
    node.accept("news", b"2")
    assert node.outcomes == []
    world.settle()
    assert node.outcomes == [1, 1]
    assert (data(near), data(far)) == ([1, 2], [])
    assert node.backplane.plain.not_propagated == 2
    world.bus.restore()
    world.settle()
    node.accept("news", b"3")
    world.settle()
    assert (data(near), data(far)) == ([3], [3])
    assert node.backplane.plain.not_propagated == 2


def test_what_is_under_way_when_the_link_is_lost_reaches_the_clients_here_once() -> None:
    world = World(2, delay=1.0)
    near, far = world.client(0, "news"), world.client(1, "news")
    node = world.nodes[0]
    plain = node.backplane.plain
    node.accept("news", b"1")
    world.bus.clock.advance(1.0)
    node.accept("news", b"2")
    world.bus.clock.advance(0.5)
    # The bus has the first, and nothing has come back; it does not have the second.
    world.bus.cut()
    world.settle()
    assert data(near) == [1, 2]
    assert data(far) == []
    assert node.outcomes == [1, 1]
    assert plain.not_propagated == 2
    assert plain.size == 0
    world.bus.restore()
    world.settle()
    assert (data(near), data(far)) == ([], [])


def test_an_answer_without_a_return_still_counts_as_propagated() -> None:
    world = World(2, delay=1.0)
    near = world.client(0, "news")
    node = world.nodes[0]
    node.accept("news", b"1")
    (entry,) = node.backplane.plain._under_way.values()
    entry.on_sent(1)
    assert node.outcomes == []
    world.bus.cut()
    assert node.outcomes == [1]
    assert data(near) == [1]
    assert node.backplane.plain.not_propagated == 0


def test_what_waits_for_its_topic_when_the_link_is_lost_is_delivered_once(world: World) -> None:
    client = world.nodes[0].connect()
    client.subscribe("chat")
    world.nodes[0].accept("chat", b"1")
    world.bus.cut()
    world.settle()
    assert data(client) == [1]
    world.bus.restore()
    world.settle()
    assert data(client) == []
    assert world.nodes[0].outcomes == [1]


def test_much_under_way_pauses_the_sources_and_too_much_is_refused() -> None:
    world = World(1, delay=1.0)
    node = world.nodes[0]
    backpressure = node.core.backpressure
    payload = b'"' + b"x" * 1_000_000 + b'"'
    for _ in range(4):
        node.accept("news", payload)
    assert not backpressure.paused
    node.accept("news", payload)
    assert node.core.backpressure.paused
    assert not backpressure.clients_behind
    while node.backplane.plain.size <= HARD_LIMIT:
        node.accept("news", payload)
    assert refusal(node, Publication("news", payload)) is Refusal.BACKPLANE_AWAY
    count = len(node.backplane.plain)
    world.settle()
    assert not backpressure.paused
    assert node.outcomes == [0] * count
    assert node.backplane.plain.size == 0 < MAX_BYTES


def test_a_publication_that_other_nodes_would_refuse_is_refused() -> None:
    bus = InMemoryBus()
    node = Node(bus, {**OPEN, "pushes.max_message_bytes": 1000, "websocket.max_message_bytes": 500})
    assert refusal(node, Publication("news", b'"' + b"x" * 6000 + b'"')) is Refusal.TOO_LARGE
    names = frozenset(f"session-{number}" for number in range(1000))
    crowd = Publication("news", b"1", Audience(exclude=names))
    assert refusal(node, crowd) is Refusal.TOO_LARGE


def test_an_audience_that_is_not_text_is_refused(world: World) -> None:
    publication = Publication("news", b"1", Audience(exclude=frozenset({"\ud800"})))
    assert refusal(world.nodes[0], publication) is Refusal.BACKPLANE_AWAY


def test_what_does_not_come_back_ends_after_a_while() -> None:
    world = World(1, delay=0.001)
    world.client(0, "news")
    node = world.nodes[0]
    node.accept("news")
    # As if the topic had been left and followed again meanwhile.
    world.bus.distribute = lambda channel, message: 0 if channel and message else 1  # type: ignore[method-assign]
    world.settle()
    assert node.outcomes == []
    plain = node.backplane.plain
    for _ in range(LOST_LOOKS):
        # One look each: it is late because the process was frozen.
        world.bus.clock.advance(60)
        assert node.outcomes == []
    world.bus.clock.advance(60)
    assert node.outcomes == [0]
    assert len(plain) == 0


def test_what_was_for_nobody_here_is_not_delivered_late_when_the_link_is_lost() -> None:
    world = World(2, delay=1.0)
    node = world.nodes[0]
    world.client(1, "news")
    # Nobody here has the topic when it is published.
    node.accept("news", b"1")
    near = node.connect()
    near.subscribe("news")
    world.bus.clock.advance(0.5)
    world.bus.cut()
    world.settle()
    assert data(near) == []
    assert node.outcomes == [0]


def test_what_is_published_at_the_moment_of_a_loss_comes_after_what_is_under_way() -> None:
    world = World(1, delay=1.0)
    client = world.client(0, "news")
    node = world.nodes[0]
    node.accept("news", b"1")
    node.link.is_joined = False
    node.accept("news", b"2")
    world.settle()
    assert data(client) == [1, 2]
    assert node.outcomes == [1, 1]


def test_a_stray_return_is_delivered_to_nobody(world: World) -> None:
    client = world.client(0, "news")
    node = world.nodes[0]
    stray = b'1{"node":"%b","id":99}\n1' % node.backplane.control.node.encode()
    world.nodes[1].link.publish("t:news", stray, lambda _: None)
    world.settle()
    assert data(client) == []


def test_the_end_delivers_what_is_under_way() -> None:
    world = World(2, delay=1.0)
    client = world.client(0, "news")
    node = world.nodes[0]
    node.accept("news", b"1")
    node.core.broker.flush()
    node.core.broker.stop()
    assert data(client) == [1]
    assert node.outcomes == [1]
    node.accept("news", b"2")
    world.settle()
    assert data(client) == [2]
