"""Application code: the API that it is written against, and how it is loaded and run.

Owns: the names that Python apps import, the loader, apps, plain WebSocket components, webhooks.
Must not import: the edges, the client, ``node``, ``cli``; in this file nothing that imports
Twisted, because ``wampush check`` finds apps without it.
"""

from wampush.apps.python.app import App
from wampush.apps.python.context import ConnectContext, Context, ServerContext
from wampush.apps.python.presence import Presence
from wampush.apps.python.session import Session
from wampush.apps.python.values import ActionError, CraSecret, Refuse, Rewrite, WampError
from wampush.broker.identity import Identity
from wampush.broker.publication import Targets
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.wamp.cra import Salting

__all__ = [
    "ActionError",
    "App",
    "ConnectContext",
    "ConnectRequest",
    "Context",
    "CraSecret",
    "Identity",
    "Presence",
    "Refuse",
    "Rewrite",
    "Salting",
    "ServerContext",
    "Session",
    "Targets",
    "WampError",
]
