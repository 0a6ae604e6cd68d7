"""Which topics apps may use."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs, formatEvent

from tests.apps.python.fake_server import FakeServer
from wampush.errors import PushRefused, Refusal


@pytest.mark.parametrize("topic", ["a", "ä" * 10, "http://x/y#z"])
def test_valid_topics(topic: str) -> None:
    assert FakeServer().api.check_topic(topic) == topic


@pytest.mark.parametrize(
    ("topic", "refusal", "detail"),
    [
        (7, Refusal.TOPIC_NOT_STRING, "It is 7."),
        ("", Refusal.TOPIC_EMPTY, ""),
        ("ä" * 11, Refusal.TOPIC_TOO_LONG, "22 bytes, 20 allowed."),
        ("wampush.x", Refusal.TOPIC_RESERVED, "It is 'wampush.x'."),
    ],
)
def test_topics_that_are_refused(topic: object, refusal: Refusal, detail: str) -> None:
    with pytest.raises(PushRefused) as caught:
        FakeServer().api.check_topic(topic)
    assert (caught.value.refusal, caught.value.detail) == (refusal, detail)


def test_lost_attributes_are_logged_once() -> None:
    api = FakeServer().api
    with capturedLogs() as events:
        for name in ("first", "second"):
            api.on_lost_data("the session", name, {1})
    (line,) = map(formatEvent, events)
    assert line == (
        "session.data of 'the session' is lost at this upgrade, and so may be that of others: "
        "first is {1}, which is not plain JSON data"
    )
