"""URIs and CURIEs, the two dialects, and wampush's own URIs.

Owns: how a CURIE becomes a URI and back, what else differs between the dialects, the URIs of
errors, and the names of wampush's own topics and procedures.
Must not import: anything of wampush.

``wamp1`` follows the WAMP v1 specification. ``ratchet`` does what Ratchet 0.4.4 does instead, for
applications that rely on it (``Ratchet\\Wamp\\WampConnection::getUri`` and
``ServerProtocol::onMessage``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    """A variant of WAMP v1.

    :param name: the value of ``websocket.dialect``.
    :param joint: the text between a prefix's URI and the rest of a CURIE.
    :param keeps_http_urls: whether a string that contains http:// or https:// is never a CURIE.
    :param excludes_publisher: whether the publisher is left out unless it says otherwise.
    :param empty_eligible_means_all: whether ``eligible: []`` means everybody instead of nobody.
    :param unpacks_single_list: whether a list that is the only argument of a CALL becomes its
        arguments.
    """

    name: str
    joint: str
    keeps_http_urls: bool
    excludes_publisher: bool
    empty_eligible_means_all: bool
    unpacks_single_list: bool

    def resolve(self, text: str, prefixes: Mapping[str, str]) -> str:
        """Return the URI for a URI or CURIE.

        :param text: what the client sent.
        :param prefixes: the prefixes that the session has defined.
        :returns: the prefix's URI and the rest, when the part before the first ``:`` is a known
            prefix; otherwise the text unchanged.
        """
        split = text.find(":")
        if split < 1:
            return text
        if self.keeps_http_urls and ("http://" in text or "https://" in text):
            return text
        uri = prefixes.get(text[:split])
        return text if uri is None else f"{uri}{self.joint}{text[split + 1 :]}"

    def shrink(self, uri: str, prefixes: Mapping[str, str]) -> str:
        """Return the CURIE for a URI by the longest matching prefix; the URI when none matches."""
        best = ""
        curie = uri
        for prefix, start in prefixes.items():
            stem = start + self.joint
            # In a CURIE, the prefix ends at the first colon.
            usable = prefix and ":" not in prefix
            if usable and len(stem) > len(best) and uri.startswith(stem):
                best = stem
                curie = f"{prefix}:{uri[len(stem) :]}"
        return curie


WAMP1: Final = Dialect(
    name="wamp1",
    joint="",
    keeps_http_urls=False,
    excludes_publisher=True,
    empty_eligible_means_all=False,
    unpacks_single_list=False,
)
RATCHET: Final = Dialect(
    name="ratchet",
    joint="#",
    keeps_http_urls=True,
    excludes_publisher=False,
    empty_eligible_means_all=True,
    unpacks_single_list=True,
)
DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (WAMP1, RATCHET)}

ERROR_FORBIDDEN: Final = "http://api.wamp.ws/error#forbidden"
#: Application code raised an error without a URI of its own.
ERROR_GENERIC: Final = "http://api.wamp.ws/error#generic"
ERROR_INTERNAL: Final = "http://api.wamp.ws/error#internal"
ERROR_NO_SUCH_PROCEDURE: Final = "http://api.wamp.ws/error#NoSuchRPCEndpoint"
#: Application code took longer than its limit; the call may have taken effect.
ERROR_TIMEOUT: Final = "http://api.wamp.ws/error#timeout"
#: The application that owns the procedure did not answer; the call may have taken effect.
ERROR_UNAVAILABLE: Final = "http://api.wamp.ws/error#unavailable"

PROCEDURE_REFRESH: Final = "wampush.refresh"
#: The number of users who have a session, and the number of sessions.
TOPIC_NUM_ONLINE: Final = "wampush.presence.num_online"
TOPIC_NUM_CLIENTS: Final = "wampush.presence.num_clients"
#: Followed by the name of a topic: the joins and leaves of that topic.
PRESENCE_CHANGES: Final = "wampush.presence.changes."
PROCEDURE_PRESENCE_LIST: Final = "wampush.presence.list"
PROCEDURE_PRESENCE_COUNTS: Final = "wampush.presence.counts"
#: What topics keep: their values, their events, a subscription that continues, and positions.
PROCEDURE_LAST: Final = "wampush.last"
PROCEDURE_HISTORY: Final = "wampush.history"
PROCEDURE_SUBSCRIBE: Final = "wampush.subscribe"
PROCEDURE_POSITIONS: Final = "wampush.positions"
PROCEDURE_SESSION: Final = "wampush.session"
PROCEDURE_TIME: Final = "wampush.time"
