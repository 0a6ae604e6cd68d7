"""Starting the process of a node.

Owns: its command, its environment, and the descriptors that it inherits.
Must not import: Twisted.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from wampush.control_channel import VARIABLE, WORKER_VARIABLE, ControlChannel
from wampush.parent.nodes.node_process import NodeProcess
from wampush.parent.nodes.output_lines import OutputLines

#: Signals that a node gets with their default effect.
_DEFAULTS: Final = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGCHLD, signal.SIGPIPE, signal.SIGQUIT),
)


@dataclass(frozen=True, slots=True)
class Command:
    """What a node is started with.

    :param arguments: the program and its arguments.
    :param environment: all variables.
    :param folder: to start it in.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str


class Launcher:
    """Starts nodes.

    :param command: of each of them.
    :param is_relayed: whether standard output is read, too, because it is the log.
    :param on_log: takes lines of standard output.
    :param on_error_lines: takes the number of a worker, and lines of its node's standard error.
    :param now: returns the time.
    """

    def __init__(
        self,
        command: Command,
        *,
        is_relayed: bool,
        on_log: Callable[[str], object],
        on_error_lines: Callable[[int, str], object],
        now: Callable[[], float],
    ) -> None:
        self._command = command
        self._is_relayed = is_relayed
        self._on_log = on_log
        self._on_error_lines = on_error_lines
        self._now = now

    def launch(self, worker: int = 1) -> NodeProcess:
        """Start a node.

        :param worker: the number of its worker.
        :raises OSError: the system cannot start it.
        """
        own, theirs = ControlChannel.pair()
        opened = [theirs.fileno()]
        outputs: list[OutputLines] = []
        actions: list[tuple[int, int, int]] = []
        for descriptor, take in self._streams(worker):
            read_end, write_end = os.pipe2(os.O_CLOEXEC)
            outputs.append(OutputLines(read_end, take))
            opened.append(write_end)
            actions.append((os.POSIX_SPAWN_DUP2, write_end, descriptor))
        try:
            pid = self._spawn(theirs.fileno(), worker, actions)
        except BaseException:
            own.close()
            for each in outputs:
                each.close()
            raise
        finally:
            for descriptor in opened[1:]:
                os.close(descriptor)
            theirs.close()
        return NodeProcess(pid, own, outputs, self._now(), worker)

    def _streams(self, worker: int) -> Sequence[tuple[int, Callable[[str], object]]]:
        error = (2, partial(self._on_error_lines, worker))
        return (error, (1, self._on_log)) if self._is_relayed else (error,)

    def _spawn(self, channel: int, worker: int, actions: Sequence[tuple[int, int, int]]) -> int:
        command = self._command
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.set_inheritable(channel, True)
        try:
            # There is no other thread that could mind; and the path is looked up anew each time,
            # because an upgrade may have made it another folder.
            os.chdir(command.folder)
            return os.posix_spawn(
                command.arguments[0],
                list(command.arguments),
                {
                    **command.environment,
                    VARIABLE: str(channel),
                    WORKER_VARIABLE: str(worker),
                },
                file_actions=actions,
                # Otherwise Ctrl-C would reach the node twice: from the terminal and from here.
                setpgroup=0,
                setsigmask=(),
                setsigdef=_DEFAULTS,
            )
        finally:
            with suppress(OSError):
                os.fchdir(before)
            os.close(before)
