"""The nodes of an installation: this one among the others.

Owns: when this node is heard by the others, and which part takes each message.
Must not import: Twisted, the edges, presence. The clock and the way of messages are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Final

from wampush.broker.nodes.node_payloads import (
    Beat,
    PeoplePayload,
    beat_payload,
    bye_payload,
    people_payload,
    read_answer,
    read_beat,
    read_bye,
    read_people,
    read_question,
)
from wampush.broker.nodes.nodes_state import NodesState, other_node, other_node_state
from wampush.broker.nodes.other_nodes import LOOK_SECONDS, OtherNode, OtherNodes, ReportNode
from wampush.broker.nodes.own_people import OwnPeople
from wampush.broker.nodes.questions import ANSWER, QUESTION, Questions, SendMessage
from wampush.broker.nodes.snapshots import Snapshots
from wampush.clock import Clock, TimerHandle
from wampush.errors import PushRefused

#: Seconds between two beats of a node.
BEAT_SECONDS: Final = 2.0
#: Seconds after the start by which this node has heard from the others, if there are any.
SETTLE_SECONDS: Final = 1.0

#: The kinds of messages.
BEAT: Final = "beat"
PEOPLE: Final = "people"
#: Asks a node for everything that it has.
REQUEST_ALL: Final = "request-all"
BYE: Final = "bye"
KINDS: Final = (BEAT, PEOPLE, REQUEST_ALL, BYE, QUESTION, ANSWER)


class Nodes:
    """The nodes that are there, and what this one reports to them.

    :param process: names this process; the node has the same id, unless the process goes on with
        the sessions of another one.
    :param name: of this node, for people.
    :param version: of wampush.
    :param epoch: random, for each process.
    :param grace: seconds for which users of a node that is gone may come back.
    :param clock: for beats, and for the silence of others.
    :param send: sends a message to one process, or to all.
    :param report: logs nodes that come and go.
    """

    def __init__(
        self,
        *,
        process: str,
        name: str,
        version: str,
        epoch: str,
        grace: float,
        clock: Clock,
        send: SendMessage,
        report: ReportNode,
    ) -> None:
        self.id = process
        self._process = process
        self.name: Final = name
        self.version: Final = version
        self._clock = clock
        self._send = send
        self._report = report
        self.own: Final = OwnPeople(process, epoch, clock, self._send_change)
        self.others: Final = OtherNodes(grace=grace, clock=clock, ask=self._ask_all, report=report)
        self.questions: Final = Questions(
            lambda: self.id, clock, send, lambda: self.others.there, report
        )
        self.snapshots: Final = Snapshots(self._snapshot, clock)
        self._watched: tuple[str, ...] = ()
        self._figures: dict[str, Callable[[], float]] = {}
        self._timer: TimerHandle | None = None
        self._looks = 0
        self._is_started = self._is_joined = self._is_stopped = False
        #: Whether another process speaks for this node.
        self.is_handed_over = False
        self._takers: Final[Mapping[str, Callable[[str, bytes], None]]] = {
            BEAT: self._on_beat,
            PEOPLE: self._on_people,
            REQUEST_ALL: self._on_request_all,
            BYE: self._on_bye,
            QUESTION: self._on_question,
            ANSWER: self._on_answer,
        }

    # What other parts of this node say.

    def show(self, name: str, read: Callable[[], float]) -> None:
        """Have the others know a number of this node.

        :param read: returns it; called with each beat.
        """
        self._figures[name] = read

    def set_watched(self, patterns: tuple[str, ...]) -> None:
        """Note the topics whose occupation is reported to applications here."""
        self._watched = patterns

    @property
    def figures(self) -> Mapping[str, float]:
        """The numbers of this node that the others know."""
        return {name: read() for name, read in self._figures.items()}

    @property
    def is_joined(self) -> bool:
        """Whether messages go both ways."""
        return self._is_joined and not self._is_stopped

    # The link.

    def start(self) -> None:
        """Be heard from now on: this node has its sessions."""
        if self._is_started or self._is_stopped:
            return
        self._is_started = True
        self._timer = self._clock.call_later(LOOK_SECONDS, self._on_timer)
        if self._is_joined:
            self._greet()

    def on_joined(self) -> None:
        """Take note that messages go both ways."""
        self._is_joined = True
        if self._is_started:
            self._greet()

    def on_left(self, problem: str) -> None:  # noqa: ARG002 - the link logs it
        """Take note that nobody is heard, nor hears this node."""
        self._is_joined = False
        self.others.pause()

    def on_message(self, process: str, kind: str, payload: bytes) -> None:
        """Take a message; one of an unknown kind is ignored, newer nodes may send it.

        :param process: the sender.
        :raises PushRefused: NODE_FORM; it is not as it should be.
        """
        if process == self._process or not self._is_started or self._is_stopped:
            return
        take = self._takers.get(kind)
        if take is not None:
            take(process, payload)

    def stop(self) -> None:
        """Say goodbye: the sessions have ended."""
        if self._is_started and self.is_joined:
            self._send(BYE, bye_payload(self.id))
        self._end()

    def _greet(self) -> None:
        self.others.go_on()
        self._beat(is_new=True)

    def _end(self) -> None:
        self._is_stopped = True
        self.own.stop()
        self.questions.stop()
        self.snapshots.stop()
        self.others.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Beats.

    def _on_timer(self) -> None:
        self._timer = self._clock.call_later(LOOK_SECONDS, self._on_timer)
        has_run = self.others.look()
        self._looks += 1
        if self._looks >= SETTLE_SECONDS / LOOK_SECONDS:
            self.others.settle()
        if self._is_joined and (not has_run or self._looks >= BEAT_SECONDS / LOOK_SECONDS):
            self._looks = 0
            self._beat()

    def _beat(self, *, is_new: bool = False, to: str = "") -> None:
        beat = Beat(
            node=self.id,
            epoch=self.own.epoch,
            sequence=self.own.sequence,
            name=self.name,
            version=self.version,
            watched=self._watched,
            figures=self.figures,
            is_new=is_new,
        )
        self._send(BEAT, beat_payload(beat), to)

    def _on_beat(self, process: str, payload: bytes) -> None:
        beat = read_beat(payload)
        if beat.node == self.id:
            # From the process before this one.
            return
        self.others.on_beat(process, beat)
        if beat.is_new:
            self._beat(to=process)

    # People.

    def _send_change(self, update: PeoplePayload) -> None:
        # Without a link, the number shows to the others that they have missed it.
        if self._is_started and self.is_joined:
            self._send(PEOPLE, people_payload(update))

    def _on_people(self, process: str, payload: bytes) -> None:
        update = read_people(payload)
        if update.node != self.id:
            self.others.on_update(process, update)

    def _ask_all(self, node: OtherNode) -> None:
        self._send(REQUEST_ALL, b"{}", node.process)

    def _on_request_all(self, process: str, _: bytes) -> None:
        self.snapshots.on_request(process)

    def _snapshot(self, process: str) -> Generator[None, None, None]:
        for update in self.own.everything():
            if not self.is_joined:
                # It asks again when it hears this node.
                return
            if update is not None:
                self._send(PEOPLE, people_payload(update), process)
            yield

    def _on_bye(self, _: str, payload: bytes) -> None:
        self.others.on_bye(read_bye(payload))

    # Questions.

    def _on_question(self, process: str, payload: bytes) -> None:
        self.questions.on_question(process, read_question(payload))

    def _on_answer(self, _: str, payload: bytes) -> None:
        self.questions.on_answer(read_answer(payload))

    # Another process goes on.

    def hand_over(self) -> NodesState:
        """Be silent from now on, and return what the process that goes on needs to know.

        That process is this node from then on, so that the others notice nothing.
        """
        self.own.flush()
        self._end()
        self.is_handed_over = True
        people = self.own.people
        return NodesState(
            id=self.id,
            occupied=list(people.occupied),
            reported=list(people.reported),
            others=[other_node_state(each) for each in self.others],
        )

    def take_over(self, state: NodesState) -> None:
        """Be the node whose sessions have come here; call it before :meth:`start`."""
        if not state.id:
            return
        self.id = self.own.node = state.id
        for topic in state.occupied:
            self.own.set_occupied(topic, True)
        for topic in state.reported:
            self.own.set_reported(topic, True)
        known = []
        for values in state.others:
            try:
                known.append(other_node(values))
            except PushRefused as error:
                # It will be asked when it is heard.
                self._report("what is known about a node is unusable: {error}", error=str(error))
        self.others.adopt(known)
