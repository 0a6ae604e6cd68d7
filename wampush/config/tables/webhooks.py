"""The table ``[webhooks]``: an application that is called over HTTP.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wampush.config.checks.common import TopicPattern
from wampush.config.checks.files import WebhookSecretFile
from wampush.config.checks.identity import HttpUrl, Name
from wampush.config.setting import Count, Seconds, rule, setting

WebhookEvent = Literal["connect", "subscribe", "publish", "call", "disconnect"]
WhenDown = Literal["refuse", "allow"]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """``[webhooks]``: an application in any language decides and answers calls."""

    url: HttpUrl = setting(
        "", "Each request is POSTed there as JSON; the log shows the URL when it fails."
    )
    secret_file: WebhookSecretFile = setting(
        "",
        "The secret (32 bytes or more) that signs each POST; otherwise anyone who finds the URL "
        "could call the application.",
    )
    events: tuple[WebhookEvent, ...] = setting(
        (),
        "Each makes clients wait for the application, so name only those that it decides.",
    )
    topics: tuple[TopicPattern, ...] = setting(
        ("*",), "For `subscribe` and `publish`: no request is made for other topics.", at_least=1
    )
    procedures: tuple[TopicPattern, ...] = setting(
        (), "For `call`: the procedures of the application, such as `cart.*`."
    )
    cookies: tuple[Name, ...] = setting(
        (), "For `connect`: cookies to pass on, such as `PHPSESSID`; empty: all."
    )
    timeout: Seconds = setting(
        5.0, "Includes waiting for a free slot; a person waits for the answer."
    )
    connect_timeout: Seconds = setting(
        1.5,
        "The same for `connect`; with `callback.timeout` less than `websocket.handshake_timeout`.",
    )
    at_once: Count = setting(
        10,
        "A web application answers about as many in parallel; disconnects have one more slot.",
        unit="requests",
        most=10_000,
    )
    waiting: Count = setting(
        1000,
        "Requests that wait for a free slot; any more are answered according to `when_down`.",
        unit="requests",
        least=0,
        most=1_000_000,
    )
    breaker_failures: Count = setting(
        5,
        "After failures of this many sessions in a row, requests for their event stop; after as "
        "many of one session, only its own.",
        unit="requests",
        most=10_000,
    )
    breaker_seconds: Seconds = setting(
        10.0, "Requests stop for this long; then one is tried to see whether it is answered."
    )
    when_down: WhenDown = setting(
        "refuse",
        "The decision on `connect`, `subscribe` and `publish` without an answer; calls always "
        "get an error. `allow` also lets in whatever makes the application fail.",
    )
    disconnect_seconds: Seconds = setting(
        0.2, "Disconnects are collected for this long for one POST."
    )
    disconnect_batch: Count = setting(
        500, "The most in one POST; about 250 bytes each.", unit="disconnects", most=10_000
    )
    disconnect_waiting: Count = setting(
        20_000,
        "Kept while the application does not accept them; beyond that the oldest are dropped.",
        unit="disconnects",
    )


@rule("webhooks.url", "webhooks.events")
def a_url_has_events(url: str, events: Sequence[str]) -> str:
    """The URL and the events are set together."""
    if events and not url:
        return "webhooks.url must be set, because webhooks.events is set"
    if url and not events:
        return "webhooks.events must name at least one event, because webhooks.url is set"
    return ""


@rule("webhooks.secret_file", "webhooks.url")
def requests_are_signed(secret: str, url: str) -> str:
    """Requests need a secret that signs them."""
    if secret or not url:
        return ""
    return (
        "webhooks.secret_file must be set, because webhooks.url is set; create the file with: "
        "openssl rand -hex 32"
    )


@rule("webhooks.procedures", "webhooks.events")
def calls_have_procedures(procedures: Sequence[str], events: Sequence[str]) -> str:
    """The procedures and the event "call" are set together."""
    if "call" in events and not procedures:
        return (
            "webhooks.procedures must name at least one procedure, because webhooks.events "
            'includes "call"'
        )
    if procedures and "call" not in events:
        return 'webhooks.events must include "call", because webhooks.procedures is set'
    return ""


@rule(
    "webhooks.connect_timeout",
    "callback.timeout",
    "websocket.handshake_timeout",
    "webhooks.events",
    "callback.url",
)
def webhooks_answer_within_the_handshake(
    connect: float, callback: float, handshake: float, events: Sequence[str], url: str
) -> str:
    """Webhooks and the callback must answer before the handshake times out."""
    used = callback if url else 0.0
    if "connect" not in events or connect + used < handshake:
        return ""
    more = f" and callback.timeout ({used:g} s) together" if url else ""
    return (
        f"webhooks.connect_timeout ({connect:g} s){more} must be less than "
        f"websocket.handshake_timeout ({handshake:g} s)"
    )
