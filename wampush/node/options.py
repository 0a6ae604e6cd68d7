"""The options of ``twistd wampush``.

Owns: the command line of the daemon, and the account that twistd changes to.
Must not import: the parts of a node, which install a reactor.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from twisted.python import usage

from wampush import __version__
from wampush.config.load import load
from wampush.config.sources import file_named_by
from wampush.errors import OperatorError


class Options(usage.Options):
    """The options of ``twistd wampush``; ``loaded`` holds the settings after parsing.

    ``load_again`` reads the same sources once more. With ``--reload``, unless this process is the
    supervised one, there is ``supervise`` instead, which runs the server in a child.
    """

    synopsis = "[options]"
    longdesc = (
        "Serve WAMP v1 at ws://127.0.0.1:8080, pull pushes from tcp://127.0.0.1:5555, and serve "
        "health checks and a demo page at http://127.0.0.1:8081. Options override WAMPUSH_… "
        "environment variables, which override the file, which overrides the defaults. "
        "Example: twistd -n wampush --listen tcp:8080 --pull ipc:///run/wampush.sock --http off"
    )
    optParameters = [
        [
            "config",
            "c",
            None,
            "TOML file with settings; wampush check prints all of them with their values.",
        ],
        [
            "http",
            None,
            None,
            'Twisted endpoint for health checks, publishing, demo and static files, or "off".',
        ],
    ]

    optFlags = [
        [
            "reload",
            None,
            "For development: restart when a module of an app or the settings file changes.",
        ]
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []
        self["pull"] = []
        self["set"] = []

    def opt_listen(self, endpoint: str) -> None:
        """Twisted endpoint for WebSocket clients, e.g. tcp:8080:interface=127.0.0.1; repeatable."""
        self["listen"].append(endpoint)

    def opt_pull(self, address: str) -> None:
        """ZeroMQ address to pull from, e.g. tcp://127.0.0.1:5555, ipc:///run/wampush.sock or
        connect:tcp://10.0.0.5:5555; repeatable."""
        self["pull"].append(address)

    def opt_set(self, assignment: str) -> None:
        """Any setting, e.g. websocket.ping_interval=20; repeatable."""
        self["set"].append(assignment)

    def parseArgs(self, *rest: str) -> None:
        """Accept no arguments other than options.

        :raises UsageError: there is one.
        """
        if rest:
            raise usage.UsageError(f"unexpected argument {rest[0]!r}; pass addresses with --listen")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line.

        :raises SystemExit: for a mistake, with one line instead of the usage.
        """
        self["arguments"] = sys.argv[1:] if options is None else list(options)
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            raise SystemExit(f"wampush: {error}; see twistd wampush --help") from None

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"wampush {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Load the settings.

        :raises SystemExit: for mistakes in them, with one line each, and for options of twistd with
            which it would fail with a traceback.
        """
        problem = problem_of_twistd(getattr(self, "parent", None) or {})
        if not problem and self["reload"]:
            problem = problem_of_reload(getattr(self, "parent", None) or {})
        if problem:
            raise SystemExit(f"wampush: {problem}")
        overrides = {
            "websocket.listen": self["listen"] or None,
            "zmq.pull": self["pull"] or None,
            "http.listen": self["http"],
        }
        path = Path(self["config"]) if self["config"] else file_named_by(os.environ)
        self["is_supervised"] = False
        if self["reload"]:
            # Only development needs these.
            from wampush.node.autoreload.module_report import start_reporting
            from wampush.node.autoreload.supervisor import supervise

            self["is_supervised"] = start_reporting(os.environ)
            if not self["is_supervised"]:
                # The server is a child of this process, and reads the settings itself.
                self["supervise"] = partial(supervise, path)
                return
        try:
            self["loaded"] = load(path, os.environ, overrides, self["set"])
        except OperatorError as error:
            raise SystemExit(message_of(error)) from None
        # A daemon may change its working directory before it is asked to load again.
        absolute = None if path is None else path.absolute()
        self["load_again"] = partial(load, absolute, os.environ, overrides, self["set"])


def problem_of_twistd(twistd: Mapping[str, Any]) -> str:
    """Return why twistd could not start with its own options; "" when it can.

    :param twistd: its options, before it has changed to its working directory.
    """
    folder = str(twistd.get("rundir") or ".")
    if not Path(folder).is_dir():
        return f"there is no folder {folder!r}; twistd --rundir must name an existing folder"
    if not os.access(folder, os.X_OK):
        return f"this user may not enter {folder!r}; choose another folder with twistd --rundir"
    name = twistd.get("pidfile")
    if not name:
        return ""
    path = Path(name).absolute()
    if os.access(path.parent, os.W_OK | os.X_OK) and not path.is_dir():
        return ""
    return (
        f"the pid file '{path}' cannot be written; pass --pidfile= for none, or another file, to "
        "twistd, before wampush"
    )


def problem_of_reload(twistd: Mapping[str, Any]) -> str:
    """Return why the server cannot be restarted on changes; "" when it can.

    :param twistd: its options.
    """
    if twistd and not (twistd.get("nodaemon") or twistd.get("debug")):
        return "--reload needs twistd -n, because the server must stay a child of this process"
    return ""


def message_of(error: OperatorError) -> str:
    """Return the text for standard error, with the name of the program on each line."""
    return "\n".join(f"wampush: {line}" for line in str(error).splitlines())


@dataclass(frozen=True, slots=True)
class Account:
    """The account that twistd changes to after the sockets are bound.

    :param user: its number; -1 keeps the current user.
    :param group: its number.
    """

    user: int
    group: int


def account(options: Options) -> Account | None:
    """Return the account that twistd will change to, determined as twistd does; None for none.

    :raises OperatorError: ``--uid`` is not a known user, and ``--gid`` is missing.
    """
    twistd: Mapping[str, Any] = getattr(options, "parent", None) or {}
    user: int | None = twistd.get("uid")
    group: int | None = twistd.get("gid")
    if user is not None and group is None:
        try:
            group = pwd.getpwuid(user).pw_gid
        except KeyError:
            raise OperatorError(f"user {user} does not exist on this machine; add --gid") from None
    if group is None:
        return None
    return Account(-1 if user is None else user, group)
