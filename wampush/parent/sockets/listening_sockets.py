"""The listening sockets that the parent keeps open while nodes come and go.

Owns: which are open, which worker has which one, and the files of UNIX sockets.
Must not import: Twisted, ZeroMQ.

Each worker has a socket of its own at a TCP address (``SO_REUSEPORT``), which stays with it from
node to node. UNIX sockets, and those that a service manager has passed, cannot be had twice: all
workers accept from the same one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wampush.errors import Defect
from wampush.parent.sockets.opening import (
    HIDDEN,
    opened_beside,
    opened_tcp,
    opened_unix,
    remove_file,
)
from wampush.parent.sockets.steering import spread, steer
from wampush.parent.sockets.targets import PULL, Listening, Target, of_address

# <asm-generic/socket.h>; Python's socket module does not have it.
_SO_DETACH_FILTER: Final = 27
#: The first descriptor that a service manager passes (sd_listen_fds(3)).
_FIRST_PASSED: Final = 3


class NotManaged(Defect):
    """Only the node itself can open an address; whoever asks here has to expect that."""


@dataclass(slots=True)
class _Open:
    """The sockets at an address.

    :param kind: of what they were last used for.
    :param sockets: by the number of the worker, in the order in which they began to listen;
        workers may have the same one.
    :param path: of a UNIX socket's file; "" where it has none.
    :param file: device and number of this file.
    :param mode: that is configured for the file.
    """

    kind: str
    sockets: dict[int, socket.socket]
    path: str = ""
    file: tuple[int, int] | None = None
    mode: int = 0

    def change_mode(self, mode: int) -> None:
        """Set the mode of the file, if another one is configured now."""
        if mode != self.mode:
            self.mode = mode
            # Somebody may have removed it.
            with contextlib.suppress(FileNotFoundError):
                Path(self.path).chmod(mode)

    def steer(self, serving: Collection[int]) -> None:
        """Have new connections go to workers that serve, if there are any.

        :raises OSError: the system does not allow that.
        """
        workers = list(self.sockets)
        places = [place for place, worker in enumerate(workers) if worker in serving]
        any_socket = self.sockets[workers[0]]
        if 0 < len(places) < len(workers):
            steer(any_socket, places)
        else:
            spread(any_socket)

    def release(self, worker: int) -> None:
        """Close the socket of a worker, unless another one has it, too."""
        last = next(reversed(self.sockets))
        if worker in self.sockets and worker != last:
            # The kernel puts the last one of a group in the place of one that is closed.
            swapped = {worker: last, last: worker}
            self.sockets = {
                (n := swapped.get(each, each)): self.sockets[n] for each in self.sockets
            }
        released = self.sockets.pop(worker, None)
        if released is not None and released not in self.sockets.values():
            released.close()
            if self.file is not None:
                remove_file(self.path, self.file)


class ListeningSockets:
    """All listening sockets of the parent.

    :param passed: the names of the sockets that a service manager has passed to this process, in
        the order of their descriptors.
    """

    def __init__(self, passed: Sequence[str] = ()) -> None:
        self._passed = passed
        self._open: dict[Target, _Open] = {}

    def get(self, kind: str, address: str, number: int = 0, worker: int = 1) -> socket.socket:
        """Return the socket of a worker for an address, which is opened if it is not open.

        :param kind: of the listener.
        :param address: an endpoint string or a ZeroMQ address, as configured.
        :param number: which one it is of several that listen where the system chooses.
        :param worker: its number.
        :raises NotManaged: only the node can open it.
        :raises OSError: it cannot be opened.
        """
        listening = of_address(kind, address, number)
        if listening is None:
            raise NotManaged
        found = self._open.get(listening.target)
        if found is None:
            with self._own_port_explained(listening.target):
                opened = self._opened(kind, listening)
            found = self._open[listening.target] = _described(kind, listening, worker, opened)
        elif worker not in found.sockets:
            others = found.sockets.values()
            found.sockets[worker] = (
                opened_beside(others, listening) if listening.is_tcp else next(iter(others))
            )
        found.kind = kind
        return found.sockets[worker]

    def of_workers(
        self, kind: str, address: str, number: int, workers: int
    ) -> Iterator[tuple[int, socket.socket]]:
        """Open the sockets of several workers for an address.

        :param workers: how many.
        :returns: the number of each, and its socket; one that they share comes once.
        :raises NotManaged: see :meth:`get`.
        :raises OSError: see :meth:`get`.
        """
        first = self.get(kind, address, number)
        yield 1, first
        for worker in range(2, workers + 1):
            opened = self.get(kind, address, number, worker)
            if opened is not first:
                yield worker, opened

    def adopt(
        self, kind: str, address: str, number: int, worker: int, opened: socket.socket
    ) -> None:
        """Take a socket that was opened for this process before.

        :param opened: by :meth:`get` of the process that this one was.
        """
        listening = of_address(kind, address, number)
        if listening is None:
            opened.close()
            return
        found = self._open.get(listening.target)
        if found is None:
            self._open[listening.target] = _described(kind, listening, worker, opened)
        else:
            found.sockets[worker] = opened

    def keep_from_children(self) -> None:
        """Keep the sockets that a service manager has passed from programs that are started."""
        for index in range(len(self._passed)):
            os.set_inheritable(_FIRST_PASSED + index, False)

    def keep_only(self, used: Iterable[tuple[str, str, int]], worker: int = 1) -> None:
        """Close all sockets of a worker but those for these kinds, addresses and numbers."""
        listening = [of_address(*each) for each in used]
        kept = {each.target: each for each in listening if each is not None}
        self._release([target for target in self._open if target not in kept], [worker])
        for target, each in kept.items():
            found = self._open.get(target)
            # zmq.ipc_mode is up to the node.
            if found is not None and found.path and found.kind != PULL:
                found.change_mode(each.mode)

    def steer(self, serving: Collection[int]) -> str:
        """Have new connections go to workers that serve; what waits at others stays there.

        :param serving: the numbers of these workers.
        :returns: why the system does not allow that; "" if it does.
        """
        groups = [each for each in self._open.values() if len(set(each.sockets.values())) > 1]
        try:
            for each in groups:
                each.steer(serving)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def close(self, kinds: Iterable[str]) -> None:
        """Stop listening for these kinds, for all workers."""
        closed = frozenset(kinds)
        for target in [target for target, each in self._open.items() if each.kind in closed]:
            self._release([target], tuple(self._open[target].sockets))

    def let_in(self, worker: int = 1) -> None:
        """Let connections through that a node which has ended kept away from ``zmq.pull``.

        :param worker: of the node.
        """
        for each in self._open.values():
            if each.kind != PULL or worker not in each.sockets:
                continue
            if each.path and not Path(each.path).exists():
                with contextlib.suppress(FileNotFoundError):
                    Path(each.path + HIDDEN).rename(each.path)
            elif each.sockets[worker].family != socket.AF_UNIX:
                _remove_filter(each.sockets[worker])

    def _opened(self, kind: str, listening: Listening) -> socket.socket:
        if listening.passed is not None:
            return self._passed_socket(listening.passed)
        if listening.is_tcp:
            return opened_tcp(listening)
        return opened_unix(kind, listening)

    @contextlib.contextmanager
    def _own_port_explained(self, target: Target) -> Iterator[None]:
        """Say so where the other program that has a port is this one."""
        try:
            yield
        except OSError as error:
            ports = {each.port for each in self._open if each.family != socket.AF_UNIX}
            if error.errno == errno.EADDRINUSE and target.port in ports:
                problem = f"this server has port {target.port} on another interface until a restart"
                raise OSError(errno.EADDRINUSE, problem) from error
            raise

    def _passed_socket(self, wanted: int | str) -> socket.socket:
        index = self._passed.index(wanted) if wanted in self._passed else wanted
        if not isinstance(index, int) or index >= len(self._passed):
            # The node finds the same, and knows how to put it.
            raise NotManaged
        passed = socket.socket(fileno=os.dup(_FIRST_PASSED + index))
        passed.setblocking(False)
        return passed

    def _release(self, targets: Iterable[Target], workers: Iterable[int]) -> None:
        for target in targets:
            found = self._open[target]
            for worker in workers:
                found.release(worker)
            if not found.sockets:
                del self._open[target]


def _described(kind: str, listening: Listening, worker: int, opened: socket.socket) -> _Open:
    """Return what is known about the first socket at an address."""
    path = listening.target.host
    sockets = {worker: opened}
    if listening.target.family != socket.AF_UNIX or path.startswith("\0"):
        return _Open(kind, sockets)
    # The path is relative to a folder that may not be the current one later.
    absolute = str(Path(path).absolute())
    found = Path(absolute).stat()
    return _Open(kind, sockets, absolute, (found.st_dev, found.st_ino), listening.mode)


def _remove_filter(listening: socket.socket) -> None:
    # There is none, except where a node was killed while it had as many backends as it may have.
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def description_of(error: OSError) -> Mapping[str, object]:
    """Return what a node needs to know to report an error as if it had listened itself."""
    return {
        "errno": error.errno or 0,
        "problem": error.strerror or str(error),
        "is_name": isinstance(error, socket.gaierror),
    }
