"""When nodes are started, replaced and ended.

Owns: the decisions of the parent. What happens comes in as calls, and what is to be done goes out
through objects that are handed in, so that it can be tested without processes.
Must not import: Twisted; the event loop.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Final

from wampush.control_channel import Message
from wampush.parent.backoff import Backoff
from wampush.parent.limits import Limits
from wampush.parent.listening_sockets import ListeningSockets
from wampush.parent.log import Log
from wampush.parent.node_process import NodeProcess, NodeState
from wampush.parent.patience import END_SECONDS, Patience
from wampush.parent.reloads import Reloads
from wampush.parent.replacement import RELOAD, UPGRADE, Answer, Replacement
from wampush.parent.socket_requests import answer_request
from wampush.parent.surroundings import Surroundings
from wampush.parent.targets import HTTP, PULL, WEBSOCKET

_ALL: Final = (WEBSOCKET, HTTP, PULL)
#: How a node ends that has put its sockets in order.
_ORDERLY: Final = (0, -signal.SIGTERM, -signal.SIGINT)


class Supervision:
    """Runs one node, starts it again after a crash, and replaces it on demand.

    :param launch: starts a node.
    :param sockets: the listening sockets.
    :param limits: how long things may take.
    :param log: for lines of the parent.
    :param now: returns the monotonic time.
    :param surroundings: those that watch the parent.
    """

    def __init__(
        self,
        *,
        launch: Callable[[], NodeProcess],
        sockets: ListeningSockets,
        limits: Limits,
        log: Log,
        now: Callable[[], float],
        surroundings: Surroundings,
    ) -> None:
        self._launch = launch
        self._sockets = sockets
        self._patience = Patience(limits, log)
        self._log = log
        self._now = now
        self._surroundings = surroundings
        self._backoff = Backoff()
        #: The node that serves, or is going to.
        self._current: NodeProcess | None = None
        self._replacement: Replacement | None = None
        #: All whose process has not ended.
        self.nodes: list[NodeProcess] = []
        self._start_at: float | None = None
        self._has_served = False
        #: The signal that has begun the end; 0 before that.
        self._stopping = 0
        self._is_over = False
        self._reloads = Reloads(log, surroundings, partial(self.replace, RELOAD))

    @property
    def serves(self) -> bool:
        """Whether a node serves."""
        return self._current is not None and self._current.state is NodeState.SERVING

    def start(self) -> None:
        """Start the first node."""
        self._start_node()

    # What nodes say.

    def on_message(self, node: NodeProcess, message: Message) -> None:
        """Handle a message of a node; kinds that are not known are ignored."""
        node.last_sign = self._now()
        if message.kind == "heartbeat":
            if node is self._current:
                self._surroundings.on_sign_of_life()
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
            self._reloads.on_reloaded(node, message)
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
            if self._current is not None:
                self._patience.ask_to_end(self._current, self._now())
        self._let_in_alone()

    def _let_in_alone(self) -> None:
        """Tell a node that waits for it that it is alone, once it is."""
        if len(self.nodes) == 1 and self.nodes[0].waits_alone:
            self.nodes[0].waits_alone = False
            self.nodes[0].send("alone")

    def _on_ready(self, node: NodeProcess) -> None:
        if node.state is not NodeState.STARTING:
            return
        node.move(NodeState.READY)
        node.deadline = None
        replacement = self._replacement
        if replacement is not None and replacement.node is node and self._current is not None:
            self._take_turns(replacement, self._current)
        else:
            self._let_serve(node)

    def _on_hello(self, node: NodeProcess, message: Message) -> None:
        """Answer a node that asks whether it is going to take sessions over."""
        node.hand_over_version = message.number("hand_over")
        self._patience.apply(node, message.fields.get("limits"))
        new = self._replacement
        takes_over = new is not None and new.node is node and new.can_move_from(self._current)
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
        self._current = node
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
        if node is self._current:
            self._sockets.keep_only(node.addresses)
        if not self._has_served:
            self._log.info("serving: node is process {process}", process=node.pid)
        self._has_served = True
        self._surroundings.on_serving(message.text("status"))
        replacement = self._replacement
        if replacement is not None and replacement.node is node:
            self._replacement = None
            text = f"process {node.pid} serves after {self._now() - replacement.started:.1f} s"
            text += f"; {report}" if (report := message.text("report")) else ""
            self._log.info("{kind}: {text}", kind=replacement.kind, text=text)
            replacement.answer(True, text, node)
            self._surroundings.on_reloaded()

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
            self._sockets.let_in()
        if node is self._current:
            self._reloads.give_up(f"process {node.pid} has ended: {reason}")
        replacement = self._replacement
        if replacement is not None and replacement.node is node:
            self._on_new_node_ended(replacement, reason)
        elif node is self._current:
            self._current = None
            if not self._stopping:
                self._on_current_ended(node, was, reason, status)
        elif node.fault and not self._stopping:
            self._log.error("process {process} was ended: {why}", process=node.pid, why=reason)
        self._let_in_alone()
        self._end_if_all_have()

    def _on_new_node_ended(self, replacement: Replacement, reason: str) -> None:
        """Give up a replacement whose node has ended."""
        self._replacement = None
        node = replacement.node
        has_old = self._current is not node and self.serves and not replacement.is_irrevocable
        consequence = "the running one goes on" if has_old else "starting it again"
        text = f"the new node has not become ready: {reason}"
        if not self._stopping:
            self._log.error(
                "{kind} failed, {consequence}: {text}",
                kind=replacement.kind,
                consequence=consequence,
                text=text,
            )
            self._surroundings.on_reloaded()
        if node is self._current:
            self._current = None
        if self._current is not None:
            # Nobody would accept from those that only the new one has asked for.
            self._sockets.keep_only(self._current.addresses)
        replacement.answer(False, text, self._current)
        if not self.serves:
            self._start_later(self._backoff.after(0.0))

    def _on_current_ended(
        self, node: NodeProcess, was: NodeState, reason: str, status: int
    ) -> None:
        """Handle a crash."""
        replacement = self._replacement
        if replacement is not None:
            # The new one serves as soon as it is ready; if it was taking over, it fails.
            if was is not NodeState.LEAVING:
                self._log.error("process {process} has ended: {why}", process=node.pid, why=reason)
            return
        if not self._has_served:
            # The first start fails as it does without a parent; the node has said why, if it could.
            if node.fault or status < 0:
                self._log.error("process {process} was ended: {why}", process=node.pid, why=reason)
            self._finish(status if status > 0 else 1)
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
        if self._stopping:
            return
        if delay:
            self._start_at = self._now() + delay
        else:
            self._start_node()

    def _start_node(self) -> None:
        self._start_at = None
        try:
            self._current = self._launched()
        except OSError as error:
            self._log.error("cannot start a node: {error}", error=error)
            if not self._has_served:
                self._finish(1)
                return
            self._start_at = self._now() + max(self._backoff.after(0.0), END_SECONDS)

    def _launched(self) -> NodeProcess:
        node = self._launch()
        self._patience.expect_ready(node, self._now())
        self.nodes.append(node)
        return node

    # What operators ask for.

    def replace(self, kind: str, answer: Answer | None = None) -> None:
        """Replace the node by a new one, from the code and the configuration on disk.

        :param kind: what it is called.
        :param answer: takes the outcome.
        """
        refusal = ""
        if self._stopping:
            refusal = "wampush is stopping"
        elif self._replacement is not None:
            refusal = f"another {self._replacement.kind} is under way"
        elif not self.serves:
            refusal = "no node serves yet; one is being started from what is on disk"
        if refusal:
            self._log.warn("{kind} refused: {why}", kind=kind, why=refusal)
            if answer is not None:
                answer(False, refusal)
            return
        self._surroundings.on_reloading()
        try:
            node = self._launched()
        except OSError as error:
            self._surroundings.on_reloaded()
            self._log.error("{kind} failed: {error}", kind=kind, error=error)
            if answer is not None:
                answer(False, str(error))
            return
        self._replacement = Replacement(kind, node, self._now())
        if answer is not None:
            self._replacement.answers.append(answer)
        self._log.info("{kind}: process {process} is starting", kind=kind, process=node.pid)

    def reload(self, answer: Answer | None = None) -> None:
        """Have keys read again, and replace the node if settings have changed.

        :param answer: takes the outcome.
        """
        if self._current is None or not self.serves or self._stopping or self._replacement:
            self.replace(RELOAD, answer)
            return
        self._reloads.ask(self._current, answer)

    def upgrade(self, answer: Answer | None = None) -> None:
        """Replace the node, whether or not anything has changed."""
        self.replace(UPGRADE, answer)

    def stop(self, number: int) -> None:
        """End all nodes, and then this process; the second time, hurry.

        :param number: of the signal that asks for it.
        """
        is_first = not self._stopping
        self._stopping = self._stopping or number
        self._start_at = None
        if is_first:
            self._surroundings.on_stopping()
            # HTTP shows how far the end is.
            self._sockets.close((WEBSOCKET, PULL))
            self._log.info("{signal}: stopping", signal=signal.Signals(number).name)
            if self._replacement is not None:
                self._replacement.answer(False, "wampush is stopping")
        for node in self.nodes:
            if is_first:
                self._patience.ask_to_end(node, self._now())
            else:
                self._patience.hurry(node, self._now())
        self._end_if_all_have()

    def _end_if_all_have(self) -> None:
        if self._stopping and not self.nodes:
            self._finish(-self._stopping)

    def _finish(self, status: int) -> None:
        if not self._is_over:
            self._is_over = True
            self._sockets.close(_ALL)
            self._surroundings.on_over(status)

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
        if self._has_served and not self.serves and not self._stopping:
            # The node that comes has its own time; a service manager need not end everything.
            self._surroundings.on_sign_of_life()
        if self._start_at is not None and now >= self._start_at:
            self._start_node()
