"""How twistd's process becomes the parent.

Owns: what the parent inherits: the listening sockets, the command that starts a node, the log.
Must not import: the node, the edges; Twisted only as far as twistd has loaded it anyway.

The process replaces its image (``execve``): the process id stays the same, and of Twisted nothing
is left in memory. In the foreground, that happens as soon as twistd has made the service, because
next it would import its reactor, for one line of the log, while clients cannot connect yet. A
daemon opens its ports at that moment, and the rest when twistd has done its part: it has forked,
has written the pid file, and is about to start the service.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.logger import ILogObserver
from twisted.python.components import Componentized

from wampush.config.settings import Settings
from wampush.config.tables.log import DEFAULT_LEVEL
from wampush.parent.inheritance import Inheritance
from wampush.parent.log import Destination, flush_standard_streams
from wampush.parent.sockets.listening_sockets import ListeningSockets, NotManaged
from wampush.parent.sockets.targets import HTTP, PULL, WEBSOCKET, of_address

if TYPE_CHECKING:
    from wampush.node.log.output import LogOutput
    from wampush.node.options import Options

#: twistd's name for the log of a daemon.
_DEFAULT_FILE: Final = "twistd.log"
#: Signals that wait until the parent can handle them.
_SIGNALS: Final = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD),
)
#: Options of twistd that a node gets, too, with the form of their value.
_PASSED_ON: Final[Mapping[str, str]] = {
    "uid": "{}",
    "gid": "{}",
    "umask": "{:o}",
    "prefix": "{}",
    "logger": "{}",
    "reactor": "{}",
    "rundir": "{}",
}
_PASSED_FLAGS: Final = ("euid", "syslog", "debug", "spew", "no_save")


def reason_against(options: Options) -> str:
    """Return why this process cannot become a parent; "" when it can.

    :param options: those of wampush, which have those of twistd.
    """
    twistd = twistd_options(options)
    if options["is_supervised"]:
        return "--reload restarts the whole server"
    for name in ("chroot", "profile"):
        if twistd.get(name):
            return f"twistd --{name} is for one process"
    if not hasattr(os, "memfd_create"):
        return "this system has no files in memory"
    return ""


def twistd_options(options: Options) -> Mapping[str, Any]:
    """Return the options of twistd; none in a program that makes its own service."""
    found: Mapping[str, Any] | None = getattr(options, "parent", None)
    return found or {}


class ParentService(Service):
    """A service whose start makes the process the parent, and never returns.

    :param options: those of wampush, which have those of twistd.
    :param log_output: takes the log until then; None where twistd decides that.
    """

    name = "wampush"

    def __init__(self, options: Options, log_output: LogOutput | None) -> None:
        self._options = options
        self._log_output = log_output
        self._folder = current_folder(os.environ)
        # A relative name counts from the folder in which twistd was started.
        self._destination = destination_of(twistd_options(options))
        self._passed = passed_names(_environment_at_start())
        self._sockets = ListeningSockets(self._passed)

    def setServiceParent(self, parent: Any) -> None:
        """Belong to twistd's application, or replace the image of the process at once."""
        if self._log_output is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log_output.observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        twistd = twistd_options(self._options)
        if twistd.get("nodaemon") and not twistd.get("debug"):
            set_up_as_twistd(twistd)
            self.privilegedStartService()
        else:
            # Paths are relative to a folder that twistd changes to later.
            list(_listening(self._sockets, self._options["loaded"].settings, only_ports=True))

    def privilegedStartService(self) -> None:
        """Listen, and replace the image of the process."""
        settings: Settings = self._options["loaded"].settings
        listening = list(_listening(self._sockets, settings))
        descriptor = self._inheritance(settings, listening).written()
        flush_standard_streams()
        # Until the parent has its own handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        program = Path(__file__).with_name("parent") / "__main__.py"
        os.execve(  # noqa: S606 - this Python, with the record that was just written
            sys.executable,
            [sys.executable, "-P", str(program), str(descriptor), *sys.argv],
            os.environ,
        )

    def _inheritance(
        self, settings: Settings, listening: Sequence[tuple[str, str, int, int, int]]
    ) -> Inheritance:
        twistd = twistd_options(self._options)
        destination = self._destination
        pid_file = twistd.get("pidfile") or ""
        process = settings.process
        return Inheritance(
            arguments=node_command(twistd, self._options["arguments"]),
            folder=self._folder,
            log_kind=destination.kind,
            log_name=destination.name,
            log_level=level_of(settings),
            log_format=settings.log.format,
            ready=process.ready_timeout,
            hang=process.hang_timeout,
            drain=process.drain,
            pid_file=str(Path(pid_file).absolute()) if pid_file else "",
            status_pipe=twistd.get("statusPipe", -1),
            passed=self._passed,
            workers=process.workers,
            listening=listening,
        )


def level_of(settings: Settings) -> str:
    """Return the level of the parent's own lines."""
    chosen = settings.log_levels.parent
    return settings.log.level if chosen == DEFAULT_LEVEL else chosen


def set_up_as_twistd(twistd: Mapping[str, Any]) -> None:
    """Do what twistd does before it starts a service in the foreground.

    :param twistd: its options, which ``reason_against`` has looked at.
    """
    os.chdir(twistd.get("rundir") or ".")
    if twistd.get("umask") is not None:
        os.umask(twistd["umask"])
    if twistd.get("pidfile"):
        Path(twistd["pidfile"]).write_text(str(os.getpid()), encoding="ascii")


def _listening(
    sockets: ListeningSockets, settings: Settings, *, only_ports: bool = False
) -> Iterator[tuple[str, str, int, int, int]]:
    """Open what can be opened for each worker; the nodes report what cannot.

    :param only_ports: whether to leave out what is no port, such as files.
    """
    counts: Counter[tuple[str, str]] = Counter()
    workers = settings.process.workers
    http = () if settings.http.listen == "off" else (settings.http.listen,)
    for use, addresses in (
        (WEBSOCKET, settings.websocket.listen),
        (HTTP, http),
        (PULL, settings.zmq.pull),
    ):
        for address in addresses:
            number = counts[use, address]
            counts[use, address] += 1
            listening = of_address(use, address, number)
            if only_ports and (listening is None or not listening.is_tcp):
                continue
            with contextlib.suppress(OSError, NotManaged):
                for worker, opened in sockets.of_workers(use, address, number, workers):
                    yield use, address, number, worker, opened.fileno()


def node_command(twistd: Mapping[str, Any], arguments: Sequence[str]) -> Sequence[str]:
    """Return the command that starts a node: the one of this process with other options of twistd.

    :param twistd: the options of twistd.
    :param arguments: of wampush.
    """
    count = len(sys.argv) - 1
    program = [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - count]]
    passed = [
        f"--{name}={form.format(twistd[name])}"
        for name, form in _PASSED_ON.items()
        if twistd.get(name) not in (None, "")
    ]
    flags = [f"--{name}" for name in _PASSED_FLAGS if twistd.get(name)]
    return [*program, "--nodaemon", "--pidfile=", *passed, *flags, "wampush", *arguments]


def destination_of(twistd: Mapping[str, Any]) -> Destination:
    """Return where the log goes by the options of twistd."""
    if twistd.get("logger"):
        return Destination("stderr")
    if twistd.get("syslog"):
        return Destination("syslog", twistd.get("prefix") or "")
    name = twistd.get("logfile")
    in_foreground = twistd.get("nodaemon") or twistd.get("debug")
    if name == "-" or (in_foreground and not name):
        return Destination("stdout")
    return Destination("file", str(Path(name or _DEFAULT_FILE).absolute()))


def current_folder(environment: Mapping[str, str]) -> str:
    """Return the current folder, with the links by which the shell has got there.

    A release may be put in use by changing such a link.
    """
    shell = environment.get("PWD", "")
    with contextlib.suppress(OSError):
        if shell and Path(shell).samefile("."):
            return shell
    return str(Path.cwd())


def passed_names(environment: Mapping[str, str]) -> Sequence[str]:
    """Return the names of the sockets that a service manager has passed (sd_listen_fds(3)).

    :param environment: with which the process was started; Twisted removes the variables.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return ()
    count = environment.get("LISTEN_FDS", "")
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    return [
        names[index] if index < len(names) else ""
        for index in range(int(count) if count.isdecimal() else 0)
    ]


def _environment_at_start() -> Mapping[str, str]:
    try:
        data = Path("/proc/self/environ").read_bytes()
    except OSError:
        return os.environ
    parts = (os.fsdecode(each).partition("=") for each in data.split(b"\0") if each)
    return {name: value for name, _, value in parts}
