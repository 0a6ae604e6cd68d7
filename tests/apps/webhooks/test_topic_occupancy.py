"""Topics that are occupied and vacated, as an application learns of them over HTTP."""

from __future__ import annotations

import json

from tests.apps.fake_application import Application, application
from wampush.apps.webhooks.topic_occupancy import OccupancyChanges


def told(web: Application) -> list[tuple[str, list[str]]]:
    return [(post.body["event"], post.body["topics"]) for post in web.posts]


def test_topics_are_gathered_by_kind() -> None:
    queue = OccupancyChanges({True, False}, 2)
    for topic in ("a", "b", "c"):
        queue.add(topic, True)
    queue.add("z", False)
    assert len(queue) == queue.ready == 4
    batch = queue.take(5.0)
    body = json.loads(batch.request.body)
    assert (body["event"], body["time"], body["topics"]) == ("occupied", 5.0, ["a", "b"])
    assert batch.count == 2
    queue.add("a", False)
    assert (len(queue), queue.ready) == (3, 2)
    queue.on_ended()
    assert queue.ready == 3
    assert json.loads(queue.take(5.0).request.body)["topics"] == ["z", "a"]
    queue.clear()
    assert len(queue) == 0


def test_ten_thousand_topics_at_once_are_twenty_posts_one_after_the_other() -> None:
    web = application("occupied", "vacated")
    topics = [f"t{number}" for number in range(10_000)]
    for topic in topics:
        web.webhooks.on_topic(topic, True)
    while web.present:
        assert len(web.present) == 1
        web.answer({})
    assert len(web.posts) == 20
    assert [each for _, found in told(web) for each in found] == topics
    assert web.status["topics_waiting"] == 0
    assert web.clock.getDelayedCalls() == []


def test_a_topic_that_is_vacated_before_the_post_makes_none() -> None:
    web = application("occupied", "vacated", disconnect_seconds=0.2)
    web.webhooks.on_topic("a", True)
    web.webhooks.on_topic("a", False)
    web.pass_time(0.2)
    assert web.posts == []
    assert web.clock.getDelayedCalls() == []


def test_what_happens_during_a_post_follows_it_even_if_that_fails() -> None:
    web = application("occupied", "vacated", disconnect_seconds=0.2, breaker_seconds=10.0)
    web.webhooks.on_topic("a", True)
    web.pass_time(0.2)
    web.webhooks.on_topic("a", False)
    web.answer(status=500)
    web.pass_time(10.0)
    assert [post.raw for post in web.posts] == [web.posts[0].raw] * 2
    web.answer(status=500)
    assert web.status["topics_dropped"] == 1
    web.pass_time(10.0)
    web.answer({})
    assert told(web)[2:] == [("vacated", ["a"])]
    assert web.status["breakers"] == {"occupied": "closed", "vacated": "closed"}


def test_an_application_that_wants_one_event_gets_only_that() -> None:
    web = application("vacated")
    assert web.webhooks.watches_topics
    web.webhooks.on_topic("a", True)
    web.pass_time(0.2)
    assert web.posts == []
    web.webhooks.on_topic("a", False)
    web.pass_time(0.2)
    assert told(web) == [("vacated", ["a"])]
    assert not application("disconnect").webhooks.watches_topics


def test_at_the_end_what_is_left_is_sent_at_once() -> None:
    web = application("vacated")
    web.webhooks.on_topic("a", False)
    stopped = web.stop(5.0)
    assert told(web) == [("vacated", ["a"])]
    assert not stopped.called
    web.answer({})
    assert stopped.called
    assert web.clock.getDelayedCalls() == []
