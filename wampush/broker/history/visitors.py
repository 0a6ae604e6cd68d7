"""Browsers without a user that come back.

Owns: the cookie by which sessions of the same browser are known, its signature, and which sessions
are open. Must not import: Twisted, the edges.

The cookie holds a random name and nothing else. It is no identity: no permission and no audience
depends on it, and applications do not get it. It only says which session may have gone on as which.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from wampush.broker.history.kept_positions import KeptPositions
from wampush.broker.subscriber import Subscriber

COOKIE: Final = "wampush_gap"
#: Bytes of a random name and of its signature.
_NAME_BYTES: Final = 16
#: Open sessions of one browser that count. A browser that has more is none.
MOST_SESSIONS: Final = 100
_NOBODY: Final[frozenset[Subscriber]] = frozenset()


class Arrival(NamedTuple):
    """A browser without a user that opens a connection.

    :ivar name: of the browser.
    :ivar cookie: the value of Set-Cookie for it; "" if it has the cookie already.
    """

    name: str
    cookie: str


class Visitors:
    """Knows browsers without a user by a cookie.

    Only cookies of this process count: what others have received is not known here.

    :param kept: positions of their sessions that have ended.
    """

    def __init__(self, kept: KeptPositions) -> None:
        self.kept: Final = kept
        self._key = secrets.token_bytes(32)
        self._open: dict[str, set[Subscriber]] = {}

    def arrive(self, cookies: Mapping[str, str], *, is_secure: bool) -> Arrival:
        """Return the name of a browser, a new one if it does not have one.

        :param cookies: of its request.
        :param is_secure: whether the browser uses TLS.
        """
        name, _, signature = cookies.get(COOKIE, "").partition(".")
        if hmac.compare_digest(signature.encode(), self._sign(name).encode()):
            return Arrival(name, "")
        name = secrets.token_urlsafe(_NAME_BYTES)
        # Without Expires or Max-Age: it is gone when the browser is closed.
        attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_secure else "")
        return Arrival(name, f"{COOKIE}={name}.{self._sign(name)}{attributes}")

    def sessions(self, name: str) -> AbstractSet[Subscriber]:
        """Return the live set of the open sessions of a browser that were added."""
        return self._open.get(name, _NOBODY)

    def add(self, name: str, subscriber: Subscriber) -> bool:
        """Add an open session of a browser; return False if it has too many."""
        sessions = self._open.setdefault(name, set())
        if len(sessions) >= MOST_SESSIONS:
            return False
        sessions.add(subscriber)
        return True

    def discard(self, name: str, subscriber: Subscriber) -> None:
        """Remove a session; does nothing if it was not added."""
        sessions = self._open.get(name)
        if sessions is not None:
            sessions.discard(subscriber)
            if not sessions:
                del self._open[name]

    def _sign(self, name: str) -> str:
        digest = hashlib.blake2b(name.encode(), key=self._key, digest_size=_NAME_BYTES).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
