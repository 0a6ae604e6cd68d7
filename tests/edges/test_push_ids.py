"""Pushes with an id are published once."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from wampush.edges import push_ids
from wampush.edges.push_ids import KNOWN_SECONDS, MAX_LENGTH, PushIds, check_id
from wampush.errors import PushRefused, Refusal


class Sender:
    """Sends pushes, and keeps how often one was published."""

    def __init__(self) -> None:
        self.now = 100.0
        self.published = 0
        self.ids: PushIds[str] = PushIds(lambda: self.now, lambda outcome: f"{outcome} again")
        #: What publishing returns; None for its number.
        self.outcome: Deferred[str] | None = None

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
