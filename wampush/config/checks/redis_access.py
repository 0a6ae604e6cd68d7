"""Settings that say how a Redis server is reached: for ``[[redis_source]]`` and ``[backplane]``.

Owns: these settings, and how they fit together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wampush.config.checks.files import CertificatesFile, PasswordFile, PrivateKeyFile
from wampush.config.checks.redis import REDIS_PORT, RedisUrl, SentinelAddress


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """What a table that names a Redis server has in common with the others.

    Each table says what its ``url`` is for.

    :param sentinels: With sentinels, the host of ``url`` is the name of the master, and they are
        asked for its address before each connection.
    :param sentinel_password_file: Sentinels have a password of their own, if they have one.
    :param password_file: Instead of a password in ``url``: a file can be made readable for the
        daemon only.
    :param ca: For ``rediss://``: the authorities that may have signed the server's certificate;
        empty: those of the system.
    :param certificate: For ``rediss://``: the client certificate, if Redis requires one
        (``tls-auth-clients``).
    :param key: The private key of ``certificate``, without a passphrase.
    """

    url: RedisUrl
    sentinels: tuple[SentinelAddress, ...] = field(default=(), kw_only=True)
    sentinel_password_file: PasswordFile = field(default="", kw_only=True)
    password_file: PasswordFile = field(default="", kw_only=True)
    ca: CertificatesFile = field(default="", kw_only=True)
    certificate: CertificatesFile = field(default="", kw_only=True)
    key: PrivateKeyFile = field(default="", kw_only=True)

    @property
    def address(self) -> str:
        """The URL without user and password, for logs."""
        return f"redis+sentinel://{self.url.host}" if self.sentinels else self.url.address


def access_problems(access: RedisAccess) -> Iterator[tuple[str, str]]:
    """Yield the settings that do not fit the others, each with what is wrong with it."""
    url = access.url
    if url.password and access.password_file:
        yield "password_file", "must be empty where url has a password"
    if url.user and not (url.password or access.password_file):
        problem = (
            "has a user without a password; write USER:PASSWORD@ before the host or path, or set "
            "password_file; a password alone is written :PASSWORD@"
        )
        yield "url", problem
    if access.sentinel_password_file and not access.sentinels:
        yield "sentinel_password_file", "must be empty where sentinels is"
    if access.sentinels and (url.path or url.port != REDIS_PORT):
        yield "url", "must be redis://MASTER or rediss://MASTER, without a port, with sentinels"
    for name in ("ca", "certificate", "key"):
        if getattr(access, name) and not url.tls:
            yield name, "must be empty where url is not rediss://"
    if bool(access.certificate) != bool(access.key):
        yield "key", "must be set where certificate is, and only there"
