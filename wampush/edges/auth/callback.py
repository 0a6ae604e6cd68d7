"""Identities from the web application, which is asked over HTTP.

Owns: the request and which responses are valid, the cache of identities.
Must not import: Autobahn, the composition root.

The login of a web application works without any code here: the request contains the cookies of the
handshake, also as its own Cookie header, and the application handles it like any other request of
that browser. Nothing of a request or a response gets into a log line or an error.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.config.tables.identity import CallbackSettings
from wampush.edges.auth import claims
from wampush.edges.auth.claims import InvalidClaim
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.net.addresses import counting_key
from wampush.net.bounded_client import BoundedClient, OutgoingRequest
from wampush.net.coalescing import Coalescer
from wampush.net.http_post import HttpResponse, UnusableResponse, cookie_header, not_json
from wampush.net.outgoing_request_log import RequestLog
from wampush.net.request_queues import RequestQueues

_log = Logger(namespace="wampush.auth")

_KEYS: Final = frozenset(("user", "groups", "language", "data", "session", "expires"))
_KIND: Final = ""

Post = Callable[[bytes, bytes], Deferred[HttpResponse]]
"""Sends a body and a Cookie header; cancelling drops the connection."""


@dataclass(frozen=True, slots=True)
class _CallbackRequest:
    """One request as it is sent.

    :param body: JSON text; empty when the handshake contains nothing to judge.
    :param cookie: the Cookie header; empty for none.
    """

    body: bytes = field(repr=False)
    cookie: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What the web application says about a handshake.

    :param identity: None when it does not recognise the client.
    :param is_forbidden: whether the client may not connect.
    """

    identity: Identity | None = None
    is_forbidden: bool = False


class Callback:
    """Asks the web application for identities, once for equal handshakes.

    :param settings: the ``[callback]`` table.
    :param post: sends a request.
    :param call_later: ``IReactorTime.callLater``.
    :param now: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        settings: CallbackSettings,
        post: Post,
        call_later: Callable[..., Any],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._client: BoundedClient[_CallbackRequest] = BoundedClient(
            send=lambda request: post(request.body, request.cookie),
            queues=RequestQueues((_KIND,), settings.at_once, settings.waiting),
            call_later=call_later,
            now=now,
            log=RequestLog(_log, "callback", settings.url, now),
        )
        self._under_way: Coalescer[bytes, Identity | None] = Coalescer()
        self._cache = _IdentityCache(settings.cache_seconds, settings.cache_entries, now)

    def identify(self, handshake: ConnectRequest) -> Deferred[Identity | None]:
        """Ask for the identity of a client.

        :returns: fires with None when the web application does not recognise the client (401).
            Fails with AuthenticationRefused when the client may not connect (403), or without a
            usable response.
        """
        request = self._request(handshake)
        if not request.body:
            return succeed(None)
        key = hashlib.sha256(request.body).digest()
        cached = self._cache.get(key)
        if cached is not None:
            return succeed(cached)
        waiter, is_first = self._under_way.join(key)
        if is_first:
            self._client.request(
                OutgoingRequest(
                    request=request,
                    kind=_KIND,
                    label="",
                    read=_judgement,
                    done=partial(self._on_judgement, key),
                    timeout=self._settings.timeout,
                    # Turns by address: one address cannot keep others from connecting.
                    owner=counting_key(handshake.address) or handshake.address,
                    is_wanted=partial(self._under_way.is_wanted, key),
                )
            )
        return waiter

    def close(self) -> None:
        """Cancel all requests."""
        self._client.close()

    def _request(self, handshake: ConnectRequest) -> _CallbackRequest:
        names = self._settings.cookies
        cookies = {
            name: value for name, value in handshake.cookies.items() if not names or name in names
        }
        passed_on = [name.lower() for name in self._settings.headers]
        headers = {name: handshake.headers[name] for name in passed_on if name in handshake.headers}
        if not (cookies or headers or handshake.query):
            return _CallbackRequest(b"", b"")
        body = {
            "cookies": cookies,
            "headers": headers,
            "origin": handshake.headers.get("origin"),
            "query": handshake.query,
            "scheme": handshake.scheme,
        }
        return _CallbackRequest(json.dumps(body).encode(), cookie_header(cookies))

    def _on_judgement(self, key: bytes, judgement: _Judgement | None) -> None:
        if judgement is None:
            # Without a usable response the client must not connect, whatever went wrong.
            self._under_way.resolve(key, partial(_refuse, CloseReason.AUTHENTICATION_UNAVAILABLE))
        elif judgement.is_forbidden:
            self._under_way.resolve(key, partial(_refuse, CloseReason.AUTHENTICATION_FORBIDDEN))
        else:
            identity = judgement.identity
            if identity is not None:
                self._cache.put(key, identity)
            self._under_way.resolve(key, lambda waiter: waiter.callback(identity))


class _IdentityCache:
    """Identities that need not be asked for again.

    :param seconds: for how long each is kept; 0 keeps none.
    :param capacity: how many are kept.
    :param now: seconds of a clock that never goes back.
    """

    def __init__(self, seconds: float, capacity: int, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._now = now
        self._entries: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Identity | None:
        """Return an identity that has not lapsed, or None."""
        until, identity = self._entries.get(key, (-inf, None))
        return identity if self._now() < until else None

    def put(self, key: bytes, identity: Identity) -> None:
        """Keep an identity, and drop those that have lapsed or exceed the capacity."""
        if not self._seconds:
            return
        now = self._now()
        self._entries.pop(key, None)
        # All are kept for the same time, so the oldest lapse first.
        while self._entries:
            oldest = next(iter(self._entries))
            if len(self._entries) < self._capacity and self._entries[oldest][0] > now:
                break
            del self._entries[oldest]
        self._entries[key] = (now + self._seconds, identity)


def _refuse(reason: CloseReason, waiter: Deferred[Identity | None]) -> None:
    waiter.errback(AuthenticationRefused(reason))


def _judgement(response: HttpResponse) -> _Judgement:
    """Read a response.

    :raises UnusableResponse: when it is not one of the agreed responses.
    """
    if response.status == 401:
        return _Judgement()
    if response.status == 403:
        return _Judgement(is_forbidden=True)
    if response.status != 200:
        raise UnusableResponse(
            f"unexpected status {response.status}; expected 200, 401 or 403", response.status
        )
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        raise UnusableResponse(not_json(response.body)) from None
    if not isinstance(document, dict):
        raise UnusableResponse("the response is not a JSON object")
    if document.keys() - _KEYS:
        known = ", ".join(sorted(_KEYS))
        raise UnusableResponse(f"the response has an unknown key; known are {known}")
    try:
        return _Judgement(
            Identity(
                user=claims.user_id(document.get("user"), "user"),
                groups=claims.groups(document.get("groups")),
                web_session=claims.user_id(document.get("session"), "session"),
                language=claims.language(document.get("language"), "language"),
                data=claims.attributes(document.get("data")),
                expires=claims.expiry(document.get("expires"), "expires"),
                source="callback",
            )
        )
    except InvalidClaim as error:
        raise UnusableResponse(str(error).rstrip(".")) from None
