"""The service that twistd runs: a node from its start to its end.

Owns: the order of starting and stopping.
May import everything; only ``twistd_service`` may import it, and late.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from wampush import __version__
from wampush.config.load import LoadedSettings
from wampush.config.settings import Settings
from wampush.errors import OperatorError
from wampush.net import descriptor_limit
from wampush.node import reloading, steps
from wampush.node.default_publishing import decide_publishing
from wampush.node.descriptors import fit_descriptors
from wampush.node.file_owners import give_files
from wampush.node.garbage_collection import GarbageCollection, paused_collector
from wampush.node.handover.records import VERSION
from wampush.node.listening import ListeningSockets
from wampush.node.log.output import LogOutput
from wampush.node.monitoring.serving import Serving
from wampush.node.moving import Moving
from wampush.node.options import Account
from wampush.node.reactor_setup import bound_turns, handle_directly, use_monotonic_clock
from wampush.node.signals import Signals
from wampush.node.under_parent.link import ParentLink
from wampush.node.under_parent.orphans import end_without_parent
from wampush.node.under_parent.siblings import Siblings
from wampush.node.under_parent.worker import node_name
from wampush.systemd.service_manager import ServiceManager

if TYPE_CHECKING:
    from wampush.node.build import Node

_log = Logger(namespace="wampush.node")

#: Seconds after ``process.drain`` that a stop takes at most, unless an application needs
#: :data:`MIN_PATIENCE`.
REST_SECONDS: Final = 0.5
#: Seconds after ``process.drain`` that a node may take to end when its parent has ended.
ORPHAN_SECONDS: Final = 8.0
#: The least seconds that an application has for requests about sessions that have ended.
MIN_PATIENCE: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Running:
    """What was started.

    :param node: the parts of the node.
    :param sockets: what it listens on.
    :param manager: is notified of its state.
    :param signals: takes its signals, and ends it in order.
    """

    node: Node
    sockets: ListeningSockets
    manager: ServiceManager
    signals: Signals


class WampushService(Service):
    """A node that listens until it is stopped.

    :param loaded: the settings and their origins.
    :param account: that twistd changes to after the sockets are bound; None where it does not.
    :param load_again: reads the settings from the same sources as at the start; None where SIGHUP
        need not compare them.
    :param log_output: takes the log; None where twistd decides that.
    :param link: to the parent process; None without one.
    :param siblings: the other workers; None where there are none.
    """

    name = "wampush"

    def __init__(
        self,
        loaded: LoadedSettings,
        account: Account | None = None,
        *,
        load_again: Callable[[], LoadedSettings] | None = None,
        log_output: LogOutput | None = None,
        link: ParentLink | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        self._loaded = loaded
        self._account = account
        self._load_again = load_again
        self._log_output = log_output
        self._link = link
        self._siblings = Siblings() if siblings is None else siblings
        self._running_node: _Running | None = None
        self._started_at = monotonic()
        self._stopped: Deferred[None] | None = None
        self._garbage_collection = GarbageCollection()
        self.serving = Serving()

    def setServiceParent(self, parent: Any) -> None:
        """Belong to twistd's application, which begins to log next."""
        if self._log_output is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log_output.observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Bind every address, before twistd gives up its privileges.

        :raises ListenError: for the first one that cannot be used.
        :raises OperatorError: application code or a file of keys cannot be used.
        """
        # Importing these installs the reactor, which twistd must have chosen before.
        from twisted.internet import reactor

        with paused_collector():
            from wampush.node.build import build

        use_monotonic_clock(reactor)
        signals = Signals(
            reactor,
            on_hangup=self._on_hangup,
            is_stopping=lambda: self._stopped is not None,
            on_impatience=self._on_impatience,
        )
        signals.handle_hangup()
        # Twisted installs its own handlers when the reactor starts.
        reactor.callWhenRunning(signals.handle_ends)
        descriptor_limit.load_codecs()
        settings = fit_descriptors(self._loaded.settings)
        steps.look_at_redis(settings)
        link = self._link
        node = build(
            settings,
            reactor,
            settings.websocket.max_connections,
            self._loaded.folder,
            before_database=(lambda: None) if link is None else link.wait_until_alone,
            takes_over=link is not None and link.takes_over(VERSION, settings.process),
            name=node_name(self._siblings.number, settings.process.workers),
        )
        sockets = ListeningSockets(reactor, settings.tls, link)
        manager = ServiceManager.of(os.environ, os.getpid(), reactor, _report_to_log)
        self._running_node = _Running(node, sockets, manager, signals)
        self._listen(settings, reactor, node, sockets)
        if not sockets.only_loopback:
            node.websocket.shared.admission.allow_public_names()
        sockets.warn_of_unused(os.environ)
        _set_publishing(settings, node, sockets)
        if self._account is not None:
            give_files(self._account, settings, node, sockets)

    def _listen(
        self, settings: Settings, reactor: Any, node: Node, sockets: ListeningSockets
    ) -> None:
        for endpoint in settings.websocket.listen:
            sockets.open_websocket(endpoint, node.websocket)
        for url in sockets.websocket_urls:
            _log.info("WAMP v1 on {url}", url=url)
        if self._link is None:
            steps.pull(node)
        else:
            node.pull.inherit(self._link.pull_socket)
        if settings.http.listen != "off":
            self._open_http(settings, reactor, node, sockets)

    def _open_http(
        self, settings: Settings, reactor: Any, node: Node, sockets: ListeningSockets
    ) -> None:
        with paused_collector():
            from wampush.node.http_site import make_site

        site = make_site(
            settings,
            node,
            reactor,
            websocket_url=sockets.websocket_url,
            failed_tls_handshakes=lambda: sockets.failed_tls_handshakes,
            listeners=sockets.problems,
            serving=self.serving,
            siblings=self._siblings,
        )
        sockets.open_http(settings.http.listen, site)
        for url in sockets.http_urls:
            _log.info("health on {url}/healthz, demo on {url}/demo/", url=url)

    def startService(self) -> None:
        """Start what needs a running reactor."""
        from twisted.internet import reactor

        super().startService()  # type: ignore[no-untyped-call]
        if self._running_node is None:
            self.privilegedStartService()
        if self._running_node is not None:
            self._running_node.node.start_measuring()
            bound_turns(reactor, self._running_node.node.pull.read_next)
            handle_directly(reactor)
            if self._link is None:
                steps.serve(self._running_node.node)
        self._garbage_collection.begin()
        if self._log_output is not None:
            self._log_output.write_in_thread(reactor)
        # Until the reactor runs, a signal would end the process at once.
        reactor.callWhenRunning(self._on_ready if self._link is None else self._wait_for_parent)

    def _on_ready(self) -> None:
        _log.info(
            "ready: wampush {version}, process {process}", version=__version__, process=os.getpid()
        )
        if self._running_node is not None:
            self._running_node.manager.ready(_status(self._running_node))

    def _wait_for_parent(self) -> None:
        """Report to the parent that this node could serve, and serve when the parent says so."""
        from twisted.internet import reactor

        running, link = self._running_node, self._link
        if running is None or link is None:
            return
        drain, serving = self._loaded.settings.process.drain, self.serving
        moving = Moving(
            running.node,
            running.sockets,
            link,
            reactor,
            serving=serving,
            garbage_collection=self._garbage_collection,
            drain=drain,
        )
        end_without_parent(link.fileno(), drain + ORPHAN_SECONDS)
        link.start(reactor, moving.handlers(self._on_serve, self._on_hangup, running.signals.end))
        link.ready()

    def _on_serve(self, report: str = "") -> None:
        running, link = self._running_node, self._link
        if running is None or link is None or self._stopped is not None:
            return
        if not report and running.node.late_journal is not None:
            # What is stored would have come from that node; the next one reads it itself.
            link.failed("the node whose sessions it was to take over has ended")
            return
        try:
            steps.pull(running.node)
        except OperatorError as error:
            link.failed(str(error))
            return
        steps.serve(running.node)
        running.sockets.accept()
        if report:
            # The sessions that have come stay.
            self._garbage_collection.settle()
        else:
            # The node before this one may have ended while its sessions moved.
            self._garbage_collection.resume()
        self._on_ready()
        link.serving(_status(running), report)

    def stopService(self) -> Deferred[None]:
        """Stop listening and pulling, deliver what was pulled, then end the connections.

        :returns: fires when everything has ended, or when the operator does not want to wait.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        running: _Running | None = self._running_node
        if running is None:
            return succeed(None)
        self._stopped = stopped = Deferred[None]()
        patience = self._loaded.settings.process.drain
        self.serving.stop()
        node = running.node
        _log.info(
            "stopping: {connections} connections have {patience:g} s to read what was published; "
            "a second signal ends them at once",
            connections=len(node.websocket.connections),
            patience=patience,
        )
        running.manager.stopping("stopping")
        begun = monotonic()
        node.pull.drain()
        node.acknowledged_pushes.stop()
        node.presence.stop()
        ended: list[Deferred[Any]] = [
            running.sockets.close_websocket(),
            node.redis.stop().addCallback(
                lambda _: steps.stop_clients(node, max(begun + patience - monotonic(), 0.0))
            ),
        ]
        gatherResults(ended).addCallback(lambda _: steps.leave_others(node)).addCallback(
            lambda _: self._on_clients_gone(
                running, max(begun + patience + REST_SECONDS - monotonic(), MIN_PATIENCE)
            )
        ).addBoth(self._on_stopped)
        return stopped

    def _on_clients_gone(self, running: _Running, patience: float) -> Deferred[None]:
        """Stop the rest.

        :param patience: seconds for requests to applications.
        """
        if self._stopped is not None and self._stopped.called:
            # The operator did not want to wait, and the reactor closes everything by itself.
            return succeed(None)
        node = running.node
        node.broker.stop()
        node.pull.stop()
        node.authenticator.close()
        node.backpressure.stop()
        node.stop_measuring()
        if self._link is None:
            self._garbage_collection.stop()
        # A node with a parent has a process of its own, which ends next. Python's last collection
        # would look at everything that is not frozen: 0.2 s of a core that a new node needs.
        ended = [running.sockets.close_http(), node.components.stop(), node.apps.stop(patience)]
        if node.webhooks is not None:
            ended.append(node.webhooks.stop(patience))
        all_ended = gatherResults(ended)
        if not all_ended.called:
            _log.info(
                "stopping: all connections have ended; applications have {patience:.1f} s to "
                "handle that",
                patience=patience,
            )
        return all_ended.addCallback(lambda _: None)

    def _on_stopped(self, result: Any) -> Any:
        """Report the end to twistd, unless that happened already.

        :param result: None, or the failure of a part that did not stop.
        """
        running, stopped = self._running_node, self._stopped
        if running is None or stopped is None or stopped.called:
            return result
        running.node.broker.stop()
        if running.node.access_log is not None:
            running.node.access_log.flush()
        summary = steps.summary(running.node.broker.ledger, monotonic() - self._started_at)
        _log.info("stopped: {summary}", summary=summary)
        running.manager.close()
        stopped.callback(result)
        return None

    def _on_impatience(self) -> None:
        """Handle SIGTERM or SIGINT after the end has begun: do not wait any longer."""
        running, stopped = self._running_node, self._stopped
        if running is None or stopped is None or stopped.called:
            return
        _log.warn(
            "a second signal: ending at once, with {connections} connections open",
            connections=len(running.node.websocket.connections),
        )
        self._on_stopped(None)

    def _on_hangup(self) -> None:
        """Handle SIGHUP."""
        running = self._running_node
        if running is None or self._stopped is not None:
            _log.info("SIGHUP: nothing to reload, because wampush is stopping")
            return
        _log.info("SIGHUP: reloading keys and certificates")
        with running.manager.reloading():
            reloading.reload_files(running.node, running.sockets)
            if self._load_again is None:
                return
            outcome = reloading.compare_settings(
                self._loaded, self._load_again, has_parent=self._link is not None
            )
        if self._link is not None:
            self._link.reloaded(changed=outcome.changed, problem=outcome.problem)


def _set_publishing(settings: Settings, node: Node, sockets: ListeningSockets) -> None:
    """Decide which clients may publish where no permission decides, and log it."""
    decision = decide_publishing(settings.clients.publish, sockets.only_loopback)
    node.set_publishing(decision.publishing)
    _log.info(
        "{scope}{decision}: {reason}",
        scope="where no permission decides, " if settings.permissions else "",
        decision=decision.summary,
        reason=decision.reason,
    )


def _status(running: _Running) -> str:
    """Return what service managers show about a node that serves."""
    urls = ", ".join(running.sockets.websocket_urls)
    return f"wampush {__version__} on {urls}"


def _report_to_log(problem: str) -> None:
    _log.warn("systemd: {problem}", problem=problem)
