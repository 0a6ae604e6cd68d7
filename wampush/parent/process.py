"""The parent process, put together.

Owns: what reads from which descriptor, signals, the pid file, and the end of the process.
Must not import: Twisted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from wampush.parent.command_socket import Answer, CommandSocket
from wampush.parent.event_loop import EventLoop
from wampush.parent.inheritance import Inheritance
from wampush.parent.log import Destination, standard_log, write_in_time
from wampush.parent.nodes.launcher import Command, Launcher
from wampush.parent.nodes.limits import Limits
from wampush.parent.nodes.node_process import NodeProcess
from wampush.parent.nodes.output_lines import OutputLines
from wampush.parent.sockets.listening_sockets import ListeningSockets
from wampush.parent.workers import Workers
from wampush.systemd.notifications import Notifier
from wampush.systemd.service_manager import watchdog_interval

_SIGNALS: Final = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD),
)
#: What a service manager says about its watchdog, which the parent feeds for the node.
_WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
#: Seconds that the watchdog should have at least: three signs of life of a node are due in them.
_LEAST_WATCHDOG: Final = 3.0
#: Bytes that twistd reads from the pipe on which it waits for the start.
_STATUS_BYTES: Final = 100


class ParentProcess:
    """Runs nodes until it is asked to end.

    :param inheritance: what twistd's process has left.
    """

    def __init__(self, inheritance: Inheritance) -> None:
        self._inheritance = inheritance
        destination = Destination(inheritance.log_kind, inheritance.log_name)
        self._output, self._log = standard_log(
            destination, inheritance.log_level, inheritance.log_format
        )
        self._destination = destination
        self._status_pipe = inheritance.status_pipe
        self._status = 0
        self._loop = EventLoop(_SIGNALS, self._on_signal)
        environment = dict(os.environ)
        self._notifier = Notifier.of(environment, self._on_systemd_problem)
        self._check_watchdog(environment)
        for name in _WATCHDOG:
            environment.pop(name, None)
        sockets = ListeningSockets(inheritance.passed)
        sockets.keep_from_children()
        for use, address, number, worker, descriptor in inheritance.listening:
            sockets.adopt(use, address, number, worker, socket.socket(fileno=descriptor))
        launcher = Launcher(
            Command(inheritance.arguments, environment, inheritance.folder),
            is_relayed=destination.is_relayed,
            on_log=lambda text: self._output.write(text, "info"),
            on_error_lines=self._on_error_lines,
            now=monotonic,
        )
        self._launcher = launcher
        self._workers = Workers(
            inheritance.workers,
            launch=self._launch,
            sockets=sockets,
            limits=Limits(inheritance.ready, inheritance.hang, inheritance.drain),
            log=self._log,
            now=monotonic,
            surroundings=self,
        )
        self._commands = self._command_socket()

    def run(self) -> int:
        """Run until the end.

        :returns: the status for the process to end with; negative for a signal.
        """
        self._workers.start()
        self._loop.run(self._workers.next_time, self._workers.on_time)
        if self._commands is not None:
            self._commands.close()
        self._loop.close()
        return self._status

    # What watches the parent.

    def _on_systemd_problem(self, problem: str) -> None:
        self._log.warn("systemd: {problem}", problem=problem)

    def _check_watchdog(self, environment: Mapping[str, str]) -> None:
        """Report a watchdog that would end a server that works."""
        seconds = watchdog_interval(environment, os.getpid(), self._on_systemd_problem)
        if self._notifier.is_connected and seconds is not None and seconds < _LEAST_WATCHDOG:
            self._on_systemd_problem(
                f"WatchdogSec={seconds:g} would end a server that works, which gives a sign of "
                f"life each second; use {_LEAST_WATCHDOG:g} or more"
            )

    def on_serving(self, status: str) -> None:
        """Let twistd's first process end, and report that the service has started."""
        self._report_start("0")
        self._notifier.ready(status)

    def on_sign_of_life(self) -> None:
        """Feed the watchdog, so that it watches the event loop of the node."""
        self._notifier.feed_watchdog()

    def on_reloading(self) -> None:
        """Report a reload."""
        self._notifier.reloading()

    def on_reloaded(self) -> None:
        """Report the end of a reload."""
        self._notifier.ready()

    def on_stopping(self) -> None:
        """Report the end."""
        self._notifier.stopping("stopping")

    def on_over(self, status: int) -> None:
        """End the process, and remove its pid file."""
        self._status = status
        self._report_start("1 the server has not started")
        if self._inheritance.pid_file:
            try:
                Path(self._inheritance.pid_file).unlink()
            except OSError as error:
                self._log.warn("cannot remove the pid file: {error}", error=str(error))
        self._loop.stop()

    def _report_start(self, text: str) -> None:
        """Write to the pipe on which twistd's first process waits."""
        pipe, self._status_pipe = self._status_pipe, -1
        if pipe >= 0:
            with contextlib.suppress(OSError):
                os.write(pipe, text.encode("ascii", "backslashreplace")[:_STATUS_BYTES])
            os.close(pipe)

    # What happens.

    def _launch(self, worker: int) -> NodeProcess:
        node = self._launcher.launch(worker)
        self._loop.watch(node.channel.fileno(), lambda: self._on_channel(node))
        for each in node.outputs:
            self._watch_output(each)
        return node

    def _watch_output(self, output: OutputLines) -> None:
        descriptor = output.descriptor

        def read() -> None:
            if not output.read():
                self._loop.unwatch(descriptor)
                output.close()

        self._loop.watch(descriptor, read)

    def _on_channel(self, node: NodeProcess) -> None:
        try:
            while (message := node.channel.receive()) is not None:
                self._workers.on_message(node, message)
                message.close_descriptors()
        except ConnectionError:
            # The process is ending; if it is not, it gives no signs of life any more.
            self._loop.unwatch(node.channel.fileno())

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._workers.stop(number)
        elif number == signal.SIGHUP:
            self._workers.reload()
        elif number == signal.SIGUSR2:
            self._workers.upgrade()
        elif number == signal.SIGUSR1:
            self._output.rotate()

    def _reap(self) -> None:
        for node in self._workers.nodes:
            process, status = os.waitpid(node.pid, os.WNOHANG)
            if process:
                self._on_channel_of_ended(node)
                for each in node.outputs:
                    each.read_rest()
                    if each.descriptor >= 0:
                        self._loop.unwatch(each.descriptor)
                self._workers.on_ended(node, os.waitstatus_to_exitcode(status))

    def _on_channel_of_ended(self, node: NodeProcess) -> None:
        """Take the last messages of a node."""
        descriptor = node.channel.fileno()
        if self._loop.watches(descriptor):
            self._on_channel(node)
        if self._loop.watches(descriptor):
            self._loop.unwatch(descriptor)

    def _on_error_lines(self, worker: int, text: str) -> None:
        """Write what a node has written to standard error where it is seen."""
        if self._destination.kind in ("file", "syslog"):
            log = self._log.about(lambda: worker if self._workers.are_several else 0)
            for line in text.splitlines():
                log.log("error", line, {}, "stderr")
        else:
            with contextlib.suppress(OSError):
                write_in_time(2, text)

    # Commands.

    def _command_socket(self) -> CommandSocket | None:
        try:
            commands = CommandSocket(self._on_command)
        except OSError as error:
            # In another container with the same network, a process may have the same id.
            self._log.warn(
                "wampush upgrade and wampush reload cannot reach this process, send SIGUSR2 and "
                "SIGHUP to process {process} instead: {error}",
                process=os.getpid(),
                error=error.strerror,
            )
            return None
        self._loop.watch(commands.fileno(), partial(self._on_connection, commands))
        return commands

    def _on_connection(self, commands: CommandSocket) -> None:
        connection = commands.accept()
        if connection is not None:
            descriptor = connection.fileno()

            def read() -> None:
                self._loop.unwatch(descriptor)
                commands.read(connection)

            self._loop.watch(descriptor, read)

    def _on_command(self, command: str, answer: Answer) -> None:
        if command == "upgrade":
            self._workers.upgrade(answer)
        elif command == "reload":
            self._workers.reload(answer)
        else:
            answer(False, f"unknown command {command!r}")


def main(arguments: list[str]) -> int:
    """Run the parent.

    :param arguments: the first is the descriptor of the inheritance; others are for readers of
        ``ps``.
    :returns: the exit status, if the process does not end by a signal.
    """
    status = ParentProcess(Inheritance.read(int(arguments[0]))).run()
    if status < 0:
        # As twistd does, so that whoever watches the process sees why it has ended.
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status
