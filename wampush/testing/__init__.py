"""Tools for the tests of applications and pages.

Owns: the public names. A server in memory runs Python apps without sockets; a running server is a
process of its own on free ports. Both work with every test runner.
Must not import: ZeroMQ, or anything that installs a reactor.
"""

from wampush.client.errors import CallFailed
from wampush.testing.bus import InMemoryBus
from wampush.testing.memory_client import Call, Event, InMemoryClient, NotAnswered
from wampush.testing.memory_server import InMemoryServer
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process
from wampush.testing.running_server import RunningServer, running_server

__all__ = [
    "Call",
    "CallFailed",
    "Event",
    "InMemoryBus",
    "InMemoryClient",
    "InMemoryServer",
    "NotAnswered",
    "Process",
    "RunningServer",
    "reserved_ports",
    "running_server",
]
