"""How the system's limit on open descriptors bounds the connections of a node.

Owns: applying the limit to the settings, and what the log says about it.
Must not import: the parts of a node, which install a reactor.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import Logger

from wampush.config.settings import Settings
from wampush.net import descriptor_limit

_log = Logger(namespace="wampush.node")


def fit_descriptors(settings: Settings) -> Settings:
    """Raise the limit of open files, and return settings whose connections fit into it."""
    before, allowed = descriptor_limit.raise_descriptor_limit()
    descriptor_limit.make_room(allowed)
    websocket, http, zmq = settings.websocket, settings.http, settings.zmq
    wanted = descriptor_limit.Shares(
        clients=websocket.max_connections,
        http=http.max_connections if http.listen != "off" else 0,
        backends=zmq.max_connections if zmq.pull else 0,
    )
    shares = descriptor_limit.share_out(allowed, wanted)
    _log.info(
        "open descriptors: the limit is {allowed}, it was {before}; at most {clients} clients, "
        "{http} HTTP connections and {backends} backends over ZeroMQ",
        allowed=allowed,
        before=before,
        clients=shares.clients,
        http=shares.http,
        backends=shares.backends,
    )
    needed = descriptor_limit.needed_for_ipc(zmq.pull, int(zmq.ipc_mode, 8))
    if allowed < needed:
        _log.warn(
            "open descriptors: {allowed} are too few for an ipc:// address; a local program that "
            "opens hundreds of connections at once can end wampush; raise the limit to {needed}",
            allowed=allowed,
            needed=needed,
        )
    return replace(
        settings,
        websocket=replace(websocket, max_connections=shares.clients),
        http=replace(http, max_connections=shares.http),
        zmq=replace(zmq, max_connections=shares.backends),
    )
