"""Pushes with an id are published once."""

from __future__ import annotations

import tracemalloc
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from wampush.broker.memory_costs import positions_bytes, push_id_bytes
from wampush.broker.publication import Position
from wampush.edges import push_ids
from wampush.edges.acknowledged_pushes import Published
from wampush.edges.push_ids import KNOWN_SECONDS, MAX_LENGTH, PushIds, check_id
from wampush.errors import PushRefused, Refusal


class Sender:
    """Sends pushes, and keeps how often one was published."""

    def __init__(self) -> None:
        self.now = 100.0
        self.published = 0
        self.ids: PushIds[str] = PushIds(
            lambda: self.now, lambda outcome: f"{outcome} again", self.size_of
        )
        #: What publishing returns; None for its number.
        self.outcome: Deferred[str] | None = None

    @staticmethod
    def size_of(outcome: str) -> int:
        return 1000 if outcome == "large" else 0

    def send(self, push_id: str, *parts: bytes) -> Deferred[str]:
        return self.ids.once(push_id, parts or (b"t", b"1"), self._publish)

    def _publish(self) -> Deferred[str]:
        self.published += 1
        return self.outcome or succeed(str(self.published))


@pytest.fixture
def sender() -> Sender:
    return Sender()


def result(done: Deferred[str]) -> Any:
    """The outcome, the reason of a refusal, or None while there is neither."""
    seen: list[Any] = []
    done.addCallbacks(seen.append, lambda failure: seen.append(failure.value))
    return seen[0] if seen else None


def test_a_push_that_is_sent_again_is_not_published_again(sender: Sender) -> None:
    assert result(sender.send("a")) == "1"
    assert result(sender.send("a")) == "1 again"
    assert result(sender.send("b")) == "2"
    assert sender.published == 2


def test_an_id_is_forgotten_after_its_time(sender: Sender) -> None:
    sender.send("a")
    sender.now += KNOWN_SECONDS - 1
    sender.send("b")
    assert result(sender.send("a")) == "1 again"
    sender.now += 1
    assert result(sender.send("a")) == "3"
    assert len(sender.ids) == 2


@pytest.mark.parametrize("parts", [(b"t", b"2"), (b"u", b"1"), (b"t1",), (b"t", b"1", b"{}")])
def test_another_push_with_the_same_id_is_refused(sender: Sender, parts: Any) -> None:
    sender.send("a")
    with pytest.raises(PushRefused) as caught:
        sender.send("a", *parts)
    assert caught.value.refusal is Refusal.ID_REUSED
    assert sender.published == 1


def test_an_id_has_a_greatest_length() -> None:
    check_id("x" * MAX_LENGTH)
    with pytest.raises(PushRefused) as caught:
        check_id("x" * (MAX_LENGTH + 1))
    assert caught.value.refusal is Refusal.BAD_ID


def test_a_refused_push_may_be_sent_again(sender: Sender) -> None:
    refused = PushRefused(Refusal.CLIENTS_BEHIND)
    sender.outcome = fail(refused)
    assert result(sender.send("a")) is refused
    sender.outcome = None
    assert result(sender.send("a")) == "2"


def test_all_senders_of_a_push_that_waits_get_its_outcome(sender: Sender) -> None:
    waiting: Deferred[str] = Deferred()
    sender.outcome = waiting
    first, second = sender.send("a"), sender.send("a")
    assert (result(first), result(second)) == (None, None)
    answers: list[Any] = []
    third = sender.send("a")
    third.addCallback(answers.append)
    waiting.callback("done")
    assert answers == ["done again"]
    assert sender.published == 1


def test_all_senders_of_a_push_that_is_refused_later_learn_it(sender: Sender) -> None:
    waiting: Deferred[str] = Deferred()
    sender.outcome = waiting
    seen: list[Any] = []
    for _ in range(2):
        sender.send("a").addCallbacks(print, lambda failure: seen.append(failure.value.refusal))
    waiting.errback(PushRefused(Refusal.STOPPING))
    assert seen == [Refusal.STOPPING] * 2
    assert len(sender.ids) == 0


def test_a_sender_that_goes_away_does_not_make_its_id_free(sender: Sender) -> None:
    waiting: Deferred[str] = Deferred()
    sender.outcome = waiting
    gone = sender.send("a")
    gone.addErrback(lambda failure: failure.trap(CancelledError))
    gone.cancel()
    again: list[Any] = []
    sender.send("a").addCallback(again.append)
    waiting.callback("done")
    assert again == ["done again"]
    assert sender.published == 1


def test_the_number_of_ids_is_limited(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_ids, "MAX_IDS", 2)
    for push_id in "abc":
        sender.send(push_id)
    assert len(sender.ids) == 2
    assert result(sender.send("c")) == "3 again"
    assert result(sender.send("a")) == "4"
    assert sender.ids.forgotten == 2


def test_what_ids_and_outcomes_take_is_limited(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = push_id_bytes("a")
    monkeypatch.setattr(push_ids, "MAX_BYTES", 3 * plain + 1000)
    for push_id in "abc":
        sender.send(push_id)
    assert (len(sender.ids), sender.ids.size) == (3, 3 * plain)
    large: Deferred[str] = Deferred()
    sender.outcome = large
    done = sender.send("d")
    assert (len(sender.ids), sender.ids.size, sender.ids.forgotten) == (4, 4 * plain, 0)
    large.callback("large")
    assert result(done) == "large"
    # The oldest is forgotten, so that the rest fits.
    assert (len(sender.ids), sender.ids.size, sender.ids.forgotten) == (3, 3 * plain + 1000, 1)
    sender.outcome = None
    assert result(sender.send("b")) == "2 again"
    assert result(sender.send("a")) == "5"


def test_the_count_of_bytes_ends_at_nothing(sender: Sender) -> None:
    sender.outcome = fail(PushRefused(Refusal.CLIENTS_BEHIND))
    sender.send("refused").addErrback(lambda failure: failure.trap(PushRefused))
    assert sender.ids.size == 0
    waiting: Deferred[str] = Deferred()
    sender.outcome = waiting
    sender.send("a")
    sender.now += KNOWN_SECONDS
    sender.outcome = succeed("large")
    sender.send("b")
    # Its id is forgotten already.
    waiting.callback("large")
    assert sender.ids.size == push_id_bytes("b") + 1000
    sender.now += KNOWN_SECONDS
    sender.ids._forget(sender.now)
    assert (len(sender.ids), sender.ids.size) == (0, 0)


@pytest.mark.parametrize(
    ("push_id", "topics"),
    [("x" * 20, 0), ("x" * 200, 1), ("x" * 199 + "\N{GRINNING FACE}", 0), ("x" * 20, 100)],
)
def test_the_estimate_is_an_upper_bound(push_id: str, topics: int) -> None:
    # What each of them takes does not depend on how many there are.
    count = 2000 if topics < 100 else 300
    ids: PushIds[Published] = PushIds(
        lambda: 1.0,
        lambda published: published,
        lambda published: positions_bytes([topic for topic, _ in published.positions]),
    )

    def publish(number: int) -> Deferred[Published]:
        positions = [(f"topic {number} {n}", Position("epoch", number + n)) for n in range(topics)]
        return succeed(Published(number, positions))

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            ids.once(f"{number:05}{push_id[5:]}", (b"t",), partial(publish, number))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= ids.size < 3 * taken


def test_another_process_goes_on_knowing_them(sender: Sender) -> None:
    pending: Deferred[str] = Deferred()
    for push_id in ("a", "b"):
        sender.send(push_id)
    sender.outcome = pending
    sender.send("waits")
    assert sender.ids.ids_after("") == ["a", "b", "waits"]
    assert sender.ids.ids_after("a") == ["b", "waits"]
    assert sender.ids.ids_after("waits") == []
    assert sender.ids.known("waits") is None
    assert sender.ids.known("nothing") is None
    other = Sender()
    other.now = 7.0
    for push_id in ("a", "b"):
        sender.now += 10
        known = sender.ids.known(push_id)
        assert known is not None
        other.ids.restore(push_id, known)
        other.ids.restore(push_id, known)
    assert len(other.ids) == 2
    assert other.ids.size == push_id_bytes("a") + push_id_bytes("b")
    assert result(other.send("a")) == "1 again"
    assert isinstance(_raised(other, "b"), PushRefused)
    other.now += KNOWN_SECONDS - 10
    assert result(other.send("a")) == "1"
    pending.callback("later")


def _raised(sender: Sender, push_id: str) -> Exception | None:
    """What is raised for another push with a known id."""
    try:
        sender.send(push_id, b"t", b"another")
    except PushRefused as error:
        return error
    return None
