"""The webhooks of a node, put together.

Owns: the parts they are made of, and reloading their secret.
Must not import: ``build``, the service.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wampush.apps.webhooks.webhooks import Webhooks
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.config.tables.webhooks import WebhookSettings
from wampush.edges.acknowledged_pushes import AcknowledgedPushes
from wampush.errors import OperatorError
from wampush.net import secret_files
from wampush.net.http_post import HttpPost

_log = Logger(namespace="wampush.webhooks")


class NodeWebhooks:
    """The webhooks, from the start of the node to its end.

    :param settings: the ``[webhooks]`` table, with a URL.
    :param reactor: for connections and timers.
    :param ingest: makes publications of the events in responses.
    :param broker: publishes them.
    :param backpressure: delays them while clients cannot keep up.
    :raises OperatorError: the file of the secret cannot be used.
    """

    def __init__(
        self,
        *,
        settings: WebhookSettings,
        reactor: Any,
        ingest: Ingest,
        broker: Broker,
        backpressure: Backpressure,
    ) -> None:
        self._settings = settings
        self._pushes = AcknowledgedPushes(
            Source.WEBHOOK,
            ingest=ingest,
            broker=broker,
            backpressure=backpressure,
            clock=reactor,
        )
        secret = secret_files.webhook_secret(settings.secret_file)
        post = HttpPost(reactor, settings.url)
        self.application = Webhooks(
            settings=settings,
            secret=secret,
            post=post,
            publish=self._pushes.publish,
            clock=reactor,
        )
        if self.application.watches_topics and broker.occupancy is not None:
            broker.occupancy.watch(settings.topics, self.application.on_topic, is_of_node=False)
        _log.info(
            "webhooks: sending requests about {events} to {url}",
            url=settings.url,
            events=", ".join(settings.events),
        )

    def reload(self) -> None:
        """Read the secret again and log the outcome."""
        try:
            secret = secret_files.webhook_secret(self._settings.secret_file)
        except OperatorError as error:
            _log.error(
                "could not reload the webhooks secret, keeping the old one: {error}", error=error
            )
        else:
            self.application.replace_secret(secret)
            _log.info("webhooks: secret reloaded")

    def stop(self, patience: float) -> Deferred[None]:
        """Publish nothing more, and send the notifications that are left.

        :param patience: seconds for the requests that are left.
        """
        self._pushes.stop()
        return self.application.stop(patience)
