"""The sessions that have ended, until the application is notified of them."""

from __future__ import annotations

import json

from wampush.apps.webhooks.disconnects import EndedSessions


def test_the_oldest_go_first_and_make_place_for_new_ones() -> None:
    queue = EndedSessions(3, 2)
    assert [queue.add(b'{"id":%d}' % number) for number in range(4)] == [True, True, True, False]
    assert len(queue) == queue.ready == 3
    batch = queue.take(5.0)
    body = json.loads(batch.request.body)
    assert (body["event"], body["time"], body["sessions"]) == (
        "disconnect",
        5.0,
        [{"id": 1}, {"id": 2}],
    )
    assert (batch.count, batch.attempts) == (2, 0)
    queue.on_ended()
    assert len(queue) == 1
    queue.clear()
    assert len(queue) == 0
