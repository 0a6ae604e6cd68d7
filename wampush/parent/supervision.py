"""When the nodes of a worker are started, replaced and ended.

Owns: the decisions about one worker. What happens comes in as calls, and what is to be done goes
out through objects that are handed in, so that it can be tested without processes.
Must not import: Twisted; the event loop; the other workers.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

from wampush.control_channel import Message
from wampush.parent.log import Log
from wampush.parent.nodes.backoff import Backoff
from wampush.parent.nodes.limits import Limits, wanted_workers
from wampush.parent.nodes.node_process import NodeProcess, NodeState
from wampush.parent.patience import END_SECONDS, Patience
from wampush.parent.replacement import Answer, Replacement
from wampush.parent.socket_requests import answer_request
from wampush.parent.sockets.listening_sockets import ListeningSockets
from wampush.parent.worker_events import WorkerEvents

#: How a node ends that has put its sockets in order.
_ORDERLY: Final = (0, -signal.SIGTERM, -signal.SIGINT)


class Supervision:
    """Runs the node of one worker, starts it again after a crash, and replaces it on demand.

    :param worker: its number.
    :param launch: starts a node.
    :param sockets: the listening sockets.
    :param limits: how long things may take.
    :param log: for lines about the worker.
    :param now: returns the monotonic time.
    :param events: takes what concerns all workers.
    """

    def __init__(
        self,
        worker: int,
        *,
        launch: Callable[[], NodeProcess],
        sockets: ListeningSockets,
        limits: Limits,
        log: Log,
        now: Callable[[], float],
        events: WorkerEvents,
    ) -> None:
        self.worker: Final = worker
        self._launch = launch
        self._sockets = sockets
        self._patience = Patience(limits, log)
        self._log = log
        self._now = now
        self._events = events
        self._backoff = Backoff()
        #: The node that serves, or is going to.
        self.current: NodeProcess | None = None
        self._replacement: Replacement | None = None
        #: All whose process has not ended.
        self.nodes: list[NodeProcess] = []
        self._start_at: float | None = None
        self._has_served = False
        self._is_stopping = False

    @property
    def serves(self) -> bool:
        """Whether a node serves."""
        return self.current is not None and self.current.state is NodeState.SERVING

    def start(self) -> None:
        """Start the first node."""
        self._start_node()

    # What nodes say.

    def on_message(self, node: NodeProcess, message: Message) -> None:
        """Handle a message of a node; kinds that are not known are ignored."""
        node.last_sign = self._now()
        if message.kind == "heartbeat":
            if node is self.current:
                self._events.on_sign_of_life(self.worker)
        elif message.kind == "listen":
            answer_request(node, message, self._sockets)
        elif message.kind == "exclusive":
            self._on_exclusive(node)
        elif message.kind == "ready":
            self._on_ready(node)
        elif message.kind == "serving":
            self._on_serving(node, message)
        elif message.kind == "failed":
            self._on_failed(node, message.text("reason"))
        elif message.kind == "reloaded":
            self._events.on_reloaded(node, message)
        elif message.kind == "hello":
            self._on_hello(node, message)
        elif message.kind == "handed_over":
            self._patience.expect_end(node, self._now())
        elif message.kind == "hand_over_failed":
            self._on_hand_over_failed(node, message.text("problem"))

    def _on_exclusive(self, node: NodeProcess) -> None:
        """Make way for a node that needs what only one process can have, such as the database."""
        node.waits_alone = True
        replacement = self._replacement
        if replacement is not None and replacement.node is node:
            replacement.is_irrevocable = True
            self._patience.expect_ready(node, self._now(), behind_another=True)
            if self.current is not None:
                self._patience.ask_to_end(self.current, self._now())
        self._let_in_alone()

    def _let_in_alone(self) -> None:
        """Notify a node that waits for it that it is alone, once it is."""
        if len(self.nodes) == 1 and self.nodes[0].waits_alone:
            self.nodes[0].waits_alone = False
            self.nodes[0].send("alone")

    def _on_ready(self, node: NodeProcess) -> None:
        if node.state is not NodeState.STARTING:
            return
        node.move(NodeState.READY)
        node.deadline = None
        replacement = self._replacement
        if replacement is not None and replacement.node is node and self.current is not None:
            self._take_turns(replacement, self.current)
        else:
            self._let_serve(node)

    def _on_hello(self, node: NodeProcess, message: Message) -> None:
        """Answer a node that asks whether it is going to take sessions over."""
        node.hand_over_version = message.number("hand_over")
        limits = message.fields.get("limits")
        node.wanted_workers = wanted_workers(limits)
        self._patience.apply(node, limits)
        new = self._replacement
        takes_over = new is not None and new.node is node and new.can_move_from(self.current)
        node.send("role", {"takes_over": takes_over})

    def _take_turns(self, replacement: Replacement, old: NodeProcess) -> None:
        """Let the new node serve instead of the old one."""
        if replacement.can_move_from(old):
            self._patience.expect_ready(replacement.node, self._now())
            replacement.move_from(old)
            return
        replacement.is_irrevocable = True
        self._patience.ask_to_end(old, self._now())
        self._let_serve(replacement.node)

    def _on_hand_over_failed(self, old: NodeProcess, problem: str) -> None:
        """End the new node; the old one goes on with what it has, or ends by itself."""
        replacement = self._replacement
        if replacement is not None and replacement.old is old:
            replacement.node.fault = replacement.node.fault or problem
            self._patience.ask_to_end(replacement.node, self._now())

    def _begin_serving(self, node: NodeProcess) -> None:
        self.current = node
        node.move(NodeState.SERVING)
        node.last_sign = self._now()

    def _let_serve(self, node: NodeProcess) -> None:
        self._begin_serving(node)
        if node.send("serve"):
            self._patience.watch_for_hangs(node)

    def _on_serving(self, node: NodeProcess, message: Message) -> None:
        """Take note that a node accepts connections."""
        if node.state is NodeState.READY:
            # It has taken the sessions of another one over.
            self._begin_serving(node)
            self._patience.watch_for_hangs(node)
        node.serving_since = self._now()
        if node is self.current:
            self._sockets.keep_only(node.addresses, self.worker)
        if not self._has_served:
            self._log.info("serving: node is process {process}", process=node.pid)
        self._has_served = True
        self._events.on_serving(message.text("status"))
        replacement = self._replacement
        if replacement is not None and replacement.node is node:
            self._replacement = None
            text = f"process {node.pid} serves after {self._now() - replacement.started:.1f} s"
            text += f"; {report}" if (report := message.text("report")) else ""
            self._log.info("{kind}: {text}", kind=replacement.kind, text=text)
            replacement.answer(True, text, node)

    def _on_failed(self, node: NodeProcess, reason: str) -> None:
        """End a node that cannot go on."""
        node.fault = node.fault or reason
        self._patience.ask_to_end(node, self._now())

    # The end of nodes.

    def on_ended(self, node: NodeProcess, status: int) -> None:
        """Handle the end of a process.

        :param status: its exit status; negative for a signal.
        """
        was = node.state
        reason = node.reason(status)
        node.move(NodeState.ENDED)
        node.close()
        self.nodes.remove(node)
        if node.has_served and status not in _ORDERLY:
            self._sockets.let_in(self.worker)
        if node is self.current:
            self._events.on_lost(node, f"process {node.pid} has ended: {reason}")
        replacement = self._replacement
        if replacement is not None and replacement.node is node:
            self._on_new_node_ended(replacement, reason)
        elif node is self.current:
            self.current = None
            if not self._is_stopping:
                self._on_current_ended(node, was, reason, status)
        elif node.fault and not self._is_stopping:
            self._log.error("process {process} was ended: {why}", process=node.pid, why=reason)
        self._let_in_alone()
        self._report_end()

    def _on_new_node_ended(self, replacement: Replacement, reason: str) -> None:
        """Give up a replacement whose node has ended."""
        self._replacement = None
        node = replacement.node
        has_old = self.current is not node and self.serves and not replacement.is_irrevocable
        consequence = "the running one goes on" if has_old else "starting it again"
        text = f"the new node has not become ready: {reason}"
        if not self._is_stopping:
            self._log.error(
                "{kind} failed, {consequence}: {text}",
                kind=replacement.kind,
                consequence=consequence,
                text=text,
            )
        if node is self.current:
            self.current = None
        if self.current is not None:
            # Nobody would accept from those that only the new one has asked for.
            self._sockets.keep_only(self.current.addresses, self.worker)
        replacement.answer(False, text, self.current)
        if not self.serves:
            self._start_later(self._backoff.after(0.0))

    def _on_current_ended(
        self, node: NodeProcess, was: NodeState, reason: str, status: int
    ) -> None:
        """Handle a crash."""
        if self._replacement is not None:
            # The new one serves as soon as it is ready; if it was taking over, it fails.
            if was is not NodeState.LEAVING:
                self._log.error("process {process} has ended: {why}", process=node.pid, why=reason)
            return
        if not self._has_served and not self._events.has_served:
            # The first start fails as it does without a parent; the node has said why, if it could.
            if node.fault or status < 0:
                self._log.error("process {process} was ended: {why}", process=node.pid, why=reason)
            self._events.on_not_started(self.worker, status if status > 0 else 1)
            return
        since = node.serving_since
        served = 0.0 if since is None else self._now() - since
        delay = self._backoff.after(served)
        self._log.error(
            "process {process} has ended: {why}; starting another one {when}",
            process=node.pid,
            why=reason,
            when=f"in {delay:g} s" if delay else "now",
        )
        self._start_later(delay)

    def _start_later(self, delay: float) -> None:
        if self._is_stopping:
            return
        if delay:
            self._start_at = self._now() + delay
        else:
            self._start_node()

    def _start_node(self) -> None:
        self._start_at = None
        try:
            self.current = self._launched()
        except OSError as error:
            self._log.error("cannot start a node: {error}", error=error)
            if not self._has_served and not self._events.has_served:
                self._events.on_not_started(self.worker, 1)
                return
            self._start_at = self._now() + max(self._backoff.after(0.0), END_SECONDS)

    def _launched(self) -> NodeProcess:
        node = self._launch()
        self._patience.expect_ready(node, self._now())
        self.nodes.append(node)
        return node

    # What is asked for.

    def replace(self, kind: str, answer: Answer) -> None:
        """Replace the node by a new one, from the code and the configuration on disk.

        A node that does not serve yet is not waited for, because it may be an old version that
        never does.

        :param kind: what it is called.
        :param answer: takes the outcome.
        """
        try:
            node = self._launched()
        except OSError as error:
            self._log.error("{kind} failed: {error}", kind=kind, error=error)
            answer(False, str(error))
            return
        if not self.serves:
            self._give_up_start()
        self._replacement = Replacement(kind, node, self._now(), [answer])
        self._log.info("{kind}: process {process} is starting", kind=kind, process=node.pid)

    def _give_up_start(self) -> None:
        """End a node that does not serve yet, and plan no other one."""
        self._start_at = None
        starting, self.current = self.current, None
        if starting is not None:
            self._patience.ask_to_end(starting, self._now())

    def stop(self) -> None:
        """End all nodes; the second time, hurry."""
        is_first = not self._is_stopping
        self._is_stopping = True
        self._start_at = None
        if is_first and self._replacement is not None:
            self._replacement.answer(False, "wampush is stopping")
        for node in self.nodes:
            if is_first:
                self._patience.ask_to_end(node, self._now())
            else:
                self._patience.hurry(node, self._now())
        self._report_end()

    def _report_end(self) -> None:
        if self._is_stopping and not self.nodes:
            self._events.on_all_ended(self.worker)

    def next_time(self) -> float:
        """Return when :meth:`on_time` is needed next."""
        times = [each.deadline for each in self.nodes if each.deadline is not None]
        if self._start_at is not None:
            times.append(self._start_at)
        return min((*times, self._patience.next_look(self._now())))

    def on_time(self, now: float) -> None:
        """Do what is due.

        :param now: the time; everything that has happened before it has been handled.
        """
        self._patience.look(self.nodes, now)
        if self._start_at is not None and now >= self._start_at:
            self._start_node()
