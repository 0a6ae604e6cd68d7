"""The errors that requests of a client end with.

Owns: these errors. Their fault is None, because only the server knows it.
Must not import: anything of wampush but ``errors``.
"""

from __future__ import annotations

from wampush.errors import WampushError


class NotConnected(WampushError):
    """No session is open. Subscriptions are kept and sent later, other requests are not."""


class ServerRefused(WampushError):
    """The server refused the handshake, and trying again would not change that.

    :param status: the HTTP status of its response.
    :param reason: the explanation of the server, or of its response.
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


class CallFailed(WampushError):
    """The server answered a call with CALLERROR.

    :param uri: the error URI; a CURIE is resolved with the client's own prefixes.
    :param description: for people.
    :param details: any JSON value, or None.
    """

    def __init__(self, uri: str, description: str, details: object = None) -> None:
        self.uri = uri
        self.description = description
        self.details = details
        super().__init__(f"{description} ({uri})")
