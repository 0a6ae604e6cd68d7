"""The table ``[pushes]``: pushes from every source.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from wampush.config.checks.common import Text
from wampush.config.setting import Bytes, setting


@dataclass(frozen=True, slots=True)
class PushSettings:
    """``[pushes]``: pushes over ZeroMQ, HTTP and Redis."""

    topic_key: Text = setting(
        "category", "The key under which existing backends name the topic of a push."
    )
    max_message_bytes: Bytes = setting(
        1_048_576, "Far above any event for a page; every receiver may have to queue it."
    )
