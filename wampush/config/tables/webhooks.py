"""The table ``[webhooks]``: an application that is called over HTTP.

Owns: which requests are sent, and limits on them. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from wampush.config.checks.check import TopicPattern, whole
from wampush.config.checks.files import WebhookSecretFile
from wampush.config.checks.names import HttpUrl, Name
from wampush.config.rules import rule
from wampush.config.setting import Seconds, Some

WebhookEvent = Literal[
    "connect", "subscribe", "publish", "call", "disconnect", "occupied", "vacated"
]
WhenDown = Literal["refuse", "allow"]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """``[webhooks]``: an application in any language decides and answers calls.

    :param url: Each request is POSTed there as JSON; the log shows the URL when it fails.
    :param secret_file: The secret (32 bytes or more) that signs each POST; otherwise anyone who
        finds the URL could call the application.
    :param events: Each makes clients wait for the application, so name only those that it decides.
    :param topics: For ``subscribe``, ``publish``, ``occupied`` and ``vacated``: no request is made
        for other topics.
    :param procedures: For ``call``: the procedures of the application, such as ``cart.*``.
    :param cookies: For ``connect``: cookies to pass on, such as ``PHPSESSID``; empty: all.
    :param timeout: Includes waiting for a free slot; a person waits for the answer.
    :param connect_timeout: The same for ``connect``; with ``callback.timeout`` less than
        ``websocket.handshake_timeout``.
    :param at_once: A web application answers about as many in parallel; disconnects have one more
        slot, and so have occupied and vacated topics.
    :param waiting: Requests that wait for a free slot; any more are answered according to
        ``when_down``.
    :param breaker_failures: After failures of this many sessions in a row, requests for their event
        stop; after as many of one session, only its own.
    :param breaker_seconds: Requests stop for this long; then one is tried to see whether it is
        answered.
    :param when_down: The decision on ``connect``, ``subscribe`` and ``publish`` without an answer;
        calls always get an error. ``allow`` also lets in whatever makes the application fail.
    :param disconnect_seconds: Disconnects, and topics that were occupied or vacated, are collected
        for this long for one POST.
    :param disconnect_batch: The most disconnects or topics in one POST; a disconnect takes about
        250 bytes.
    :param disconnect_waiting: Kept while the application does not accept them; beyond that the
        oldest are dropped.
    """

    url: HttpUrl = ""
    secret_file: WebhookSecretFile = ""
    events: tuple[WebhookEvent, ...] = ()
    topics: Some[TopicPattern] = ("*",)
    procedures: tuple[TopicPattern, ...] = ()
    cookies: tuple[Name, ...] = ()
    timeout: Seconds = 5.0
    connect_timeout: Seconds = 1.5
    at_once: Annotated[int, whole(1, 10_000, "requests")] = 10
    waiting: Annotated[int, whole(0, 1_000_000, "requests")] = 1000
    breaker_failures: Annotated[int, whole(1, 10_000, "requests")] = 5
    breaker_seconds: Seconds = 10.0
    when_down: WhenDown = "refuse"
    disconnect_seconds: Seconds = 0.2
    disconnect_batch: Annotated[int, whole(1, 10_000, "disconnects")] = 500
    disconnect_waiting: Annotated[int, whole(1, 10_000_000, "disconnects")] = 20_000


@rule("webhooks.url", "webhooks.events")
def a_url_has_events(url: str, events: Sequence[str]) -> Iterator[str]:
    """The URL and the events are set together."""
    if events and not url:
        yield "webhooks.url must be set, because webhooks.events is set"
    if url and not events:
        yield "webhooks.events must name at least one event, because webhooks.url is set"


@rule("webhooks.secret_file", "webhooks.url")
def requests_are_signed(secret: str, url: str) -> Iterator[str]:
    """Requests need a secret that signs them."""
    if url and not secret:
        yield (
            "webhooks.secret_file must be set, because webhooks.url is set; create the file with: "
            "openssl rand -hex 32"
        )


@rule("webhooks.procedures", "webhooks.events")
def calls_have_procedures(procedures: Sequence[str], events: Sequence[str]) -> Iterator[str]:
    """The procedures and the event "call" are set together."""
    if "call" in events and not procedures:
        yield (
            "webhooks.procedures must name at least one procedure, because webhooks.events "
            'includes "call"'
        )
    if procedures and "call" not in events:
        yield 'webhooks.events must include "call", because webhooks.procedures is set'
