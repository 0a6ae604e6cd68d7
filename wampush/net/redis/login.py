"""The credentials for a Redis server.

Owns: where they come from. Must not import: the broker, the edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wampush.config.checks.redis_access import RedisAccess
from wampush.net import secret_files


@dataclass(frozen=True, slots=True)
class Login:
    """The credentials for Redis.

    :param user: the user name, "" for Redis' default user.
    :param password: the password.
    """

    user: str
    password: bytes = field(repr=False)


def login_of(access: RedisAccess, place: str) -> Login | None:
    """Return the credentials that settings give; None for a Redis server without a password.

    :param place: the name of the settings in the configuration, for errors.
    :raises OperatorError: the file with the password cannot be used.
    """
    password = access.url.password.encode()
    if access.password_file:
        password = secret_files.password(access.password_file, f"{place}.password_file")
    return Login(access.url.user, password) if password else None
