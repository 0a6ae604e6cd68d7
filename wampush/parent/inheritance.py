"""What twistd's process leaves to the parent that it becomes.

Owns: the record, and its way through ``execve``. Must not import: Twisted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

_NAME: Final = "wampush-parent"
_READ_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """What the parent has to know.

    :param arguments: of the command that starts a node.
    :param folder: to start a node in.
    :param log_kind: see :class:`wampush.parent.log.Destination`.
    :param log_name: the same.
    :param log_level: of ``[log]``.
    :param log_format: of ``[log]``.
    :param ready: seconds; see :class:`wampush.parent.supervision.Limits`.
    :param hang: the same.
    :param drain: the same.
    :param pid_file: the absolute path; "" for none.
    :param status_pipe: the descriptor on which twistd's first process waits for the start; -1 for
        none.
    :param passed: the names of the sockets that the service manager has passed.
    :param workers: how many workers there are to be.
    :param listening: the sockets that are open: use, address, number, worker and descriptor of
        each.
    """

    arguments: Sequence[str]
    folder: str
    log_kind: str
    log_name: str = ""
    log_level: str = "info"
    log_format: str = "text"
    ready: float
    hang: float
    drain: float
    pid_file: str = ""
    status_pipe: int = -1
    passed: Sequence[str] = ()
    workers: int = 1
    listening: Sequence[tuple[str, str, int, int, int]] = ()

    def written(self) -> int:
        """Write the record to a file in memory; return its descriptor, which is inherited."""
        descriptor = os.memfd_create(_NAME, 0)
        os.write(descriptor, json.dumps(asdict(self)).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        for *_, each in self.listening:
            os.set_inheritable(each, True)
        if self.status_pipe >= 0:
            os.set_inheritable(self.status_pipe, True)
        return descriptor

    @classmethod
    def read(cls, descriptor: int) -> Inheritance:
        """Read the record, and close its file."""
        fields = json.loads(os.read(descriptor, _READ_BYTES))
        os.close(descriptor)
        fields["listening"] = [tuple(each) for each in fields["listening"]]
        inheritance = cls(**fields)
        for *_, each in inheritance.listening:
            os.set_inheritable(each, False)
        if inheritance.status_pipe >= 0:
            os.set_inheritable(inheritance.status_pipe, False)
        return inheritance
