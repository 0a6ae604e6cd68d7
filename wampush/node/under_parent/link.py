"""The node's end of the control channel.

Owns: what a node asks of its parent and reports to it, and its signs of life.
Must not import: the parts of a node, which install a reactor.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from wampush.clock import until_next
from wampush.config.tables.process import ProcessSettings
from wampush.control_channel import MAX_TEXT, VARIABLE, ControlChannel, Message
from wampush.edges.zeromq.binding import listen_error
from wampush.errors import OperatorError

_log = Logger(namespace="wampush.node")

#: Seconds between two signs of life.
HEARTBEAT: Final = 1.0
#: Seconds that the parent has to answer a question.
PATIENCE: Final = 30.0
#: Signals by which the parent begins a new file of the log, or an upgrade.
_PARENTS_SIGNALS: Final = (signal.SIGUSR1, signal.SIGUSR2)


class ParentGone(OperatorError):
    """The parent has ended, or does not answer."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """What a node does when its parent says so.

    :param serve: begins to accept connections and to pull pushes.
    :param reload: reads files again, and calls :meth:`ParentLink.reloaded`.
    :param note_outcome: takes the kind of a replacement, and whether it was done.
    :param stop: ends the node, because its parent is gone.
    :param hand_over: hands the sessions over to the node at the other end of a socket.
    :param take_over: takes them over, then serves.
    """

    serve: Callable[[], object]
    hand_over: Callable[[socket.socket], object]
    take_over: Callable[[socket.socket], object]
    reload: Callable[[], object]
    note_outcome: Callable[[str, bool], object]
    stop: Callable[[], object]


@implementer(IReadDescriptor)
class ParentLink:
    """Talks to the parent: with blocking calls until the reactor runs, then as one of its readers.

    :param channel: to the parent.
    """

    def __init__(self, channel: ControlChannel) -> None:
        self._channel = channel
        self._reactor: Any = None
        self._handlers: Handlers | None = None
        self._beat: Any = None
        #: Take messages of kinds that are not about this node alone.
        self._takers: dict[str, Callable[[Message], object]] = {}
        #: How often each address was asked for.
        self._asked: Counter[tuple[str, str]] = Counter()

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self | None:
        """Return the link of this process; None for one without a parent.

        :param environment: loses the variable that names the channel, so that no child of this
            process has it.
        """
        name = environment.pop(VARIABLE, "")
        if not name.isdecimal():
            return None
        for number in _PARENTS_SIGNALS:
            # Those who send one to all processes of a service do not mean to end this one. A
            # handler, other than SIG_IGN, is not passed on to programs that this process starts.
            signal.signal(number, lambda *_: None)
        return cls(ControlChannel.of_descriptor(int(name)))

    # Before the reactor runs.

    def listening_socket(self, use: str, address: str) -> socket.socket | None:
        """Return the socket that the parent keeps open for an address.

        :param use: "websocket", "http" or "pull".
        :param address: as configured.
        :returns: None for an address that only this process can open.
        :raises OSError: the address cannot be used.
        :raises ParentGone: there is no answer.
        """
        number = self._asked[use, address]
        self._asked[use, address] += 1
        answer = self._ask("listen", "listening", use=use, address=address, number=number)
        if answer.descriptors:
            return socket.socket(fileno=answer.descriptors[0])
        if answer.fields.get("is_unmanaged"):
            return None
        problem = answer.text("problem") or "the parent gives no reason"
        if answer.fields.get("is_name"):
            raise socket.gaierror(answer.number("errno"), problem)
        raise OSError(answer.number("errno"), problem)

    def pull_socket(self, address: str) -> socket.socket | None:
        """Return the socket that the parent keeps open for an address of ``zmq.pull``.

        :returns: None for an address that only libzmq can open.
        :raises ListenError: the address cannot be used.
        :raises ParentGone: there is no answer.
        """
        try:
            return self.listening_socket("pull", address)
        except OSError as error:
            raise listen_error(address, error) from error

    def wait_until_alone(self) -> None:
        """Wait until no other node runs, because this one needs what only one can have.

        :raises ParentGone: there is no answer.
        """
        # The parent ends nodes that do not become ready in time.
        self._ask("exclusive", "alone", patience=None)

    def _ask(
        self, kind: str, answer: str, *, patience: float | None = PATIENCE, **fields: object
    ) -> Message:
        try:
            self._channel.send(kind, fields)
            while True:
                message = self._channel.wait(PATIENCE if patience is None else patience)
                if message is not None and message.kind == answer:
                    return message
                if message is None and patience is not None:
                    raise ParentGone(f"the parent has not answered {kind!r}")
        except ConnectionError as error:
            raise ParentGone(f"the parent process has ended: {error}") from error

    def takes_over(self, version: int, process: ProcessSettings) -> bool:
        """Return whether this node is going to take the sessions of another one over.

        :param version: of the records that this node reads and writes; 0 if it cannot.
        :param process: how long this node may take for things, which the parent enforces.
        :raises ParentGone: there is no answer.
        """
        limits = {
            "ready": process.ready_timeout,
            "hang": process.hang_timeout,
            "drain": process.drain,
            "workers": process.workers,
        }
        answer = self._ask("hello", "role", hand_over=version, limits=limits)
        return answer.fields.get("takes_over") is True

    # With the reactor.

    def start(self, reactor: Any, handlers: Handlers) -> None:
        """Read what the parent says, and give signs of life.

        :param reactor: that has begun to run.
        """
        self._reactor = reactor
        self._handlers = handlers
        # The parent has a node that hangs write where it is before it ends it.
        faulthandler.register(signal.SIGQUIT, file=2, all_threads=True)
        reactor.addReader(self)
        self._send_heartbeat()

    def ready(self) -> None:
        """Report that this node could serve now."""
        self._send("ready", {})

    def serving(self, status: str, report: str = "") -> None:
        """Report that this node serves.

        :param status: what service managers show about it, in one line.
        :param report: what it has taken over, for people to read.
        """
        self._send("serving", {"status": status[:MAX_TEXT], "report": report[:MAX_TEXT]})

    def handed_over(self, seconds: float) -> None:
        """Report that another node serves the sessions of this one, which is about to end.

        :param seconds: for what cannot move.
        """
        self._send("handed_over", {"seconds": seconds})

    def hand_over_failed(self, problem: str, *, goes_on: bool) -> None:
        """Report that the other node has not taken everything over.

        :param goes_on: whether this node goes on with what it has.
        """
        self._send("hand_over_failed", {"problem": problem[:MAX_TEXT], "goes_on": goes_on})

    def failed(self, reason: str) -> None:
        """Report why this node cannot go on."""
        self._send("failed", {"reason": reason[:MAX_TEXT]})

    def reloaded(self, *, changed: str = "", problem: str = "") -> None:
        """Report that files have been read again.

        :param changed: the settings that have changed, for people to read.
        :param problem: what is wrong with the configuration on disk.
        """
        self._send("reloaded", {"changed": changed[:MAX_TEXT], "problem": problem[:MAX_TEXT]})

    def take(self, kind: str, handler: Callable[[Message], object]) -> None:
        """Have a function take the messages of a kind that this class does not know."""
        self._takers[kind] = handler

    def say(self, kind: str, fields: Mapping[str, object], descriptors: Sequence[int] = ()) -> None:
        """Send a message of such a kind.

        :param descriptors: are sent as copies.
        """
        self._send(kind, fields, descriptors)

    def close(self) -> None:
        """Say and hear nothing any more."""
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        self._beat = None
        if self._reactor is not None:
            self._reactor.removeReader(self)
            self._reactor = None
        self._channel.close()

    def fileno(self) -> int:
        """Return the descriptor that is read."""
        return self._channel.fileno()

    def doRead(self) -> None:
        """Handle what has arrived."""
        try:
            while self._reactor is not None and (message := self._channel.receive()) is not None:
                self._carry_out(message)
                message.close_descriptors()
        except ConnectionError:
            self._on_gone()

    def _carry_out(self, message: Message) -> None:
        try:
            self._on_message(message)
        except Exception:  # noqa: BLE001 - mistakes of this program
            # Twisted would stop to read what the parent says.
            _log.failure("could not do what the parent process says: {kind}", kind=message.kind)
            if message.kind == "reload":
                self.reloaded(problem="the server could not reload; its log says why")

    def connectionLost(self, reason: object = None) -> None:
        """Handle the end of the reactor."""

    def logPrefix(self) -> str:
        """Return the name for the log."""
        return "parent"

    def _on_message(self, message: Message) -> None:
        handlers = self._handlers
        if handlers is None:
            return
        if message.kind == "serve":
            handlers.serve()
        elif message.kind == "hand_over" and message.descriptors:
            handlers.hand_over(socket.socket(fileno=os.dup(message.descriptors[0])))
        elif message.kind == "take_over" and message.descriptors:
            handlers.take_over(socket.socket(fileno=os.dup(message.descriptors[0])))
        elif message.kind == "reload":
            handlers.reload()
        elif message.kind == "outcome":
            handlers.note_outcome(message.text("of"), message.fields.get("is_done") is True)
        elif (take := self._takers.get(message.kind)) is not None:
            take(message)

    def _on_gone(self) -> None:
        handlers = self._handlers
        self.close()
        if handlers is not None:
            _log.error("the parent process has ended; stopping")
            handlers.stop()

    def _send_heartbeat(self) -> None:
        if self._reactor is None:
            return
        left = until_next(HEARTBEAT, self._reactor.seconds())
        self._beat = self._reactor.callLater(left, self._send_heartbeat)
        try:
            self._channel.send("heartbeat", patience=0.0)
        except ConnectionError:
            # A parent that does not run will see those that wait; that it is gone shows in reading.
            return

    def _send(
        self, kind: str, fields: Mapping[str, object], descriptors: Sequence[int] = ()
    ) -> None:
        if self._channel.fileno() < 0:
            return
        try:
            self._channel.send(kind, fields, descriptors=descriptors)
        except ConnectionError as error:
            _log.error("the parent process cannot be reached: {error}", error=error)
