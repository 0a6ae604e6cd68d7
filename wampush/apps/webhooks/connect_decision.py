"""The application's decision about a client that connects.

Owns: what the decision, or the lack of one, means for the connection attempt.
Must not import: the edges.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred

from wampush.apps.webhooks import responses
from wampush.apps.webhooks.dispatcher import Dispatcher
from wampush.apps.webhooks.requests import WebhookRequest
from wampush.apps.webhooks.responses import HookDecision
from wampush.config.tables.webhooks import WhenDown
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.net.addresses import counting_key
from wampush.net.bounded_client import OutgoingRequest
from wampush.net.failure_sources import FailureSource


class ConnectDecision:
    """One decision.

    :param dispatcher: sends the request.
    :param when_down: what holds without a usable response.
    :param on_decided: gets why the client is not connected although the application may think so
        (None when it is, or when the application has refused it), and the decision.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        when_down: WhenDown,
        on_decided: Callable[[CloseReason | None, HookDecision | None], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._when_down = when_down
        self._on_decided = on_decided
        self._waiter: Deferred[None] = Deferred(self._on_cancelled)
        self._outgoing: OutgoingRequest[WebhookRequest, HookDecision] | None = None

    def ask(self, request: WebhookRequest, timeout: float, address: str) -> Deferred[None]:
        """Ask for the decision.

        Clients take turns by address, so that one address cannot keep others from connecting.

        :param timeout: seconds.
        :param address: of the client.
        :returns: fires when the client may connect; fails with AuthenticationRefused when not.
            Cancelling it withdraws the request.
        """
        counted_as = counting_key(address)
        self._outgoing = self._dispatcher.dispatch(
            request,
            responses.decision,
            self._on_result,
            timeout,
            owner=counted_as or address,
            source=FailureSource(object(), counted_as),
        )
        return self._waiter

    def _on_cancelled(self, waiter: Deferred[None]) -> None:
        waiter.errback(CancelledError())
        if self._outgoing is not None:
            self._dispatcher.cancel(self._outgoing)

    def _on_result(self, decision: HookDecision | None) -> None:
        waiter = self._waiter
        was_sent = self._outgoing is not None and self._outgoing.sent_at is not None
        reason: CloseReason | None = None
        if waiter.called:
            reason = CloseReason.PEER_LOST
        elif decision is None and self._when_down == "refuse":
            reason = CloseReason.CONNECT_UNDECIDED
            waiter.errback(AuthenticationRefused(reason))
        elif decision is None or decision.allow:
            waiter.callback(None)
        else:
            waiter.errback(AuthenticationRefused(CloseReason.CONNECT_REFUSED, decision.reason))
        self._on_decided(reason if was_sent else None, decision)
