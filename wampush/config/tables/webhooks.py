"""The settings about an application that is asked over HTTP.

Owns: the table ``[webhooks]``, and what fits together in it; ``settings`` joins it to the
others.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and
``settings.security``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from wampush.config.checks.common import (
    Choice,
    FilePath,
    ListOf,
    Number,
    TopicPattern,
    WholeNumber,
)
from wampush.config.checks.identity import HttpUrl, Name
from wampush.config.setting import about

WhenDown = Literal["refuse", "allow"]

EVENTS = ("connect", "subscribe", "publish", "call", "disconnect")


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """``[webhooks]``: an application in any language decides and answers. Times in seconds."""

    url: str = field(
        default="",
        metadata=about(
            "",
            "Where each question is POSTed as JSON; the log shows it when it fails.",
            HttpUrl(),
        ),
    )
    secret_file: str = field(
        default="",
        metadata=about(
            "",
            "The secret (32 bytes or more) that signs each POST; whoever finds the URL could ask "
            "the application otherwise.",
            FilePath(),
        ),
    )
    events: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Each makes clients wait for the application, so only what it decides is asked.",
            ListOf(Choice(EVENTS)),
        ),
    )
    topics: tuple[str, ...] = field(
        default=("*",),
        metadata=about(
            "",
            "For `subscribe` and `publish`: other topics are not asked about.",
            ListOf(TopicPattern(), at_least=1),
        ),
    )
    procedures: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "For `call`: which procedures the application has, such as `cart.*`.",
            ListOf(TopicPattern()),
        ),
    )
    cookies: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "For `connect`: cookies to pass on, such as `PHPSESSID`; empty: all.",
            ListOf(Name()),
        ),
    )
    timeout: float = field(
        default=5.0,
        metadata=about(
            "s",
            "Waiting for a free place included; a person waits for the answer.",
            Number(0.01, 3600),
        ),
    )
    connect_timeout: float = field(
        default=1.5,
        metadata=about(
            "s",
            "The same for `connect`; with `callback.timeout` less than "
            "`websocket.handshake_timeout`.",
            Number(0.01, 3600),
        ),
    )
    at_once: int = field(
        default=10,
        metadata=about(
            "requests",
            "What a web application answers side by side; disconnects have one place more.",
            WholeNumber(1, 10_000),
        ),
    )
    waiting: int = field(
        default=1000,
        metadata=about(
            "requests",
            "Who waits for a free place beyond that is answered as `when_down` says.",
            WholeNumber(0, 1_000_000),
        ),
    )
    breaker_failures: int = field(
        default=5,
        metadata=about(
            "requests",
            "So many failures of one event in a row are no accident; then it is not asked.",
            WholeNumber(1, 10_000),
        ),
    )
    breaker_seconds: float = field(
        default=10.0,
        metadata=about(
            "s",
            "Not asked for so long, then once to see whether it answers again.",
            Number(0.01, 3600),
        ),
    )
    when_down: WhenDown = field(
        default="refuse",
        metadata=about(
            "",
            "What holds for `connect`, `subscribe` and `publish` without an answer; calls get an "
            "error in any case.",
            Choice(("refuse", "allow")),
        ),
    )
    disconnect_seconds: float = field(
        default=0.2,
        metadata=about(
            "s",
            "So long disconnects are gathered for one POST.",
            Number(0.01, 3600),
        ),
    )
    disconnect_batch: int = field(
        default=500,
        metadata=about(
            "disconnects",
            "In one POST; about 250 bytes each.",
            WholeNumber(1, 10_000),
        ),
    )
    disconnect_waiting: int = field(
        default=20_000,
        metadata=about(
            "disconnects",
            "Kept while the application does not take them; the oldest are dropped beyond it.",
            WholeNumber(1, 10_000_000),
        ),
    )


def webhook_conflicts(
    webhooks: WebhookSettings, callback_timeout: float, handshake_timeout: float
) -> Iterator[tuple[str, object, str]]:
    """What does not fit together: a key, its value, and what would be right.

    :param callback_timeout: of ``[callback]``, 0 where it is not used.
    """
    events = list(webhooks.events)
    if events and not webhooks.url:
        yield "webhooks.url", webhooks.url, "must be set, because webhooks.events names what to ask"
    if webhooks.url and not events:
        expected = "must name at least one event, because webhooks.url is set"
        yield "webhooks.events", events, expected
    if webhooks.url and not webhooks.secret_file:
        expected = "must be set, because webhooks.url is; make one by: openssl rand -hex 32"
        yield "webhooks.secret_file", webhooks.secret_file, expected
    if "call" in events and not webhooks.procedures:
        expected = 'must name at least one procedure, because webhooks.events names "call"'
        yield "webhooks.procedures", list(webhooks.procedures), expected
    if webhooks.procedures and "call" not in events:
        expected = 'must name "call", because webhooks.procedures is set'
        yield "webhooks.events", events, expected
    if "connect" in events and webhooks.connect_timeout + callback_timeout >= handshake_timeout:
        more = f", with callback.timeout ({callback_timeout:g} s)," if callback_timeout else ""
        expected = f"must{more} be less than websocket.handshake_timeout ({handshake_timeout:g} s)"
        yield "webhooks.connect_timeout", webhooks.connect_timeout, expected
