"""The table ``[application]``: application code in Python.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wampush.config.setting import DAY, Count, Seconds, rule, setting


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """``[application]``: how the handlers of ``apps`` run."""

    timeout: Seconds = setting(
        10.0, "A person waits for the answer; a handler may have its own limit.", most=DAY
    )
    connect_timeout: Seconds = setting(
        1.5,
        "The same for `on_connect`; with `callback.timeout` less than "
        "`websocket.handshake_timeout`.",
    )
    threads: Count = setting(
        10,
        "For handlers that block, such as most database drivers; further calls wait.",
        unit="threads",
        most=1000,
    )


@rule(
    "application.connect_timeout",
    "callback.timeout",
    "websocket.handshake_timeout",
    "apps",
    "callback.url",
)
def apps_answer_within_the_handshake(
    connect: float, callback: float, handshake: float, apps: Sequence[str], url: str
) -> str:
    """Apps and the callback must answer before the handshake times out."""
    used = callback if url else 0.0
    if not apps or connect + used < handshake:
        return ""
    more = f" and callback.timeout ({used:g} s) together" if url else ""
    return (
        f"application.connect_timeout ({connect:g} s){more} must be less than "
        f"websocket.handshake_timeout ({handshake:g} s)"
    )
