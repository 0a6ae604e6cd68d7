"""The listening sockets that the parent keeps open while nodes come and go.

Owns: opening and closing them, and the files of UNIX sockets.
Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wampush.errors import Defect
from wampush.parent.targets import PULL, Listening, Target, of_address

# <asm-generic/socket.h>; Python's socket module does not have it.
_SO_DETACH_FILTER: Final = 27
#: What a node appends to the name of a UNIX socket's file to keep new connections away.
_HIDDEN: Final = ".full"
#: The first descriptor that a service manager passes (sd_listen_fds(3)).
_FIRST_PASSED: Final = 3


class NotManaged(Defect):
    """Only the node itself can open an address; whoever asks here has to expect that."""


@dataclass(slots=True)
class _Open:
    """A socket that is open.

    :param kind: of what it was last used for.
    :param file: device and number of a UNIX socket's file; None where it has none.
    :param mode: that is configured for the file.
    """

    kind: str
    socket: socket.socket
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


class ListeningSockets:
    """All listening sockets of the parent.

    :param passed: the names of the sockets that a service manager has passed to this process, in
        the order of their descriptors.
    """

    def __init__(self, passed: Sequence[str] = ()) -> None:
        self._passed = passed
        self._open: dict[Target, _Open] = {}

    def get(self, kind: str, address: str, number: int = 0) -> socket.socket:
        """Return the socket for an address, which is opened if it is not open.

        :param kind: of the listener.
        :param address: an endpoint string or a ZeroMQ address, as configured.
        :param number: which one it is of several that listen where the system chooses.
        :raises NotManaged: only the node can open it.
        :raises OSError: it cannot be opened.
        """
        listening = of_address(kind, address, number)
        if listening is None:
            raise NotManaged
        found = self._open.get(listening.target)
        if found is None:
            with self._own_port_explained(listening.target):
                found = self._open[listening.target] = self._opened(kind, listening)
        found.kind = kind
        return found.socket

    def adopt(self, kind: str, address: str, number: int, opened: socket.socket) -> None:
        """Take a socket that was opened for this process before.

        :param opened: by :meth:`get` of the process that this one was.
        """
        listening = of_address(kind, address, number)
        if listening is None:
            opened.close()
            return
        self._open[listening.target] = _described(kind, listening, opened)

    def keep_from_children(self) -> None:
        """Keep the sockets that a service manager has passed from programs that are started."""
        for index in range(len(self._passed)):
            os.set_inheritable(_FIRST_PASSED + index, False)

    def keep_only(self, used: Iterable[tuple[str, str, int]]) -> None:
        """Close all sockets but those for these kinds, addresses and numbers."""
        listening = [of_address(*each) for each in used]
        kept = {each.target: each for each in listening if each is not None}
        self._close([target for target in self._open if target not in kept])
        for target, each in kept.items():
            found = self._open.get(target)
            # zmq.ipc_mode is up to the node.
            if found is not None and found.path and found.kind != PULL:
                found.change_mode(each.mode)

    def close(self, kinds: Iterable[str]) -> None:
        """Stop listening for these kinds."""
        closed = frozenset(kinds)
        self._close([target for target, each in self._open.items() if each.kind in closed])

    def let_in(self) -> None:
        """Let connections through that a node which has ended kept away from ``zmq.pull``."""
        for each in self._open.values():
            if each.kind != PULL:
                continue
            if each.path and not Path(each.path).exists():
                with contextlib.suppress(FileNotFoundError):
                    Path(each.path + _HIDDEN).rename(each.path)
            elif each.socket.family != socket.AF_UNIX:
                _remove_filter(each.socket)

    def _opened(self, kind: str, listening: Listening) -> _Open:
        if listening.passed is not None:
            return _Open(kind, self._passed_socket(listening.passed))
        if listening.target.family == socket.AF_UNIX:
            return _opened_unix(kind, listening)
        return _Open(kind, _opened_tcp(listening))

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

    def _close(self, targets: Iterable[Target]) -> None:
        for target in targets:
            closed = self._open.pop(target)
            closed.socket.close()
            if closed.file is not None:
                _remove_file(closed.path, closed.file)


def _opened_tcp(listening: Listening) -> socket.socket:
    target = listening.target
    opened = socket.socket(target.family, socket.SOCK_STREAM)
    with _closed_on_error(opened):
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        where: tuple[object, ...] = (target.host, target.port)
        if target.family == socket.AF_INET6:
            where = socket.getaddrinfo(
                target.host, target.port, socket.AF_INET6, socket.SOCK_STREAM
            )[0][4]
        opened.bind(where)
        opened.listen(listening.backlog)
    return opened


def _opened_unix(kind: str, listening: Listening) -> _Open:
    path = listening.target.host
    is_abstract = path.startswith("\0")
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _closed_on_error(opened):
        opened.setblocking(False)
        if not is_abstract:
            for each in (path, path + _HIDDEN) if kind == PULL else (path,):
                _remove_left_over(each)
            before = os.umask(0o777 & ~listening.mode)
            try:
                opened.bind(path)
            finally:
                os.umask(before)
        else:
            opened.bind(path)
        opened.listen(listening.backlog)
    return _described(kind, listening, opened)


def _described(kind: str, listening: Listening, opened: socket.socket) -> _Open:
    """Return what is known about an open socket."""
    path = listening.target.host
    if listening.target.family != socket.AF_UNIX or path.startswith("\0"):
        return _Open(kind, opened)
    # The path is relative to a folder that may not be the current one later.
    absolute = str(Path(path).absolute())
    found = Path(absolute).stat()
    return _Open(kind, opened, absolute, (found.st_dev, found.st_ino), listening.mode)


def _remove_left_over(path: str) -> None:
    """Remove the file of a socket that no process listens on.

    :raises OSError: it is not a socket, or a process listens on it.
    """
    try:
        is_socket = stat.S_ISSOCK(Path(path).lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError(errno.EADDRINUSE, "a file that is not a socket is in the way")
    with socket.socket(socket.AF_UNIX) as attempt:
        attempt.setblocking(False)
        try:
            attempt.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            # A program listens whose queue of new connections is full.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _remove_file(path: str, file: tuple[int, int]) -> None:
    """Remove the file of a socket, unless another program has put its own in its place."""
    for each in (path, path + _HIDDEN):
        with contextlib.suppress(OSError):
            found = Path(each).lstat()
            if (found.st_dev, found.st_ino) == file:
                Path(each).unlink()


def _remove_filter(listening: socket.socket) -> None:
    # There is none, except where a node was killed while it had as many backends as it may have.
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


@contextlib.contextmanager
def _closed_on_error(opened: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        opened.close()
        raise


def description_of(error: OSError) -> Mapping[str, object]:
    """Return what a node needs to know to report an error as if it had listened itself."""
    return {
        "errno": error.errno or 0,
        "problem": error.strerror or str(error),
        "is_name": isinstance(error, socket.gaierror),
    }
