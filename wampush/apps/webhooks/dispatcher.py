"""The requests to the application for which a client waits.

Owns: which events share places, and a circuit breaker for each event.
Must not import: the edges; nor know what a request or a response means.

Requests about clients that connect have places of their own, see ``net.request_queues``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred

from wampush.apps.webhooks.requests import WebhookRequest
from wampush.config.tables.webhooks import WebhookSettings
from wampush.net.bounded_client import BoundedClient, OutgoingRequest
from wampush.net.circuit_breaker import CircuitBreaker
from wampush.net.failure_sources import FailureSource
from wampush.net.http_post import HttpResponse
from wampush.net.outgoing_request_log import RequestLog
from wampush.net.request_queues import RequestQueues

_CONNECT: Final = "connect"
_CALL: Final = "call"
_REQUEST: Final = "request"

Read = TypeVar("Read")

Send = Callable[[WebhookRequest], Deferred[HttpResponse]]
"""Signs and sends a request; cancelling what it returns drops the connection."""


class Dispatcher(BoundedClient[WebhookRequest]):
    """Sends requests to the application, a bounded number at a time.

    :param settings: the ``[webhooks]`` table.
    :param send: sends one request.
    :param call_later: ``IReactorTime.callLater``.
    :param now: seconds of a clock that never goes back.
    :param log: for failures.
    :param events: the events that requests are about.
    """

    def __init__(
        self,
        *,
        settings: WebhookSettings,
        send: Send,
        call_later: Callable[..., Any],
        now: Callable[[], float],
        log: RequestLog,
        events: Sequence[str],
    ) -> None:
        failures, seconds = settings.breaker_failures, settings.breaker_seconds
        #: By event.
        self.breakers: Final[Mapping[str, CircuitBreaker]] = {
            # Where the application's silence allows, a client that makes it fail must not gain
            # anything by that: its requests are sent all the same.
            event: CircuitBreaker(
                failures, seconds, now, holds=event == _CALL or settings.when_down == "refuse"
            )
            for event in events
        }
        kinds = sorted({_kind_of(event) for event in events})
        super().__init__(
            send=send,
            queues=RequestQueues(kinds, settings.at_once, settings.waiting),
            call_later=call_later,
            now=now,
            log=log,
            breakers=self.breakers,
        )

    def dispatch(
        self,
        request: WebhookRequest,
        read: Callable[[HttpResponse], Read],
        done: Callable[[Read | None], None],
        timeout: float,
        *,
        owner: Hashable,
        source: FailureSource,
    ) -> OutgoingRequest[WebhookRequest, Read]:
        """Send a request, now or when there is a place for it.

        :param read: makes a value of the response, or raises UnusableResponse.
        :param done: gets this value, or None when no usable response came; perhaps before this
            returns.
        :param timeout: seconds from now, the time in the queue included.
        :param owner: on whose behalf; owners take turns, and :meth:`cancel_all_of` cancels.
        :param source: the client whose failure it is if it fails.
        """
        outgoing = OutgoingRequest(
            request=request,
            kind=_kind_of(request.event),
            label=request.event,
            read=read,
            done=done,
            timeout=timeout,
            owner=owner,
            source=source,
        )
        self.request(outgoing)
        return outgoing


def _kind_of(event: str) -> str:
    return _CONNECT if event == _CONNECT else _REQUEST
