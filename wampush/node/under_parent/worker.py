"""Which of several workers a node is, and what only one of them does.

Owns: the number of the worker, and its share of the sources of pushes.
Must not import: the parts of a node, which install a reactor.

A push must come in once. Backends that connect to ``tcp://`` addresses are spread over the workers
by the kernel. What cannot be divided belongs to the first worker: addresses that wampush connects
to, whose backends would give each worker a part of their pushes and no order between them;
``ipc://`` files; messages of Redis, which every subscriber gets.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from socket import gethostname
from typing import Final

from wampush.config.load import LoadedSettings
from wampush.control_channel import WORKER_VARIABLE
from wampush.parent.sockets.targets import of_pull

#: The worker that has what cannot be divided. It exists however many there are.
FIRST: Final = 1


def own_number(environment: MutableMapping[str, str]) -> int:
    """Return the number of the worker whose node this process is; 1 without a parent.

    :param environment: loses the variable, so that no child of this process has it.
    """
    name = environment.pop(WORKER_VARIABLE, "")
    return int(name) if name.isdecimal() else FIRST


def node_name(worker: int, workers: int) -> str:
    """Return what people call the node of a worker: the name of the machine, and its number.

    :param worker: its number.
    :param workers: how many there are.
    """
    return f"{gethostname()}/{worker}" if workers > 1 else gethostname()


def share_of(worker: int, loaded: LoadedSettings) -> LoadedSettings:
    """Return the settings of a worker: all of them, without the sources that another one has.

    :param worker: its number.
    :param loaded: the settings of the server.
    """
    settings = loaded.settings
    if worker == FIRST:
        return loaded
    zmq = replace(settings.zmq, pull=tuple(each for each in settings.zmq.pull if _divided(each)))
    return replace(loaded, settings=replace(settings, zmq=zmq, redis_source=()))


def _divided(address: str) -> bool:
    """Return whether each worker has a socket of its own at an address of ``zmq.pull``."""
    listening = of_pull(address)
    return listening is not None and listening.is_tcp
