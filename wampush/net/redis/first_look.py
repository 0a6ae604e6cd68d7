"""A look at the Redis server of the settings before a node starts.

Owns: a connection that blocks, because no reactor runs yet. Must not import: Twisted's reactor, the
broker, the edges.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, Final

import hiredis

from wampush.config.checks.redis import RedisUrl, host_and_port
from wampush.config.checks.redis_access import RedisAccess
from wampush.errors import BackendError
from wampush.net import secret_files
from wampush.net.redis.error_descriptions import problem_of_error_reply
from wampush.net.redis.login import login_of
from wampush.net.redis.server_facts import ServerFacts, facts_of

#: Seconds for everything: connections, logins and answers. Names are resolved before that.
LOOK_SECONDS: Final = 2.0
_READ_BYTES: Final = 64 * 1024


class NotReached(BackendError):
    """The server does not answer; the message says why."""


class _Patience:
    """The time that is left.

    :param until: when it ends, by the monotonic clock.
    """

    def __init__(self, until: float) -> None:
        self._until = until

    @property
    def left(self) -> float:
        """How many seconds are left.

        :raises TimeoutError: none is.
        """
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def share(self, steps: int) -> _Patience:
        """Return what one of several steps may take, of which each may hang.

        :param steps: how many are to come, that one included.
        """
        now = monotonic()
        return _Patience(now + max(self._until - now, 0.0) / steps)


def unfitness(access: RedisAccess, place: str, *, keeps_history: bool) -> str:
    """Return why a server can never join nodes as it is configured; "" if it can.

    A replica may become the master, so that its role does not count.

    :param access: the settings of the server.
    :param place: the name of the settings in the configuration, for errors.
    :param keeps_history: whether nodes keep keys there that must not get lost.
    :raises NotReached: it does not answer, or refuses the login.
    :raises OperatorError: a file of the settings cannot be used.
    """
    facts = replace(server_facts(access, place), role="")
    return facts.problem(keeps_history=keeps_history)


def server_facts(access: RedisAccess, place: str) -> ServerFacts:
    """Return what the server says about itself.

    :param access: the settings of the server.
    :param place: the name of the settings in the configuration, for errors.
    :raises NotReached: it does not answer, or refuses the login.
    :raises OperatorError: a file of the settings cannot be used.
    """
    login = login_of(access, place)
    commands: list[tuple[bytes, ...]] = []
    if login is not None:
        credentials = (login.user.encode(), login.password) if login.user else (login.password,)
        commands.append((b"AUTH", *credentials))
    if access.url.database:
        commands.append((b"SELECT", b"%d" % access.url.database))
    patience = _Patience(monotonic() + LOOK_SECONDS)
    answer = _ask(access, _address(access, place, patience), [*commands, (b"INFO",)], patience)
    # Where INFO is not allowed, nothing can be checked.
    return facts_of(answer) if isinstance(answer, bytes) else ServerFacts("", "", "", "")


def _address(access: RedisAccess, place: str, patience: _Patience) -> RedisUrl:
    """Return where the server is: as the settings say, or as a sentinel does."""
    if not access.sentinels:
        return access.url
    file = access.sentinel_password_file
    password = secret_files.password(file, f"{place}.sentinel_password_file") if file else b""
    commands: list[tuple[bytes, ...]] = [(b"AUTH", password)] if password else []
    question = (b"SENTINEL", b"get-master-addr-by-name", access.url.host.encode())
    problems = []
    for number, each in enumerate(access.sentinels):
        # One that hangs must leave time for the others, and for the master.
        share = patience.share(len(access.sentinels) - number + 1)
        host, port = host_and_port(each)
        try:
            sentinel = RedisUrl(host, port, access.url.tls)
            answer = _ask(access, sentinel, [*commands, question], share)
        except NotReached as error:
            problems.append(f"{each}: {error}")
            continue
        if isinstance(answer, list) and len(answer) == 2:
            return RedisUrl(answer[0].decode(), int(answer[1]), access.url.tls)
        problems.append(f"{each}: it does not know this name")
    raise NotReached(f"no sentinel names the master {access.url.host}: {'; '.join(problems)}")


def _ask(
    access: RedisAccess,
    address: RedisUrl,
    commands: Sequence[tuple[bytes, ...]],
    patience: _Patience,
) -> Any:
    """Send commands, and return the answer to the last one; errors of others end it."""
    packed: Any = hiredis.pack_command
    reader = hiredis.Reader()
    try:
        with _connect(access, address, patience) as connection:
            connection.sendall(b"".join(packed(words) for words in commands))
            for number in range(len(commands)):
                while (answer := reader.gets()) is False:
                    connection.settimeout(patience.left)
                    data = connection.recv(_READ_BYTES)
                    if not data:
                        raise NotReached("Redis closed the connection")
                    reader.feed(data)
                is_last = number + 1 == len(commands)
                if isinstance(answer, hiredis.ReplyError) and not (
                    is_last and str(answer).startswith(("NOPERM", "ERR "))
                ):
                    raise NotReached(problem_of_error_reply(str(answer)))
    except TimeoutError as error:
        raise NotReached("no answer in time") from error
    except hiredis.ProtocolError as error:
        raise NotReached(f"unexpected data: {error} (does Redis listen on this port?)") from error
    except OSError as error:
        raise NotReached(error.strerror or str(error)) from error
    return answer


def _connect(access: RedisAccess, address: RedisUrl, patience: _Patience) -> socket.socket:
    if address.path:
        return _connected(socket.AF_UNIX, address.path, patience)
    connection = _connected_to_any(address, patience)
    if not address.tls:
        return connection
    context = ssl.create_default_context(cafile=access.ca or None)
    if access.certificate:
        context.load_cert_chain(access.certificate, access.key)
    try:
        connection.settimeout(patience.left)
        return context.wrap_socket(connection, server_hostname=address.host)
    except BaseException:
        connection.close()
        raise


def _connected_to_any(address: RedisUrl, patience: _Patience) -> socket.socket:
    """Return a connection to the first address of a host that accepts one."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    problem = OSError("it has no address")
    for number, (family, _, _, _, place) in enumerate(found):
        try:
            return _connected(family, place, patience.share(len(found) - number))
        except OSError as error:
            problem = error
    raise problem


def _connected(family: int, place: Any, patience: _Patience) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(patience.left)
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection
