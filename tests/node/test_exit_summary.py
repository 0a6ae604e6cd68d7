"""The summary at the end of a node."""

from __future__ import annotations

import pytest

from wampush.broker.ledger import Ledger, Source
from wampush.errors import CloseReason, PushRefused, Refusal
from wampush.node.exit_summary import summary


def test_it_counts_by_kind() -> None:
    ledger = Ledger(lambda: 0.0, lambda *_, **__: None)
    for source, count in ((Source.ZEROMQ, 5), (Source.HTTP, 2), (Source.CLIENT, 3)):
        for _ in range(count):
            ledger.accept(source)
    ledger.refuse(Source.ZEROMQ, "a", PushRefused(next(iter(Refusal))), b"")
    ledger.end(CloseReason.SERVER_STOPPED, "b")
    assert summary(ledger, 12_000) == (
        "7 pushes and 3 messages of clients accepted, 1 inputs refused, 1 connections ended "
        "in 3 h 20 min"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_has_two_units(seconds: float, words: str) -> None:
    ledger = Ledger(lambda: 0.0, lambda *_, **__: None)
    assert summary(ledger, seconds).endswith(f" in {words}")
