"""Browsers without a user that come back.

Owns: the cookie by which sessions of the same browser are known, its signature, and which sessions
are open. Must not import: Twisted, the edges.

The cookie holds a random name and nothing else. It is no identity: no permission and no audience
depends on it, and applications do not get it. It only says which session may have gone on as which.

Tabs that a browser opens at once all ask before it has the cookie. They get the same name, or each
but the last would have one that never comes back.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from wampush.broker.history.kept_positions import KeptPositions
from wampush.broker.subscriber import Subscriber

COOKIE: Final = "wampush_gap"
#: Bytes of a random name and of its signature.
_NAME_BYTES: Final = 16
#: Open sessions of one browser that count. A browser that has more is none.
MOST_SESSIONS: Final = 100
#: Seconds after which a browser has the cookie that it was sent.
TOGETHER_SECONDS: Final = 10.0
#: Connections without the cookie that get the same name. More are those of several browsers.
MOST_TOGETHER: Final = 30
#: Names that may be given to one more connection.
_MOST_RECENT: Final = 1000
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

    Only cookies of this process count, and of the one that it has taken over: what others have
    received is not known here.

    :param kept: positions of their sessions that have ended.
    :param now: the time in seconds of a clock that never goes back.
    """

    def __init__(self, kept: KeptPositions, now: Callable[[], float]) -> None:
        self.kept: Final = kept
        self._now = now
        # Names that were given not long ago: when, and how often. The oldest comes first.
        self._recent: OrderedDict[bytes, tuple[str, float, int]] = OrderedDict()
        self._key = secrets.token_bytes(32)
        self._open: dict[str, set[Subscriber]] = {}

    @property
    def key(self) -> str:
        """The key of the signatures, in hexadecimal digits."""
        return self._key.hex()

    def take_key(self, key: str) -> None:
        """Sign with the key of another process, whose cookies count from now on.

        :param key: see :attr:`key`.
        """
        self._key = bytes.fromhex(key)

    def arrive(self, cookies: Mapping[str, str], looks: str, *, is_secure: bool) -> Arrival:
        """Return the name of a browser, a new one if it does not have one.

        :param cookies: of its request.
        :param looks: what is the same for all requests of a browser.
        :param is_secure: whether the browser uses TLS.
        """
        name, _, signature = cookies.get(COOKIE, "").partition(".")
        if hmac.compare_digest(signature.encode(), self._sign(name).encode()):
            return Arrival(name, "")
        name = self._new_name(looks)
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

    def _new_name(self, looks: str) -> str:
        now = self._now()
        key = hashlib.blake2b(looks.encode(), key=self._key, digest_size=_NAME_BYTES).digest()
        name, given, count = self._recent.pop(key, ("", now, 0))
        if not name or now - given > TOGETHER_SECONDS or count == MOST_TOGETHER:
            name, given, count = secrets.token_urlsafe(_NAME_BYTES), now, 0
        self._recent[key] = (name, given, count + 1)
        if len(self._recent) > _MOST_RECENT:
            self._recent.popitem(last=False)
        return name

    def _sign(self, name: str) -> str:
        digest = hashlib.blake2b(name.encode(), key=self._key, digest_size=_NAME_BYTES).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
