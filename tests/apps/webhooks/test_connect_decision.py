"""What the application's decision, or the lack of one, means for a client that connects."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from wampush.apps.webhooks.connect_decision import ConnectDecision
from wampush.apps.webhooks.dispatcher import Dispatcher
from wampush.apps.webhooks.requests import WebhookRequest
from wampush.apps.webhooks.responses import HookDecision
from wampush.config.tables.webhooks import WebhookSettings, WhenDown
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.net.failure_sources import FailureSource
from wampush.net.http_post import HttpResponse
from wampush.net.outgoing_request_log import RequestLog

TIMEOUT = 1.5


class Attempt:
    """A client that connects, and the application that is asked about it.

    :ivar outcome: None when it may connect, or the error; empty while undecided.
    :ivar decided: what is published and reported afterwards.
    """

    def __init__(self, when_down: WhenDown = "refuse", busy: bool = False) -> None:
        self.clock = Clock()
        self.responses: list[Deferred[HttpResponse]] = []
        self.outcome: list[Any] = []
        self.decided: list[tuple[CloseReason | None, HookDecision | None]] = []
        dispatcher = Dispatcher(
            settings=WebhookSettings(url="http://shop/", at_once=1),
            send=self._send,
            call_later=self.clock.callLater,
            now=self.clock.seconds,
            log=RequestLog(Logger(), "webhooks", "http://shop/", self.clock.seconds),
            events=["connect"],
        )
        if busy:
            dispatcher.dispatch(
                WebhookRequest("connect", b"{}"),
                lambda response: response.body,
                lambda _: None,
                60.0,
                owner=None,
                source=FailureSource("other"),
            )
        decision = ConnectDecision(
            dispatcher, when_down, lambda reason, found: self.decided.append((reason, found))
        )
        self.waiter = decision.ask(WebhookRequest("connect", b"{}"), TIMEOUT, "192.0.2.1")
        self.waiter.addCallbacks(self.outcome.append, lambda f: self.outcome.append(f.value))

    def _send(self, _: WebhookRequest) -> Deferred[HttpResponse]:
        self.responses.append(Deferred())
        return self.responses[-1]

    def respond(self, status: int, body: bytes = b"") -> None:
        self.responses[-1].callback(HttpResponse(status, body))


def test_a_client_that_is_allowed_connects() -> None:
    attempt = Attempt()
    assert attempt.outcome == []
    attempt.respond(200, b'{"allow": true}')
    assert attempt.outcome == [None]
    assert attempt.decided == [(None, HookDecision(allow=True))]


def test_a_client_that_is_refused_does_not_connect() -> None:
    attempt = Attempt()
    attempt.respond(200, b'{"allow": false, "reason": "full"}')
    (error,) = attempt.outcome
    assert isinstance(error, AuthenticationRefused)
    assert (error.reason, error.detail) == (CloseReason.CONNECT_REFUSED, "full")
    # The application knows that the client is not connected.
    assert attempt.decided == [(None, HookDecision(False, "full"))]


def test_without_a_usable_response_the_default_holds() -> None:
    allowed = Attempt("allow")
    allowed.respond(500)
    assert allowed.outcome == [None]
    assert allowed.decided == [(None, None)]
    refused = Attempt("refuse")
    refused.respond(500)
    assert refused.outcome[0].reason is CloseReason.CONNECT_UNDECIDED
    assert refused.decided == [(CloseReason.CONNECT_UNDECIDED, None)]


@pytest.mark.parametrize(("busy", "reason"), [(False, CloseReason.CONNECT_UNDECIDED), (True, None)])
def test_only_an_application_that_was_asked_is_notified(
    busy: bool, reason: CloseReason | None
) -> None:
    attempt = Attempt(busy=busy)
    attempt.clock.advance(TIMEOUT)
    assert attempt.outcome[0].reason is CloseReason.CONNECT_UNDECIDED
    assert attempt.decided == [(reason, None)]


@pytest.mark.parametrize(("busy", "reason"), [(False, CloseReason.PEER_LOST), (True, None)])
def test_a_client_that_goes_away_withdraws_the_request(
    busy: bool, reason: CloseReason | None
) -> None:
    attempt = Attempt(busy=busy)
    attempt.waiter.cancel()
    assert isinstance(attempt.outcome[0], CancelledError)
    assert attempt.decided == [(reason, None)]
    assert len(attempt.clock.getDelayedCalls()) == busy
