"""What others get to see of a connection that opens.

Owns: how a ConnectRequest is made of a handshake and the connection that it came by.
Must not import: Autobahn, the composition root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import ISSLTransport

from wampush.broker.requests.connect import ConnectRequest

if TYPE_CHECKING:
    from wampush.edges.websocket.connection import Connection
    from wampush.edges.websocket.http_upgrade import Handshake


def request_of(connection: Connection, request: Handshake) -> ConnectRequest:
    """The handshake of a connection, with what its proxies tell believed if they are trusted."""
    secure = ISSLTransport.providedBy(connection.transport)
    scheme = connection.factory.admission.scheme(connection.peer, request.headers, secure)
    return ConnectRequest(request.target, request.headers, connection.address, scheme)
