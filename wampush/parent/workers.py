"""All workers together: their start, what operators ask for, and their end.

Owns: the decisions that concern more than one worker. What happens comes in as calls, and what is
to be done goes out through objects that are handed in.
Must not import: Twisted; the event loop.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from wampush.control_channel import Message
from wampush.parent.log import Log
from wampush.parent.nodes.limits import Limits
from wampush.parent.nodes.node_process import NodeProcess
from wampush.parent.questions import Questions
from wampush.parent.reloads import Reloads
from wampush.parent.replacement import RELOAD, UPGRADE, Answer
from wampush.parent.rolling import Rolling, names
from wampush.parent.sockets.listening_sockets import ListeningSockets
from wampush.parent.sockets.targets import HTTP, PULL, WEBSOCKET
from wampush.parent.supervision import Supervision
from wampush.parent.surroundings import Surroundings

_ALL: Final = (WEBSOCKET, HTTP, PULL)
#: Seconds for connections that are on their way to a worker that is going to end.
RETIRE_SECONDS: Final = 1.0


class Workers:
    """Runs as many workers as are configured, each with a node.

    :param count: how many; others may be wanted by a configuration that is loaded later.
    :param launch: starts the node of a worker; takes its number.
    :param sockets: the listening sockets.
    :param limits: how long things may take.
    :param log: for lines of the parent.
    :param now: returns the monotonic time.
    :param surroundings: those that watch the parent.
    """

    def __init__(
        self,
        count: int,
        *,
        launch: Callable[[int], NodeProcess],
        sockets: ListeningSockets,
        limits: Limits,
        log: Log,
        now: Callable[[], float],
        surroundings: Surroundings,
    ) -> None:
        self._launch = launch
        self._sockets = sockets
        self._limits = limits
        self._log = log
        self._now = now
        self._surroundings = surroundings
        self._reloads = Reloads(log, surroundings, partial(self._roll, RELOAD))
        self._questions = Questions()
        self._rolling: Rolling | None = None
        #: Workers that have given a sign of life since all had.
        self._signs: set[int] = set()
        #: What the node that was the last one to serve says about itself.
        self._about = ""
        #: Whether all workers have served at the same time.
        self.has_served = False
        #: The status to end with, once the end has begun; negative for a signal.
        self._status: int | None = None
        self._is_over = False
        self._all: dict[int, Supervision] = {}
        #: Workers that a reload has made superfluous, until they have ended.
        self._retiring: dict[int, Supervision] = {}
        #: When they end their connections; None where nothing is planned.
        self._retire_at: float | None = None
        self._cannot_steer = False
        #: Workers that start when the first one serves.
        self._later = range(2, count + 1)
        for number in range(1, count + 1):
            self._add(number)

    def _add(self, worker: int) -> Supervision:
        added = self._all[worker] = Supervision(
            worker,
            launch=partial(self._launch, worker),
            sockets=self._sockets,
            limits=self._limits,
            log=self._log.about(lambda: worker if self.are_several else 0),
            now=self._now,
            events=self,
        )
        return added

    @property
    def _known(self) -> Sequence[Supervision]:
        return [*self._all.values(), *self._retiring.values()]

    @property
    def are_several(self) -> bool:
        """Whether lines of the log must say which worker they are about."""
        return len(self._known) > 1

    @property
    def nodes(self) -> Sequence[NodeProcess]:
        """All processes that have not ended."""
        return [node for each in self._known for node in each.nodes]

    @property
    def _serving(self) -> Sequence[Supervision]:
        return [each for each in self._all.values() if each.serves]

    def _of(self, node: NodeProcess) -> Supervision:
        return self._all.get(node.worker) or self._retiring[node.worker]

    def start(self) -> None:
        """Start the first worker; the others follow when it serves.

        What is wrong with the configuration, or with an application, is said once that way.
        """
        self._all[1].start()

    # What happens to the workers.

    def on_message(self, node: NodeProcess, message: Message) -> None:
        """Handle a message of a node."""
        if message.kind == "ask":
            nodes = [each.current for each in self._serving if each.worker != node.worker]
            self._questions.ask(node, message, [each for each in nodes if each is not None])
        elif message.kind == "answered":
            self._questions.answer(node, message)
        else:
            self._of(node).on_message(node, message)

    def on_ended(self, node: NodeProcess, status: int) -> None:
        """Handle the end of a process.

        :param status: its exit status; negative for a signal.
        """
        self._questions.forget(node)
        self._of(node).on_ended(node, status)

    def on_serving(self, status: str) -> None:
        """Start the workers that have waited for the first one, or report that all serve."""
        if self._status is not None:
            return
        self._about = status
        later, self._later = self._later, range(0)
        for each in later:
            self._all[each].start()
        if len(self._serving) == len(self._all):
            self.has_served = True
        self._steer()
        self._report_serving()

    def _report_serving(self) -> None:
        if not self.has_served or not (self._rolling is None or self._rolling.is_at_last):
            return
        count, serving = len(self._all), len(self._serving)
        about = "" if count == 1 else f"{serving} of {count} workers serve: "
        self._surroundings.on_serving(f"{about}{self._about}")

    def _steer(self) -> None:
        """Keep new connections from workers that do not serve."""
        if not self.are_several:
            return
        problem = self._sockets.steer([each.worker for each in self._serving])
        if problem and not self._cannot_steer:
            self._cannot_steer = True
            self._log.warn(
                "connections to a worker that does not serve wait for it, because the system does "
                "not let wampush choose another one: {problem}",
                problem=problem,
            )

    def on_sign_of_life(self, worker: int) -> None:
        """Report a sign of life once every worker that serves has given one."""
        self._signs.add(worker)
        if self._signs.issuperset(each.worker for each in self._serving):
            self._signs.clear()
            self._surroundings.on_sign_of_life()

    def on_reloaded(self, node: NodeProcess, message: Message) -> None:
        """Take what a node says that was asked to read its files again."""
        self._reloads.on_reloaded(node, message)

    def on_lost(self, node: NodeProcess, reason: str) -> None:
        """Give up a reload that a node cannot answer any more, and report how many still serve."""
        self._reloads.give_up(node, reason)
        if self._status is None and self._serving:
            self._steer()
            self._report_serving()

    def on_not_started(self, worker: int, status: int) -> None:
        """End everything, because the first start has failed."""
        if len(self._all) > 1:
            self._log.error("worker {number} has not started; stopping", number=worker)
        self._begin_end(status)

    def on_all_ended(self, worker: int) -> None:
        """Forget a worker that was superfluous; with the last one, end."""
        self._retiring.pop(worker, None)
        if self._status is not None and not self.nodes and not self._is_over:
            self._is_over = True
            self._sockets.close(_ALL)
            self._surroundings.on_over(self._status)

    # What operators ask for.

    def upgrade(self, answer: Answer | None = None) -> None:
        """Replace all nodes, one after the other, whether or not anything has changed.

        :param answer: takes the outcome.
        """
        self._roll(UPGRADE, list(self._all), answer or _nobody)

    def reload(self, answer: Answer | None = None) -> None:
        """Have keys read again, and replace nodes whose settings have changed.

        :param answer: takes the outcome.
        """
        if self._refusal() or self._wanted_by(1) != len(self._all):
            # The second after a reload that has failed before it had added or ended all workers.
            self._roll(RELOAD, list(self._all), answer or _nobody)
        else:
            nodes = [each.current for each in self._serving if each.current is not None]
            self._reloads.ask(nodes, answer)

    def _refusal(self) -> str:
        """Return why no node can be replaced now; "" if one can."""
        if self._status is not None:
            return "wampush is stopping"
        if self._rolling is not None:
            return f"another {self._rolling.kind} is under way"
        if not self._serving:
            return "no node serves yet; one is being started from what is on disk"
        if not self.has_served:
            return "the start is not over: not all workers serve yet"
        if self._retiring:
            return (
                f"the sessions of {names(self._retiring)} are still ending, within process.drain; "
                "then run the command again"
            )
        return ""

    def _roll(self, kind: str, workers: Sequence[int], answer: Answer) -> None:
        """Replace the nodes of workers by new ones, from the code and the configuration on disk.

        :param kind: what it is called.
        :param workers: their numbers.
        :param answer: takes the outcome.
        """
        if refusal := self._refusal():
            self._log.warn("{kind} refused: {why}", kind=kind, why=refusal)
            answer(False, refusal)
            return
        self._surroundings.on_reloading()
        self._rolling = Rolling(
            kind,
            # A worker that serves shows at no risk whether what is on disk works.
            sorted(workers, key=lambda each: (not self._all[each].serves, each)),
            is_alone=len(self._all) == 1,
            begin=lambda worker, on_outcome: self._known_or_added(worker).replace(kind, on_outcome),
            turns_after=self._turns_after,
            on_end=lambda is_done, text: self._on_rolled(is_done, text, answer),
            now=self._now,
        )
        self._rolling.start()

    def _known_or_added(self, worker: int) -> Supervision:
        return self._all.get(worker) or self._add(worker)

    def _turns_after(self, worker: int, left: Sequence[int]) -> Sequence[int]:
        """Return whose nodes are replaced after that of a worker, whose configuration is new."""
        wanted = self._wanted_by(worker)
        added = [each for each in range(1, wanted + 1) if each not in self._all]
        return [*(each for each in left if each <= wanted and each in self._all), *added]

    def _wanted_by(self, worker: int) -> int:
        node = self._all[worker].current
        return (0 if node is None else node.wanted_workers) or len(self._all)

    def _on_rolled(self, is_done: bool, text: str, answer: Answer) -> None:
        rolling, self._rolling = self._rolling, None
        if rolling is not None and not rolling.is_alone and self._status is None:
            log = self._log.info if is_done else self._log.error
            outcome = f"{rolling.kind}" if is_done else f"{rolling.kind} failed"
            log("{outcome}: {text}", outcome=outcome, text=text.partition("\n")[0])
        if rolling is not None and is_done:
            self._retire(self._wanted_by(rolling.last))
        if self._status is None:
            self._surroundings.on_reloaded()
        answer(is_done, text)

    def _retire(self, wanted: int) -> None:
        """Prepare the end of the workers that the configuration does not want any more.

        They get no new connections from now on, and have time for those that are on their way.
        """
        for worker in [each for each in self._all if each > wanted]:
            self._log.info("worker {number} is not wanted any more; ending it", number=worker)
            self._retiring[worker] = self._all.pop(worker)
            self._retire_at = self._now() + RETIRE_SECONDS
        self._steer()

    def _end_retiring(self) -> None:
        self._retire_at = None
        for worker, retired in tuple(self._retiring.items()):
            self._sockets.keep_only((), worker)
            retired.stop()

    def stop(self, number: int) -> None:
        """End all nodes, and then this process; the second time, hurry.

        :param number: of the signal that asks for it.
        """
        if self._status is not None:
            for each in self._known:
                each.stop()
            return
        self._surroundings.on_stopping()
        # HTTP shows how far the end is.
        self._sockets.close((WEBSOCKET, PULL))
        self._log.info("{signal}: stopping", signal=signal.Signals(number).name)
        self._begin_end(-number)

    def _begin_end(self, status: int) -> None:
        self._status = status
        if self._retire_at is not None:
            self._end_retiring()
        for each in self._all.values():
            each.stop()

    def next_time(self) -> float:
        """Return when :meth:`on_time` is needed next."""
        next_time = min(each.next_time() for each in self._known)
        return next_time if self._retire_at is None else min(next_time, self._retire_at)

    def on_time(self, now: float) -> None:
        """Do what is due.

        :param now: the time; everything that has happened before it has been handled.
        """
        for each in self._known:
            each.on_time(now)
        if self._retire_at is not None and now >= self._retire_at:
            self._end_retiring()
        if self.has_served and not self._serving and self._status is None:
            # The nodes that come have their own time; a service manager need not end everything.
            self._surroundings.on_sign_of_life()


def _nobody(is_done: bool, text: str) -> None:
    """Take an outcome that nobody has asked for; the log has it."""
