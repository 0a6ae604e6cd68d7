"""A WAMP v1 client that stays connected, for the command line, tests and Python backends.

Owns: the connection, its retries, and requests that wait for answers.
Must not import: the broker, the settings, ZeroMQ.
"""

from wampush.client.client import (
    WELCOME_TIMEOUT,
    ClientState,
    EventCallback,
    WampClient,
    default_retry_policy,
)
from wampush.client.errors import CallFailed, NotConnected, ServerRefused

__all__ = [
    "WELCOME_TIMEOUT",
    "CallFailed",
    "ClientState",
    "EventCallback",
    "NotConnected",
    "ServerRefused",
    "WampClient",
    "default_retry_policy",
]
