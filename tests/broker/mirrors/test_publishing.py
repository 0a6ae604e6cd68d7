"""Publications on their way to the store: order, losses of the link, limits."""

from __future__ import annotations

import pytest

from tests.broker.mirrors.mirror_world import SharedWorld
from wampush.broker.mirrors.contract import Entry, NotCarriedOut, OnStored, Stored
from wampush.broker.mirrors.publishing import (
    HARD_LIMIT,
    LATE_SECONDS,
    MAX_BYTES,
    PATIENCE,
    StorePublishing,
)
from wampush.broker.publication import Audience, Publication, PushKey
from wampush.errors import PublicationRefused, Refusal


class Publisher:
    """One node that publishes, and the outcomes."""

    def __init__(self) -> None:
        self.shared = SharedWorld()
        self.node = self.shared.node()
        world = self.node.world
        self.pressure = world.pressure
        self.outcomes: list[Stored | PublicationRefused] = []
        self.publishing = StorePublishing(
            self.node.store,
            backpressure=world.pressure,
            ledger=world.ledger,
            seconds=lambda: self.shared.clock.now,
            call_later=self.shared.clock.call_later,
        )

    def publish(
        self, payload: bytes, *, awaited: bool = False, push: PushKey | None = None
    ) -> None:
        publication = Publication("log", payload, push=push)
        self.publishing.publish(publication, self.outcomes.append, is_awaited=awaited)

    def refusals(self) -> list[Refusal]:
        return [each.refusal for each in self.outcomes if isinstance(each, PublicationRefused)]

    def stored(self) -> list[bytes]:
        kept = self.shared.store._state.logs.get("log")
        return [] if kept is None else [each.payload for each in kept.log.events]

    def back(self) -> None:
        self.node.link.restore()
        self.shared.settle()
        self.publishing.on_joined()
        self.shared.settle()


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def test_publications_are_stored_in_their_order(publisher: Publisher) -> None:
    for number in range(3):
        publisher.publish(b"%d" % number)
    assert publisher.outcomes == []
    assert len(publisher.publishing) == 3
    publisher.shared.settle()
    assert [type(each) for each in publisher.outcomes] == [Stored] * 3
    assert publisher.stored() == [b"0", b"1", b"2"]
    assert publisher.publishing.size == 0


def test_what_the_link_has_lost_is_sent_again_and_stored_once(publisher: Publisher) -> None:
    publisher.publish(b"1")
    publisher.shared.settle()
    publisher.publish(b"2")
    # It arrives, and its answer does not.
    publisher.shared.clock.advance(0.001)
    publisher.publish(b"3")
    publisher.node.link.cut("a test")
    publisher.publish(b"4")
    publisher.shared.settle()
    assert len(publisher.outcomes) == 1
    publisher.back()
    assert publisher.stored() == [b"1", b"2", b"3", b"4"]
    assert [type(each) for each in publisher.outcomes] == [Stored] * 4
    assert len(publisher.publishing) == 0


def test_much_that_waits_pauses_the_sources_until_it_is_stored(publisher: Publisher) -> None:
    publisher.node.link.cut("a test")
    part = b'"%b"' % (b"x" * (MAX_BYTES // 4))
    for _ in range(4):
        publisher.publish(part)
    assert publisher.pressure.paused
    assert not publisher.pressure.clients_behind
    # Publishers that wait for an answer get one, others still have room.
    with pytest.raises(PublicationRefused) as caught:
        publisher.publish(b"1", awaited=True)
    assert caught.value.refusal is Refusal.BACKPLANE_AWAY
    assert "a test" in str(caught.value)
    while publisher.publishing.size <= HARD_LIMIT:
        publisher.publish(part)
    with pytest.raises(PublicationRefused):
        publisher.publish(b"1")
    assert publisher.publishing.failed == 2
    publisher.back()
    assert publisher.refusals() == []
    assert publisher.pressure._holds == set()


def test_a_publisher_that_waits_is_refused_after_a_while_and_others_are_not(
    publisher: Publisher,
) -> None:
    publisher.node.link.cut("Redis is gone")
    publisher.publish(b"1", awaited=True)
    publisher.publish(b"2")
    publisher.shared.clock.advance(PATIENCE / 2)
    publisher.publish(b"3", awaited=True)
    publisher.shared.clock.advance(PATIENCE / 2 + 0.001)
    assert publisher.refusals() == [Refusal.BACKPLANE_AWAY]
    assert isinstance(publisher.outcomes[0], PublicationRefused)
    assert "Redis is gone" in publisher.outcomes[0].detail
    assert "may have been published" not in publisher.outcomes[0].detail
    publisher.shared.clock.advance(PATIENCE / 2)
    assert len(publisher.refusals()) == 2
    publisher.back()
    assert publisher.stored() == [b"2"]
    assert publisher.publishing.failed == 2
    assert any("was refused" in line for line in publisher.node.world.lines)


def test_a_process_that_was_frozen_reads_the_answers_before_it_gives_up(
    publisher: Publisher,
) -> None:
    publisher.shared.bus.delay = 100.0
    publisher.publish(b"1", awaited=True)
    # As after SIGCONT: the timer is late, and what has arrived is not read.
    publisher.shared.clock.now += 60.0
    publisher.shared.clock.advance(0.0)
    assert publisher.outcomes == []
    publisher.shared.clock.advance(LATE_SECONDS)
    assert publisher.refusals() == [Refusal.BACKPLANE_AWAY]


def test_a_publication_without_an_answer_may_have_been_published(publisher: Publisher) -> None:
    publisher.shared.bus.delay = PATIENCE
    publisher.publish(b"1", awaited=True)
    publisher.shared.clock.advance(PATIENCE + 0.001)
    (outcome,) = publisher.outcomes
    assert isinstance(outcome, PublicationRefused)
    assert "may have been published" in outcome.detail
    # The answer that comes at last changes nothing.
    publisher.shared.clock.advance(PATIENCE)
    assert publisher.stored() == [b"1"]
    assert len(publisher.outcomes) == 1


def test_a_push_with_an_id_that_another_node_has_published(publisher: Publisher) -> None:
    publisher.publish(b"1", push=PushKey("p", "d"))
    publisher.publish(b"1", push=PushKey("p", "d"))
    publisher.publish(b"2", push=PushKey("p", "other"))
    publisher.shared.settle()
    first, second, third = publisher.outcomes
    assert isinstance(first, Stored)
    assert isinstance(second, Stored)
    assert (first.is_repeated, second.is_repeated) == (False, True)
    assert isinstance(third, PublicationRefused)
    assert third.refusal is Refusal.ID_REUSED
    assert publisher.stored() == [b"1"]


def test_the_audience_counts(publisher: Publisher) -> None:
    publisher.node.link.cut("a test")
    audience = Audience(exclude=frozenset({"x" * 1000}))
    publisher.publishing.publish(
        Publication("log", b"1", audience), publisher.outcomes.append, is_awaited=False
    )
    assert publisher.publishing.size > 1000


def test_the_end_refuses_what_waits(publisher: Publisher) -> None:
    publisher.node.link.cut("a test")
    publisher.publish(b"1", awaited=True)
    publisher.publish(b"2")
    publisher.publishing.stop()
    assert publisher.refusals() == [Refusal.BACKPLANE_AWAY] * 2
    with pytest.raises(PublicationRefused) as caught:
        publisher.publish(b"3")
    assert caught.value.refusal is Refusal.STOPPING
    publisher.publishing.stop()
    assert not [each for each in publisher.shared.clock.pending if each.time < 2000]


class Upset:
    """A store that cannot carry out some of what is sent to it."""

    def __init__(self, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
        self._publish = publisher.node.store.publish
        #: How many of the next ones cannot be carried out.
        self.left = 0
        #: Whether its answers to these get lost with the link.
        self.is_silent = False
        #: The numbers of all that were sent, and up to which number none is sent again.
        self.sent: list[tuple[int, int]] = []
        monkeypatch.setattr(publisher.node.store, "publish", self)

    def __call__(self, entry: Entry, on_stored: OnStored) -> None:
        self.sent.append((entry.number, entry.settled))
        if self.left:
            self.left -= 1
            if not self.is_silent:
                on_stored(NotCarriedOut("a test"))
        else:
            self._publish(entry, on_stored)


@pytest.fixture
def upset(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Upset:
    return Upset(publisher, monkeypatch)


def test_what_the_store_could_not_carry_out_is_sent_again(
    publisher: Publisher, upset: Upset
) -> None:
    upset.left = 1
    publisher.publish(b"1")
    publisher.shared.settle()
    assert upset.sent == [(1, 0), (1, 0)]
    assert publisher.stored() == [b"1"]
    assert len(publisher.outcomes) == 1
    # Without the link, it waits for that.
    publisher.publish(b"2")
    publisher.node.link.cut("a test")
    publisher.back()
    assert publisher.stored() == [b"1", b"2"]
    assert upset.sent[2:] == [(2, 1), (2, 1)]


def test_what_was_carried_out_before_a_loss_is_not_again_if_the_store_cannot_now(
    publisher: Publisher, upset: Upset
) -> None:
    publisher.publish(b"1")
    publisher.publish(b"2")
    # Both arrive, and no answer does.
    publisher.shared.clock.advance(0.001)
    publisher.node.link.cut("a test")
    publisher.publish(b"3")
    upset.left = 2
    publisher.back()
    assert publisher.stored() == [b"1", b"2", b"3"]
    assert [type(each) for each in publisher.outcomes] == [Stored] * 3


def test_what_was_not_carried_out_is_although_later_ones_were_and_no_answer_came(
    publisher: Publisher, upset: Upset
) -> None:
    publisher.publish(b"1")
    publisher.shared.settle()
    upset.left, upset.is_silent = 1, True
    publisher.publish(b"2")
    publisher.publish(b"3")
    publisher.shared.clock.advance(0.001)
    publisher.node.link.cut("a test")
    assert publisher.stored() == [b"1", b"3"]
    publisher.back()
    assert publisher.stored() == [b"1", b"3", b"2"]
    assert [type(each) for each in publisher.outcomes] == [Stored] * 3


def test_the_store_learns_what_is_not_sent_again(publisher: Publisher, upset: Upset) -> None:
    publisher.node.link.cut("a test")
    publisher.publish(b"1", awaited=True)
    publisher.publish(b"2")
    publisher.publish(b"3", awaited=True)
    publisher.shared.clock.advance(PATIENCE + 0.001)
    publisher.back()
    assert upset.sent == [(2, 1)]
    publisher.publish(b"4")
    assert upset.sent[1:] == [(4, 3)]


def test_a_store_that_cannot_take_a_publication_is_reported(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = PublicationRefused(Refusal.BACKPLANE_AWAY, "OOM.")
    monkeypatch.setattr(publisher.node.store, "publish", lambda _, on_stored: on_stored(refused))
    publisher.publish(b"1")
    assert publisher.outcomes == [refused]
    assert publisher.publishing.failed == 1
    assert any("OOM" in line for line in publisher.node.world.lines)
