"""Makes ``twistd wampush`` known to Twisted.

Owns: the one ServiceMaker. Must not import: wampush; twistd does when the service is asked for.
"""

from twisted.application.service import ServiceMaker

wampush = ServiceMaker(
    "wampush",
    "wampush.node.service",
    "A push server: WAMP v1 over WebSocket for pages, ZeroMQ for backends.",
    "wampush",
)
