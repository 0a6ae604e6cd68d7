"""The process that is copied: it imports what every server imports, and nothing else.

It runs as a program. Requests come over a socket, which is its only argument; the end of the socket
is its end. It has no reactor: each copy installs its own, as twistd does it.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

#: Bytes of a request at most: a command and an environment.
MOST: Final = 1 << 18
#: What a server imports anyway, without what would install a reactor.
PRELOADED: Final = (
    *("prometheus_client", "twisted.internet.epollreactor", "werkzeug"),
    *("wampush.twistd_service", "wampush.node.service"),
    *("wampush.node.under_parent.link", "wampush.node.under_parent.siblings"),
    *("wampush.node.apps", "wampush.node.backplane", "wampush.node.core", "wampush.node.webhooks"),
    *("wampush.node.monitoring.all_nodes", "wampush.node.monitoring.scrape"),
    *("wampush.edges.acknowledged_pushes", "wampush.edges.websocket.server"),
    *("wampush.edges.http.files", "wampush.edges.http.publish", "wampush.edges.http.site"),
    *("wampush.edges.storage.redis_history", "wampush.edges.storage.sqlite_journal"),
    *("wampush.edges.zeromq.peer_limit", "wampush.edges.zeromq.peers"),
)


def preload() -> None:
    """Import what a server imports before it has a reactor."""
    twistd: Any = import_module("twisted.scripts.twistd")
    # As twistd does it, this loads the plugins.
    list(twistd.ServerOptions().subCommands)
    for name in PRELOADED:
        import_module(name)
    assert "twisted.internet.reactor" not in sys.modules, "the copies would share a reactor"


def serve(control: socket.socket) -> None:
    """Answer requests; this returns in each copy, and never in the process itself."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, MOST, 1)
        if not data:
            sys.exit()
        request = json.loads(data)
        if "wait" in request:
            # It has ended, or is about to.
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            (output,) = descriptors
            answer = os.fork()
            if answer == 0:
                control.close()
                become(request, output)
                return
            os.close(output)
        control.send(json.dumps(answer).encode())


def become(request: Mapping[str, Any], output: int) -> None:
    """Take over what a process gets when it starts: command, folder, environment and output."""
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.argv[:] = request["command"]
    sys.orig_argv[:] = [sys.executable, *sys.argv]
    sys.path[0] = str(Path(sys.argv[0]).parent)


if __name__ == "__main__":
    gc.disable()
    preload()
    gc.enable()
    serve(socket.socket(fileno=int(sys.argv[1])))
    import_module("twisted.scripts.twistd").run()
