"""Publishing over HTTP: from a request to the parts of a push, and the response.

Owns: how a request maps to the parts of a push, and the status of each refusal.
Must not import: wampush.wamp, wampush.broker, the other edges; what publishes is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import parse_qsl

import orjson
from werkzeug.routing import BaseConverter

from wampush.choices import PUSH_OPTIONS
from wampush.edges.http.responses import respond_json, respond_refused
from wampush.edges.problems import refused_input
from wampush.edges.push_excerpts import EXCERPT_BYTES
from wampush.errors import InputRefused, PushRefused, Refusal
from wampush.excerpts import shown_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure
    from twisted.web.server import Request

    from wampush.edges.acknowledged_pushes import Published
    from wampush.edges.http.operator_access import HttpAccess
    from wampush.edges.http.site import BoundedRequest

_KEYS: Final = (*PUSH_OPTIONS, "id")
#: Of JSON.
_WHITE_SPACE: Final = b" \t\r\n"


class Publisher(Protocol):
    """Publishes pushes, and counts them."""

    def publish(
        self, parts: Sequence[bytes], origin: str, push_id: str = ""
    ) -> Deferred[Published]:
        """Publish one push.

        :param parts: as of a ZeroMQ message.
        :param origin: address of the sender, for refusals.
        :param push_id: with which it is published once; "" for none.
        :returns: fails with InputRefused.
        """

    def publish_list(
        self, body: bytes, origin: str, push_id: str = ""
    ) -> Deferred[list[Published | PushRefused]]:
        """Publish a list of publications.

        :param body: the list, as JSON.
        :param origin: address of the sender, for refusals.
        :param push_id: of the whole list; "" for none.
        :returns: fires with the outcome of each; fails with InputRefused.
        """

    def refuse(self, error: InputRefused, origin: str, parts: Sequence[bytes]) -> None:
        """Count a push that was refused before it could be published."""


class TopicConverter(BaseConverter):
    """The rest of a path with all characters: a topic may begin or end with a slash."""

    regex = r"[\s\S]*"
    part_isolating = False


class PublishRoute:
    """Responds to requests to publish.

    :param access: decides which requests may publish.
    :param publisher: publishes.
    :param max_bytes: length of the longest body, in bytes.
    """

    def __init__(self, access: HttpAccess, publisher: Publisher, max_bytes: int) -> None:
        self._access = access
        self._publisher = publisher
        self._max_bytes = max_bytes

    def body_limit(self, request: Request) -> int:
        """Return how many bytes of its body to keep, for a request with a complete header."""
        if self._access.refuses_change(request) is None:
            return self._max_bytes
        return EXCERPT_BYTES

    def respond(self, request: BoundedRequest, topic: str | None) -> bytes | Deferred[bytes]:
        """Publish the body of a request.

        :param topic: the topic; None when the body names it.
        """
        body = request.body()
        parts = [body] if topic is None else [topic.encode(), body]
        try:
            self._check(request)
            options, push_id = _options(request.uri.partition(b"?")[2], topic is not None)
        except PushRefused as error:
            return self.refuse(request, error, parts)
        origin = _origin(request)
        if topic is None and body.lstrip(_WHITE_SPACE).startswith(b"["):
            answers = self._publisher.publish_list(body, origin, push_id)
            return answers.addCallbacks(
                _all_published, _refused, (request,), errbackArgs=(request,)
            )
        done = self._publisher.publish(parts + options, origin, push_id)
        return done.addCallbacks(_published, _refused, (request,), errbackArgs=(request,))

    def refuse(self, request: Request, error: PushRefused, parts: Sequence[bytes]) -> bytes:
        """Count a refused push and respond."""
        self._publisher.refuse(error, _origin(request), parts)
        return respond_refused(request, error)

    def _check(self, request: BoundedRequest) -> None:
        refusal = self._access.refuses_change(request)
        if refusal is not None:
            raise PushRefused(refusal)
        if request.body_bytes > self._max_bytes:
            detail = f"{request.body_bytes} bytes, {self._max_bytes} allowed."
            raise PushRefused(Refusal.TOO_LARGE, detail)


def _origin(request: Request) -> str:
    return str(getattr(request.getClientAddress(), "host", None) or "unix socket")


def _options(query: bytes, allowed: bool) -> tuple[list[bytes], str]:
    """Return the third part of a push, made from the query, and its id.

    Each value of an option stays as it was sent.

    :param query: the query of the URL, "" for none.
    :param allowed: whether a push may have a third part: it needs the topic in the path.
    :returns: the part in a list, or an empty list without options; the id, or "".
    :raises PushRefused: the query cannot be options.
    """
    values: dict[str, bytes] = {}
    push_id: str | None = None
    text = query.decode("latin-1")
    for key, escaped in parse_qsl(text, keep_blank_values=True, errors="surrogateescape"):
        if key not in _KEYS:
            raise PushRefused(
                Refusal.BAD_OPTIONS,
                f"The query has {shown_json(key)}; known keys are {', '.join(_KEYS)}.",
            )
        if key in values or (key == "id" and push_id is not None):
            raise PushRefused(Refusal.BAD_OPTIONS, f"The query has {key} more than once.")
        value = escaped.encode("utf-8", "surrogateescape")
        if key == "id":
            push_id = _id(value)
            continue
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise PushRefused(
                Refusal.BAD_OPTIONS, f"The value of {key} in the query is not JSON: {error}."
            ) from error
        values[key] = value
    if not values:
        return [], push_id or ""
    if not allowed:
        raise PushRefused(Refusal.BAD_OPTIONS, "Options require the topic in the path.")
    part = b"{%s}" % b",".join(b'"%s":%s' % (key.encode(), each) for key, each in values.items())
    return [part], push_id or ""


def _id(value: bytes) -> str:
    try:
        push_id = value.decode()
    except UnicodeDecodeError:
        raise PushRefused(Refusal.BAD_ID, "It is not UTF-8.") from None
    if not push_id:
        raise PushRefused(Refusal.BAD_ID, "It is empty.")
    return push_id


def _published(published: Published, request: Request) -> bytes:
    return respond_json(request, 200, published.as_json())


def _all_published(outcomes: Sequence[Published | PushRefused], request: Request) -> bytes:
    answers = [
        refused_input(each) if isinstance(each, PushRefused) else each.as_json()
        for each in outcomes
    ]
    return respond_json(request, 200, {"published": answers})


def _refused(failure: Failure, request: Request) -> bytes:
    failure.trap(InputRefused)
    return respond_refused(request, cast("InputRefused", failure.value))
