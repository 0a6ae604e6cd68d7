"""The limits of sessions and their requests, as the defaults of the settings give them."""

from __future__ import annotations

from dataclasses import replace

from wampush.broker.requests.authorization import RequestLimits
from wampush.config.tables.limits import LimitSettings
from wampush.wamp.session import PrefixLimits

_LIMITS = LimitSettings()

PREFIX_LIMITS = PrefixLimits(_LIMITS.prefixes_per_session, _LIMITS.topic_bytes)


def request_limits(**changes: int) -> RequestLimits:
    """The default limits of requests, but for some of them."""
    limits = RequestLimits(
        topic_bytes=_LIMITS.topic_bytes,
        subscriptions=_LIMITS.subscriptions_per_session,
        topics=_LIMITS.topics,
        pending=_LIMITS.pending_per_session,
        pending_bytes=_LIMITS.pending_bytes_per_session,
    )
    return replace(limits, **changes)
