"""The plugin that registers ``twistd wampush`` with Twisted.

Owns: the one ServiceMaker. Must not import: wampush, which twistd imports when the service is
started.
"""

from twisted.application.service import ServiceMaker

wampush = ServiceMaker(
    "wampush",
    "wampush.node.service",
    "A push server: WAMP v1 over WebSocket for pages, ZeroMQ for backends.",
    "wampush",
)
