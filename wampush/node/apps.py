"""The apps of a node, put together.

Owns: how they are loaded, what they may not have in common, and their part in the node.
Must not import: the composition root, ``node``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wampush.apps import App, loader
from wampush.apps.chain import ApplicationChain, ChainLink
from wampush.apps.incidents import Incidents
from wampush.apps.python.answers import Answers
from wampush.apps.python.context import Server
from wampush.apps.python.cra_hook import CraHook, HookKeys
from wampush.apps.python.host import AppHost
from wampush.apps.python.runner import Runner
from wampush.apps.python.sessions import Sessions
from wampush.apps.python.threads import Threads
from wampush.broker.broker import Broker
from wampush.broker.presence.presence import PresenceView
from wampush.broker.requests.meta import SessionProcedures
from wampush.broker.requests.procedures import Become, Procedures
from wampush.config.settings import Settings
from wampush.edges.auth.authenticator import Authenticator
from wampush.errors import OperatorError, shown

_log = Logger(namespace="wampush")
_KEY: Final = "apps"


def load(names: Sequence[str], folder: Path | None) -> Mapping[str, App]:
    """Import the apps that the configuration names, in its order.

    :param folder: of the configuration file.
    :raises OperatorError: when one can not be used, or two have something of the same name.
    """
    apps: dict[str, App] = {}
    for name in names:
        found = loader.load(name, folder, _KEY)
        prefix = loader.prefix_of(_KEY, name)
        if not isinstance(found, App):
            raise OperatorError(f"{prefix}: it is {shown(found)}; right is app = App()")
        for other, app in apps.items():
            _check_apart(prefix, found, other, app)
        apps[name] = found
    return apps


def _check_apart(prefix: str, app: App, other_name: str, other: App) -> None:
    if app is other:
        raise OperatorError(f"{prefix}: it is the same as {other_name}; name it once")
    own, theirs = app.registered, other.registered
    for kind, names in (
        ("procedure", own.procedures.keys() & theirs.procedures.keys()),
        ("action", own.actions.keys() & theirs.actions.keys()),
    ):
        for name in sorted(names):
            raise OperatorError(f"{prefix}: {other_name} has the {kind} {name!r} already")
    if own.cra_keys is not None and theirs.cra_keys is not None:
        raise OperatorError(f"{prefix}: {other_name} has a cra_key handler already")


class NodeApps:
    """The apps, from the start of the node to its end.

    :param settings: all of them.
    :param apps: by their names, as :func:`load` gives them.
    :param others: applications that are asked after the apps.
    :param broker: apps publish through it.
    :param presence: apps read from it.
    :param authenticator: gives the procedures by which clients authenticate.
    :param become: gives a session another identity.
    :param reactor: for timers and threads; this must be its thread.
    :raises OperatorError: when WAMP-CRA has no keys, or is not used although an app has some.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        apps: Mapping[str, App],
        others: Sequence[ChainLink],
        broker: Broker,
        presence: PresenceView,
        authenticator: Authenticator,
        become: Become,
        reactor: Any,
    ) -> None:
        application = settings.application
        self._broker = broker
        self._become = become
        self._threads = Threads(application.threads, reactor)
        incidents = Incidents()
        self._runner = Runner(reactor, self._threads, incidents, application.timeout)
        in_reactor = self._threads.in_reactor
        longest = settings.limits.topic_bytes
        server = Server(broker, presence, time, in_reactor, longest)
        self._sessions = Sessions(server)
        self._hosts = [
            AppHost(
                name,
                app,
                server,
                self._sessions,
                self._runner,
                Answers(incidents),
                application.connect_timeout,
            )
            for name, app in apps.items()
        ]
        for host in self._hosts:
            _log.info("app {name}: {what}", name=host.name, what=_summary(host))
        #: Procedures that are answered at once: authentication, and what a session is.
        self.procedures: Final = self._procedures(authenticator)
        #: Topics on which only apps may publish.
        self.reserved: Final = frozenset(name for host in self._hosts for name in host.reserved)
        #: The apps and the others as one; None when there are none.
        self.application: Final = self._chain(others)

    def stop(self, patience: float) -> Deferred[None]:
        """The sessions have ended: let what still runs end.

        :param patience: seconds.
        """
        # Threads that still run by then do not stop for anybody, and are not waited for.
        return self._runner.stop(patience).addCallback(lambda _: self._threads.stop(0))

    def _procedures(self, authenticator: Authenticator) -> Procedures:
        permissions_for = self._broker.permissions_for
        own = {
            **authenticator.procedures(permissions_for, self._become),
            **SessionProcedures(permissions_for, time).procedures,
        }
        hooked = self._answer_cra(authenticator)
        return {uri: each for uri, each in own.items() if uri not in hooked}

    def _chain(self, others: Sequence[ChainLink]) -> ApplicationChain | None:
        links: list[ChainLink] = [*self._hosts, *others]
        if not links:
            return None
        return ApplicationChain(links, self._sessions, self._runner.cancel_all_of)

    def _answer_cra(self, authenticator: Authenticator) -> Collection[str]:
        """Let an app give the keys of WAMP-CRA; gives the procedures that it answers then."""
        host = next((each for each in self._hosts if each.registered.cra_keys is not None), None)
        keys = None if host is None else host.registered.cra_keys
        if host is None or keys is None:
            if authenticator.uses_cra and not authenticator.cra_keys().count:
                raise OperatorError(
                    'auth.order names "cra": set cra.keys_file, or register a cra_key handler in '
                    "one of apps"
                )
            return ()
        if not authenticator.uses_cra:
            raise OperatorError(
                f'app {host.name} has a cra_key handler, so auth.order must name "cra"'
            )
        source = HookKeys(authenticator.cra_keys, keys.salting, keys.seed)
        desk = authenticator.cra_procedures(
            self._broker.permissions_for, self._become, lambda: source
        )
        host.other_calls = CraHook(desk, source, host).calls
        return host.other_calls.keys()


def _summary(host: AppHost) -> str:
    """What an app has registered, for the log."""
    registered = host.registered
    kinds = {
        "procedures": [*registered.procedures],
        "actions": [*registered.actions],
        "handlers": [
            name
            for name, handlers in (
                ("on_connect", registered.connect),
                ("on_authenticated", registered.authenticated),
                ("on_disconnect", registered.disconnect),
                ("on_subscribe", registered.subscribe),
                ("on_publish", registered.publish),
                ("cra_key", registered.cra_keys),
            )
            if handlers
        ],
    }
    told = [f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names]
    return "; ".join(told) or "it registers nothing"
