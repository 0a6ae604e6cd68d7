"""Counts, log lines, and the refusals that are kept."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.world import World
from tests.support.log_lines import reporting_to
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Ledger, LedgerState, Source
from wampush.errors import CloseReason, MessageRefused, PushRefused, Refusal


class Book:
    def __init__(self) -> None:
        self.time = 50.0
        self.lines: list[str] = []
        self.ledger = Ledger(lambda: self.time, reporting_to(self.lines.append))

    def push(self, refusal: Refusal = Refusal.NOT_JSON, raw: bytes = b"x") -> None:
        self.ledger.refuse(Source.ZEROMQ, "tcp://*:5555", PushRefused(refusal, "Why."), raw)

    def message(self, refusal: Refusal = Refusal.WRONG_ARITY) -> None:
        self.ledger.refuse(Source.CLIENT, "session s", MessageRefused(refusal), b"[5]")


@pytest.fixture
def book():
    return Book()


def test_a_line_says_what_where_and_why(book):
    book.push(raw=b"b\xc3\xa4d\n\xff\x1b")
    (line,) = book.lines
    assert line == (
        "refused push over ZeroMQ from tcp://*:5555: not-json: The text is not JSON (RFC 8259). "
        "Why. It began with: b\xe4d\\n\\xff\\u001b"
    )
    book.message()
    assert "refused client message from session s: wrong-arity: " in book.lines[1]


def test_one_line_a_second_for_each_reason(book):
    for _ in range(5):
        book.push()
    book.push(Refusal.EMPTY)
    assert len(book.lines) == 2
    book.time += 0.75
    book.push()
    assert len(book.lines) == 2
    book.time += 0.25
    book.push()
    assert book.lines[2].endswith("(5 similar messages suppressed)")
    book.time += 1
    book.push()
    assert "suppressed" not in book.lines[3]
    assert book.ledger.refusals() == {"not-json": 8, "empty": 1}


def test_a_clock_set_back_silences_nothing(book):
    book.push()
    book.time -= 3600
    book.push()
    assert len(book.lines) == 2


def test_the_last_hundred_refusals_are_kept(book):
    for number in range(130):
        book.time = number
        book.push(raw=b"%d" % number)
    kept = list(book.ledger.recent)
    assert [each.excerpt for each in kept] == [b"%d" % number for number in range(30, 130)]
    assert [each.time for each in kept] == list(range(30, 130))
    first = kept[0]
    assert (first.source, first.origin) == (Source.ZEROMQ, "tcp://*:5555")
    assert (first.refusal, first.detail) == (Refusal.NOT_JSON, "Why.")


def test_two_hundred_bytes_are_kept(book):
    book.push(raw=bytes(range(250)))
    assert book.ledger.recent[0].excerpt == bytes(range(200))
    book.ledger.refuse(Source.ZEROMQ, "x", PushRefused(Refusal.EMPTY), bytearray(b"ab"))
    assert type(book.ledger.recent[1].excerpt) is bytes


def test_the_last_hundred_refused_handshakes_are_kept_apart(book):
    book.push()
    for number in range(130):
        book.time = 100.0 + number
        book.ledger.end(CloseReason.BAD_HANDSHAKE, f"10.0.0.{number}", "No key.")
    book.ledger.end(CloseReason.SLOW_CLIENT, "10.0.1.1")
    book.ledger.end(CloseReason.PLAIN_REQUEST, "10.0.1.2")
    kept = [each.as_json() for each in book.ledger.recent_handshakes]
    assert [each["origin"] for each in kept] == [f"10.0.0.{number}" for number in range(30, 130)]
    assert kept[0] == {
        "time": 130.0,
        "source": "handshake",
        "origin": "10.0.0.30",
        "reason": "bad-handshake",
        "sentence": CloseReason.BAD_HANDSHAKE.sentence,
        "detail": "No key.",
        "excerpt": "",
    }
    assert len(book.ledger.recent) == 1
    assert kept[0].keys() == book.ledger.recent[0].as_json().keys()


def test_ends_of_connections(book):
    ledger = book.ledger
    ledger.end(CloseReason.SLOW_CLIENT, "10.0.0.1:5")
    ledger.end(CloseReason.SLOW_CLIENT, "10.0.0.2:5")
    ledger.end(CloseReason.BAD_HANDSHAKE, "10.0.0.3:5", "No key.")
    ledger.end(CloseReason.PEER_CLOSED, "10.0.0.4:5")
    assert ledger.ended == {
        CloseReason.SLOW_CLIENT: 2,
        CloseReason.BAD_HANDSHAKE: 1,
        CloseReason.PEER_CLOSED: 1,
    }
    slow = CloseReason.SLOW_CLIENT.sentence
    assert book.lines[0] == f"10.0.0.1:5: slow-client: {slow}"
    assert book.lines[1].endswith("(RFC 6455 section 4.2.1). No key.")
    assert len(book.lines) == 2


@pytest.mark.parametrize("reason", list(CloseReason))
def test_which_ends_are_is_logged(book, reason):
    book.ledger.end(reason, "peer")
    assert len(book.lines) == int(reason.value.is_logged)


def test_lines_carry_what_they_are_about_in_fields() -> None:
    logged: list[dict[str, object]] = []

    def report(message: str, **fields: object) -> None:
        assert message.format(**fields)
        logged.append(fields)

    ledger = Ledger(lambda: 0.0, report)
    token = f"eyJ{'x' * 20}"
    error = MessageRefused(Refusal.PUBLISH_FORBIDDEN)
    ledger.refuse(
        *(Source.CLIENT, "session s1", error, b"[7]"),
        session="s1",
        address="192.0.2.1",
        topic=f"news {token} " + "n" * 300,
        push_id="",
    )
    ledger.end(CloseReason.SLOW_CLIENT, "192.0.2.1", session="s1")
    ledger.end(CloseReason.BAD_HANDSHAKE, "192.0.2.1")
    refused, slow, handshake = logged
    assert refused["session"] == "s1"
    assert refused["address"] == "192.0.2.1"
    assert refused["reason"] == "publish-forbidden"
    topic = str(refused["topic"])
    assert topic.startswith("news [token] n")
    assert len(topic) <= 200
    # What is not known is left out.
    assert "push_id" not in refused
    assert (slow["address"], slow["session"]) == ("192.0.2.1", "s1")
    assert "session" not in handshake


def test_dropped_events(book):
    book.ledger.drop_event("latest")
    book.ledger.drop_event("latest", 3)
    book.ledger.drop_event("drop-newest")
    assert book.ledger.dropped_events == {"latest": 4, "drop-newest": 1}


@settings(database=None, deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 0.25, 0.5, 1.0])), max_size=60))
def test_no_input_is_counted_twice_or_not_at_all(inputs):
    book = Book()
    reasons = [Refusal.NOT_JSON, Refusal.EMPTY, Refusal.NO_TOPIC]
    count: Counter[object] = Counter()
    for kind, passed in inputs:
        book.time += passed
        if kind == 3:
            book.ledger.accept(Source.ZEROMQ)
            count["accepted"] += 1
        else:
            book.push(reasons[kind])
            count[reasons[kind].code] += 1
    ledger = book.ledger
    assert ledger.accepted[Source.ZEROMQ] == count.pop("accepted", 0)
    assert ledger.refusals() == count
    refused = sum(ledger.refused.values())
    assert ledger.received[Source.ZEROMQ] == len(inputs)
    assert ledger.received[Source.HTTP] == 0
    told = sum(
        int(line.rsplit("(", 1)[1].split()[0]) for line in book.lines if "suppressed)" in line
    )
    assert len(book.lines) + told <= refused
    book.time += 1
    for refusal in reasons:
        book.push(refusal)
    told = sum(
        int(line.rsplit("(", 1)[1].split()[0]) for line in book.lines if "suppressed)" in line
    )
    assert len(book.lines) + told == refused + len(reasons)


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    "text",
    [
        f'[2,"c","wampush.refresh","{TOKEN}"',
        f'["{TOKEN}"]',
        f'[2,"{TOKEN}"]',
        f'"{TOKEN}"',
        f'[2,"c","unknown","{TOKEN}"]',
        TOKEN,
    ],
)
def test_a_token_in_a_refused_message_is_kept_nowhere(text):
    world = World()
    client = world.client(limit=10_000)
    client.become(Identity(source=AWAITING))
    world.says(client, text)
    (refused,) = world.ledger.recent
    kept = json.dumps(refused.as_json()) + "".join(world.lines)
    assert "[token]" in kept
    for part in TOKEN.split("."):
        assert part not in kept


def test_ends_are_counted_by_code(book):
    for reason in (CloseReason.SLOW_CLIENT, CloseReason.SLOW_CLIENT, CloseReason.PEER_LOST):
        book.ledger.end(reason, "192.0.2.1")
    assert book.ledger.ends() == {"slow-client": 2, "peer-lost": 1}


def test_values_are_fields_of_the_log_line_and_cannot_forge_one():
    reports: list[tuple[str, dict[str, object]]] = []
    ledger = Ledger(lambda: 0.0, lambda message, **fields: reports.append((message, fields)))
    ledger.refuse(Source.CLIENT, "session {s}", MessageRefused(Refusal.UNKNOWN_TYPE), b"{x}")
    ledger.end(CloseReason.BAD_HANDSHAKE, "192.0.2.1", "{y}")
    (refused, fields), (ended, of_end) = reports
    assert fields["origin"] == "session {s}"
    assert fields["beginning"] == "{x}"
    assert fields["reason"] == "unknown-type"
    assert of_end["detail"] == "{y}"
    assert "{x}" in refused.format(**fields)
    assert "{y}" in ended.format(**of_end)


def test_another_process_goes_on_counting(book):
    other = Book().ledger
    book.push()
    book.ledger.accept(Source.HTTP)
    book.ledger.end(CloseReason.FLOODING, "192.0.2.1")
    book.ledger.drop_event("latest", 2)
    book.ledger.unheard[Source.HTTP] += 1
    book.ledger.deliveries, book.ledger.delivered_bytes = 5, 50
    book.ledger.connections_opened, book.ledger.sessions_opened = 3, 2
    state = json.loads(json.dumps(asdict(book.ledger.snapshot())))
    # Deliveries to sessions that had moved have been counted by the first process, too.
    other.deliveries, other.delivered_bytes = 4, 40
    other.end(CloseReason.FLOODING, "192.0.2.1")
    other.resume(LedgerState(**state))
    assert (other.accepted, other.refused) == (book.ledger.accepted, book.ledger.refused)
    assert other.ends() == {"flooding": 2}
    assert other.dropped_events == {"latest": 2}
    assert other.unheard == {Source.HTTP: 1}
    assert (other.deliveries, other.delivered_bytes) == (5, 50)
    assert (other.connections_opened, other.sessions_opened) == (3, 2)


def test_counts_of_another_version_are_left_out():
    ledger = Book().ledger
    unknown = {"new": 1}
    ledger.resume(
        LedgerState(
            accepted=unknown, refused=[("zeromq", "new", 1)], ended=unknown, unheard=unknown
        )
    )
    assert (ledger.received, ledger.ends(), ledger.unheard) == ({}, {}, {})
