"""What log lines say about refused requests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.broker.world import World
from wampush.broker.ledger import Ledger
from wampush.broker.requests.refusals import origin_of, refuse
from wampush.errors import MessageRefused, Refusal
from wampush.wamp.messages import Call, Publish, Subscribe
from wampush.wamp.session import Request


@pytest.mark.parametrize(
    ("request_", "about"),
    [
        (None, {}),
        (Subscribe("news"), {"topic": "news"}),
        (Publish("news", b"1"), {"topic": "news"}),
        (Call("1", "wampush.time", (2,)), {"procedure": "wampush.time"}),
    ],
)
def test_the_fields_name_the_session_and_what_it_asked_for(
    request_: Request | None, about: dict[str, str]
) -> None:
    logged: list[dict[str, object]] = []

    def report(message: str, **fields: object) -> None:
        assert message.format(**fields)
        logged.append(fields)

    ledger = Ledger(lambda: 0.0, report)
    subscriber: Any = World().client().subscriber
    subscriber.peer = SimpleNamespace(address="192.0.2.1")
    refuse(ledger, subscriber, MessageRefused(Refusal.SESSION_ENDED), b"[5]", request_)
    (fields,) = logged
    assert origin_of(subscriber) == f"session {subscriber.session_id}" == fields["origin"]
    assert fields["session"] == subscriber.session_id
    assert fields["address"] == "192.0.2.1"
    assert {name: fields[name] for name in ("topic", "procedure") if name in fields} == about
    assert ledger.refusals() == {"session-ended": 1}
