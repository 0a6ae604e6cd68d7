"""The end of a node whose parent has ended.

Owns: that such a node does not stay, even if its reactor does not turn any more.
Must not import: the parts of a node, which install a reactor.

A node whose reactor turns ends in order, as after SIGTERM. One that hangs would keep the listening
sockets, and the next server could not open them.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time


def end_without_parent(descriptor: int, seconds: float) -> None:
    """Kill this process when its parent has ended, unless it has ended by itself.

    :param descriptor: of the control channel.
    :param seconds: that it has to end by itself.
    """
    channel = os.dup(descriptor)
    threading.Thread(target=_wait, args=(channel, seconds), name="parent", daemon=True).start()


def _wait(channel: int, seconds: float) -> None:
    poll = select.poll()
    # That the other end is closed is always reported.
    poll.register(channel, 0)
    poll.poll()
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
