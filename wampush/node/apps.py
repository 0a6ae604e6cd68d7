"""The Python apps of a node.

Owns: the application made from them.
Must not import: ``node.build``, ``node.service``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import time
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wampush.apps import App
from wampush.apps.chain import ApplicationChain, ChainLink
from wampush.apps.incidents import Incidents
from wampush.apps.python.app import Registered
from wampush.apps.python.context_factory import Contexts
from wampush.apps.python.cra_hook import CallHandler, CraHook, HookKeys
from wampush.apps.python.event_loop import EventLoop
from wampush.apps.python.host import AppHost
from wampush.apps.python.key_handler import KeyHandler
from wampush.apps.python.occupancy import AppOccupancy
from wampush.apps.python.replies import Replies
from wampush.apps.python.runner import Runner
from wampush.apps.python.server_api import ServerApi
from wampush.apps.python.session_registry import Sessions
from wampush.apps.python.threads import Threads
from wampush.broker.broker import Broker
from wampush.broker.presence.presence import PresenceView
from wampush.broker.requests.meta import SessionProcedures
from wampush.broker.requests.procedures import Become, Procedures
from wampush.broker.session_ends import SessionEnds
from wampush.config.settings import Settings
from wampush.edges.auth.authenticator import Authenticator
from wampush.errors import OperatorError

_log = Logger(namespace="wampush.apps")


class NodeApps:
    """The apps, from the start of the node to its end.

    :param settings: all of them.
    :param apps: by their names, as :func:`load` gives them.
    :param others: applications that are asked after the apps.
    :param broker: apps publish through it.
    :param presence: apps read from it.
    :param ends: apps end sessions with it.
    :param authenticator: gives the procedures by which clients authenticate.
    :param become: gives a session another identity.
    :param reactor: for timers and threads; this must be its thread.
    :param now: the time of day, in seconds since the epoch.
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
        ends: SessionEnds,
        authenticator: Authenticator,
        become: Become,
        reactor: Any,
        now: Callable[[], float] = time,
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._authenticator = authenticator
        self._become = become
        self._now = now
        self._threads = Threads(settings.application.threads, reactor)
        self._incidents = incidents = Incidents()
        self._call_later = reactor.callLater
        self._occupancy: list[AppOccupancy] = []
        self._event_loop = EventLoop(reactor)
        timeout = settings.application.timeout
        self._runner = Runner(reactor, self._threads, self._event_loop, incidents, timeout)
        self._replies = Replies(incidents)
        self._api = ServerApi(
            broker=broker,
            presence=presence,
            now=now,
            in_reactor=self._threads.in_reactor,
            ended_in_reactor=self._threads.answered_in_reactor,
            end_user=ends.end_user,
            max_topic_bytes=settings.limits.topic_bytes,
        )
        self._sessions = Sessions(self._api)
        if not any(app.registered.cra_key for app in apps.values()):
            self._check_keys()
        hosts = [self._host(name, app) for name, app in apps.items()]
        #: Procedures that are answered at once: authentication, and about the session itself.
        self.procedures: Final = self._procedures(hosts)
        #: Topics on which only apps may publish.
        self.reserved: Final = frozenset(name for host in hosts for name in host.reserved)
        links: Sequence[ChainLink] = [*hosts, *others]
        #: The apps and the others as one; None when there are none.
        self.application: Final = (
            ApplicationChain(links, self._sessions, self._runner.cancel_all_of) if links else None
        )

    @property
    def running_in_threads(self) -> int:
        """Number of handlers that run outside the reactor's thread."""
        return self._threads.running + self._event_loop.running

    def stop(self, patience: float) -> Deferred[None]:
        """Let running handlers end; all sessions have ended by now.

        :param patience: seconds.
        """
        for each in self._occupancy:
            each.stop()
        # Threads that still run after that cannot be stopped, and are not waited for.
        return self._runner.stop(patience).addCallback(lambda _: self._stop_threads())

    def _stop_threads(self) -> Deferred[None]:
        self._event_loop.stop()
        return self._threads.stop(0)

    def _host(self, name: str, app: App) -> AppHost:
        contexts = Contexts(name, self._api, self._sessions)
        _log.info("app {name}: {summary}", name=name, summary=_summary(app.registered))
        self._watch_topics(app.registered, contexts)
        return AppHost(
            app=app,
            contexts=contexts,
            runner=self._runner,
            replies=self._replies,
            publisher=self._broker,
            connect_timeout=self._settings.application.connect_timeout,
            other_calls=self._cra_calls(name, app, contexts),
        )

    def _watch_topics(self, registered: Registered, contexts: Contexts) -> None:
        """Have an app notified of the topics that its handlers are for."""
        occupancy = self._broker.occupancy
        if occupancy is None or not (registered.occupied or registered.vacated):
            return
        handlers = AppOccupancy(
            registered=registered,
            contexts=contexts,
            runner=self._runner,
            incidents=self._incidents,
            call_later=self._call_later,
        )
        self._occupancy.append(handlers)
        occupancy.watch(handlers.patterns, handlers.on_change)

    def _procedures(self, hosts: Sequence[AppHost]) -> Procedures:
        permissions_for = self._broker.permissions_for
        own = {
            **self._authenticator.procedures(permissions_for, self._become),
            **SessionProcedures(permissions_for, self._now).procedures,
        }
        return {
            uri: procedure
            for uri, procedure in own.items()
            if not any(host.has_procedure(uri) for host in hosts)
        }

    def _cra_calls(self, name: str, app: App, contexts: Contexts) -> Mapping[str, CallHandler]:
        """Return the procedures of WAMP-CRA, if the app has a ``cra_key`` handler."""
        registered = app.registered.cra_key
        if registered is None:
            return {}
        if not self._authenticator.uses_cra:
            raise OperatorError(
                f'app {name} has a cra_key handler, so auth.order must contain "cra"'
            )
        keys = HookKeys(self._authenticator.cra_keys, registered.salting, registered.seed)
        procedures = self._authenticator.cra_procedures(
            self._broker.permissions_for, self._become, lambda: keys
        )
        key_handler = KeyHandler(registered.handler, contexts, self._runner, self._replies)
        return CraHook(procedures, keys, key_handler).calls

    def _check_keys(self) -> None:
        if self._authenticator.uses_cra and not self._authenticator.cra_keys().count:
            raise OperatorError(
                'auth.order contains "cra", but there are no keys; set cra.keys_file, or register '
                "a cra_key handler in an app"
            )


def _summary(registered: Registered) -> str:
    """Return what an app has registered, for the log."""
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
                ("on_occupied", registered.occupied),
                ("on_vacated", registered.vacated),
                ("cra_key", registered.cra_key),
            )
            if handlers
        ],
    }
    found = [f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names]
    return "; ".join(found) or "registers no handlers"
