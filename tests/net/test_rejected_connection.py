"""A connection without a place ends at once."""

from __future__ import annotations

from twisted.internet.testing import StringTransport

from wampush.net.rejected_connection import RejectedConnection


def test_a_rejected_connection_ends_at_once() -> None:
    transport = StringTransport()
    RejectedConnection().makeConnection(transport)
    assert transport.disconnected
