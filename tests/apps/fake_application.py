"""An application that is asked over HTTP and responds when a test says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, get_args

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from tests.broker.world import World
from wampush.apps.webhooks.requests import SIGNATURE_HEADER, signature
from wampush.apps.webhooks.webhooks import Webhooks
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.config.tables.webhooks import WebhookEvent, WebhookSettings
from wampush.edges.acknowledged_pushes import AcknowledgedPushes
from wampush.net.http_post import HttpResponse

URL = "http://127.0.0.1:1/hooks.php"
SECRET = b"0123456789abcdef" * 2


@dataclass
class Post:
    """One POST that came."""

    body: Mapping[str, Any]
    raw: bytes
    cookie: bytes
    time: int
    answered: Deferred[HttpResponse]
    dropped: bool = False


@dataclass
class Application:
    """The application, the webhooks that ask it, and the broker that these belong to.

    ``present`` holds the requests without a response, oldest first.
    """

    settings: WebhookSettings
    clock: Clock = field(default_factory=Clock)
    world: World = field(default_factory=World)
    posts: list[Post] = field(default_factory=list)
    present: list[Post] = field(default_factory=list)
    secret: bytes = SECRET

    def __post_init__(self) -> None:
        pushes = AcknowledgedPushes(
            Source.WEBHOOK,
            ingest=Ingest("category", 100_000, 100),
            broker=self.world.broker,
            backpressure=self.world.pressure,
            clock=self.clock,
        )
        seconds = self.clock.seconds
        self.webhooks = Webhooks(
            settings=self.settings,
            secret=SECRET,
            post=self._post,
            publish=pushes.publish,
            clock=self.clock,
            now=seconds,
            wall=seconds,
        )
        self.world.serve(application=self.webhooks)

    @property
    def asked(self) -> list[str]:
        """The events of all POSTs, in their order."""
        return [post.body["event"] for post in self.posts]

    @property
    def status(self) -> Any:
        """What the health check says."""
        return self.webhooks.status()

    def stop(self, patience: float) -> Any:
        """The daemon stops."""
        return self.webhooks.stop(patience)

    def _post(
        self, body: bytes, cookie: bytes, headers: Mapping[str, str]
    ) -> Deferred[HttpResponse]:
        (time,) = re.findall(r"^t=(\d+),", headers[SIGNATURE_HEADER])
        assert headers == {SIGNATURE_HEADER: signature(self.secret, int(time), body)}

        def drop(_: object) -> None:
            post.dropped = True
            if post in self.present:
                self.present.remove(post)

        post = Post(json.loads(body), body, cookie, int(time), Deferred(drop))
        self.posts.append(post)
        self.present.append(post)
        return post.answered

    def answer(self, document: object = None, *, status: int = 200, body: bytes = b"") -> None:
        """Respond to the oldest request."""
        text = body if document is None else json.dumps(document).encode()
        self.present.pop(0).answered.callback(HttpResponse(status, text))
        self.world.end_turn()

    def fail(self, error: Exception) -> None:
        """Let the oldest request fail."""
        self.present.pop(0).answered.errback(error)
        self.world.end_turn()

    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)
        self.world.end_turn()


def application(*events: WebhookEvent, **settings: Any) -> Application:
    """Return an application that is asked about these events, or about all."""
    known: dict[str, Any] = {"procedures": ("cart.*",)} if not events or "call" in events else {}
    return Application(
        WebhookSettings(
            url=URL,
            secret_file="key",
            events=events or get_args(WebhookEvent),
            **{**known, **settings},
        )
    )


@contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that webhooks write meanwhile, without the URL."""
    lines: list[str] = []

    def observe(event: Any) -> None:
        if event.get("service") == "webhooks":
            line = event["log_format"].format(**event)
            assert line.startswith(f"webhooks {URL}: ")
            assert "secret" not in line
            lines.append(line.removeprefix(f"webhooks {URL}: "))

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(observer)
