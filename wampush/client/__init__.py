"""A WAMP v1 client that stays connected, for the command line, tests and Python backends."""

from wampush.client.client import (
    CallFailed,
    ClientState,
    EventCallback,
    NotConnected,
    ServerRefused,
    WampClient,
    default_retry_policy,
)

__all__ = [
    "CallFailed",
    "ClientState",
    "EventCallback",
    "NotConnected",
    "ServerRefused",
    "WampClient",
    "default_retry_policy",
]
