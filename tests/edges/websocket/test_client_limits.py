"""How many messages a client may send after some time."""

from __future__ import annotations

import pytest

from wampush.edges.websocket.client_limits import ClientLimits

LIMITS = ClientLimits(queue_bytes=1, messages_per_second=10.0, message_burst=50)


@pytest.mark.parametrize(
    ("allowance", "seconds", "renewed"),
    [(0.0, 0.0, 0.0), (0.0, 0.5, 5.0), (7.0, 2.0, 27.0), (45.0, 1.0, 50.0), (50.0, 99.0, 50.0)],
)
def test_the_allowance_grows_with_time_up_to_the_burst(allowance, seconds, renewed):
    assert LIMITS.renewed(allowance, seconds) == renewed
